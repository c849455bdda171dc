# --- netfilter: fragments make tables ---------------------------------------------------------------------------------

FAMILIES='inet bridge netdev'

# devices_present: one name a line.
devices_present() { ip -o link show | sed 's/^[0-9]*: \([^:@]*\)[:@].*/\1/'; }

# nft_fragments FAMILY [TXN]: the files that make the table, in the order of their names. What a transaction writes comes from
# it; the rest from its last confirmed copy, so that tampering with one file does not spread; from /etc only where all copies are
# lost: a file that merely looks like ours was never confirmed.
nft_fragments() {
	dir=$ETC/nft/$1-drawbridge
	txn=${2:-/nonexistent}
	dropped=
	[ ! -s "$txn/drops" ] || dropped=$(cat "$txn/drops")
	last=$dir
	[ ! -d "$VAR/confirmed" ] || last=/nonexistent
	for place in "$txn/files$dir" "$VAR/confirmed$dir" "$last"; do
		for file in "$place"/*.nft; do
			[ ! -e "$file" ] || printf '%s\n' "${file##*/}"
		done
	done | sort -u | while read -r name; do
		case "
$dropped
" in *"
$dir/$name
"*) continue ;; esac
		for file in "$txn/files$dir/$name" "$VAR/confirmed$dir/$name" "$last/$name"; do
			if is_ours "$file"; then
				printf '%s\n' "$file"
				break
			fi
		done
	done
}

# nft_look PATH: what the text of a table depends on beside the fragments, at this moment, for nft_table and nft_live:
# PATH.counters with "family name packets bytes" a line, and PATH.present with the devices.
nft_look() {
	LOOK=$1
	nft list counters 2>/dev/null | awk '
		$1 == "table" { family = $2; ours = $3 == "drawbridge" }
		$1 == "counter" { name = $2 }
		ours && $1 == "packets" { print family, name, $2, $4 }' >"$LOOK.counters"
	devices_present >"$LOOK.present"
}

# nft_text FAMILY COUNTERS PRESENT FILE…: the text of a whole table. The fragments bring chains; base chains and the maps that
# lead to the fragments stand in no file, the layout fixes them. A device that is absent gets no base chain: it is waited for.
nft_text() {
	family=$1
	shift
	printf 'table %s drawbridge\ndelete table %s drawbridge\n' "$family" "$family"
	[ $# -gt 2 ] || {
		# What was adopted comes back when the last of ours has gone.
		[ ! -e "$VAR/found/nft/$family" ] || cat "$VAR/found/nft/$family"
		return 0
	}
	counters=$1 present=$2
	shift 2
	awk -v family="$family" -v counters="$counters" -v present="$present" '
		BEGIN {
			while ((getline line < counters) > 0) { split(line, word, " "); if (word[1] == family) kept[word[2]] = "packets " word[3] " bytes " word[4] }
			while ((getline line < present) > 0) here[line] = 1
			print "table " family " drawbridge {"
		}
		/^# attach / {
			if (!($4 in jumps)) devices[++count] = $4
			jumps[$4] = jumps[$4] "\t\tjump " $5 "\n"
			hook = $3
		}
		/^# counter / { print "\tcounter " $3 " { " (($3 in kept) ? kept[$3] : "") "\n\t}" }
		/^#/ { next }
		{ print "\t" $0 }
		END {
			if (family == "netdev") {
				for (i = 1; i <= count; i++) if (devices[i] in here)
					printf "\tchain egress.%s {\n\t\ttype filter hook egress device \"%s\" priority 0; policy accept;\n%s\t}\n", devices[i], devices[i], jumps[devices[i]]
			} else if (count) {
				for (i = 1; i <= count; i++) {
					printf "\tchain %s.%s {\n%s\t}\n", hook, devices[i], jumps[devices[i]]
					elements = elements (i > 1 ? ", " : "") "\"" devices[i] "\" : jump " hook "." devices[i]
				}
				printf "\tmap %s_oifname {\n\t\ttype ifname : verdict\n\t\telements = { %s }\n\t}\n", hook, elements
				printf "\tchain %s {\n\t\ttype filter hook %s priority %d; policy accept;\n", hook, hook, family == "bridge" ? 310 : 110
				printf "\t\toifname vmap @%s_oifname\n\t}\n", hook
			}
			print "}"
		}' "$@"
}

# nft_table FAMILY OUT [TXN]: writes the text of the table as it should stand, counters carried over from the last nft_look.
nft_table() {
	# Which they are does not change while we hold the lock.
	[ -e "${2%/*}/fragments.${2##*/}" ] || nft_fragments "$1" "${3:-}" >"${2%/*}/fragments.${2##*/}"
	# Paths of fragments are ours and carry no blank.
	# shellcheck disable=SC2046
	nft_text "$1" "$LOOK.counters" "$LOOK.present" $(cat "${2%/*}/fragments.${2##*/}") >"$2"
}

# nft_shut FAMILY OUT [TXN]: what boot loads when the table itself does not load: nothing is forwarded over what it guards.
nft_shut() {
	# shellcheck disable=SC2046
	guarded=$(awk '/^# attach / && !seen[$4]++ { printf "%s\"%s\"", n++ ? ", " : "", $4 }' /dev/null $(nft_fragments "$1" "${3:-}"))
	case $1 in
	inet) layers=inet ;;
	bridge) layers=bridge ;;
	*) layers='inet bridge' ;;
	esac
	for layer in $layers; do
		printf 'table %s drawbridge_shut_%s\ndelete table %s drawbridge_shut_%s\n' "$layer" "$1" "$layer" "$1"
		[ -n "$guarded" ] || continue
		printf 'table %s drawbridge_shut_%s {\n\tchain forward {\n\t\ttype filter hook forward priority -300; policy accept;\n' "$layer" "$1"
		printf '\t\toifname { %s } drop comment "the fence did not load"\n\t}\n}\n' "$guarded"
	done >"$2"
}

# nft_open FAMILY…: takes "shut" away again, where it stands.
nft_open() {
	tables=$(nft list tables 2>/dev/null)
	for opened in "$@"; do
		for layer in inet bridge; do
			case $tables in *"table $layer drawbridge_shut_$opened"*) nft delete table "$layer" "drawbridge_shut_$opened" 2>/dev/null || : ;; esac
		done
	done
}

# nft_namespace DIR: run inside a throw-away network namespace. Loads DIR/*.nft one after the other and lists our tables to
# DIR/canonical.FAMILY after DIR/new.nft. netdev chains want their devices, so stand-ins are made (veth: loading its module
# makes no device by itself).
nft_namespace() {
	cd "$1" || exit 1
	sed -n 's/.* device "\([^"]*\)" .*/\1/p' ./*.nft | sort -u | grep -vx lo |
		awk '{ print "link add " $1 " type veth peer name dbpeer" NR }' >stand-ins
	ip -batch stand-ins || exit 1
	for text in new.nft undo.nft shut.nft; do
		[ -e "$text" ] || continue
		nft -f "$text" 2>error.txt || {
			echo "$text" >failed
			exit 1
		}
		[ "$text" = new.nft ] || continue
		for family in $FAMILIES; do
			grep -q "^table $family drawbridge {" new.nft || continue
			nft -s list table "$family" drawbridge >"canonical.$family" 2>/dev/null || rm -f "canonical.$family"
		done
	done
}

# nft_live FAMILY OUT: the kernel's text of our table, less the base chains of devices that are gone (some kernels keep them).
nft_live() {
	nft -s list table "$1" drawbridge >"$2" 2>/dev/null || {
		rm -f "$2"
		return 0
	}
	[ "$1" = netdev ] || return 0
	awk -v present="$LOOK.present" '
		BEGIN { while ((getline line < present) > 0) here["egress." line] = 1 }
		$1 == "chain" && $2 ~ /^egress\./ && !($2 in here) { skipping = 1 }
		!skipping { lines[++n] = $0 }
		skipping && $0 == "\t}" { skipping = 0; if (lines[n] == "") n-- }
		END { for (i = 1; i <= n; i++) print lines[i] }' "$2" >"$2.kept"
	mv "$2.kept" "$2"
}

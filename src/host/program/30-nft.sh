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

# nft_is_empty FAMILY: nothing of ours makes the table, by its confirmed copies.
nft_is_empty() {
	place=$VAR/confirmed
	[ -d "$place" ] || place=
	for file in "$place$ETC/nft/$1-drawbridge"/*.nft; do ! is_ours "$file" || return 1; done
}

# nft_look PATH: the devices that are here, for nft_text; counters begin at 0 until nft_count.
nft_look() {
	LOOK=$1
	devices_present >"$LOOK.present"
	: >"$LOOK.counters"
}

# nft_count: "family name packets bytes" a line, as they stand in the kernel at this moment.
nft_count() {
	nft list counters 2>/dev/null | awk '
		$1 == "table" { family = $2; ours = $3 == "drawbridge" }
		$1 == "counter" { name = $2 }
		ours && $1 == "packets" { print family, name, $2, $4 }' >"$LOOK.counters"
}

# nft_text FAMILY FILE…: the text of a whole table. The fragments bring chains; base chains and the maps that lead to the fragments
# stand in no file, the layout fixes them. A device that is absent gets no base chain: it is waited for. What was shut opens.
nft_text() {
	family=$1
	shift
	printf 'table %s drawbridge\ndelete table %s drawbridge\n' "$family" "$family"
	for layer in $(nft_shut_layers "$family"); do
		printf 'table %s drawbridge_shut_%s\ndelete table %s drawbridge_shut_%s\n' "$layer" "$family" "$layer" "$family"
	done
	[ $# -gt 0 ] || {
		# What was adopted comes back when the last of ours has gone.
		[ ! -e "$VAR/found/nft/$family" ] || cat "$VAR/found/nft/$family"
		return 0
	}
	awk -v family="$family" -v counters="$LOOK.counters" -v present="$LOOK.present" '
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

# nft_table FAMILY OUT LIST: writes the text of the table that the fragments in the file LIST make.
nft_table() {
	# Paths of fragments are ours and carry no blank.
	# shellcheck disable=SC2046
	nft_text "$1" $(cat "$3") >"$2"
}

# nft_shut_layers FAMILY: the tables' families that guard in its place.
nft_shut_layers() {
	case $1 in
	netdev) echo 'inet bridge' ;;
	*) echo "$1" ;;
	esac
}

# nft_shut FAMILY OUT LIST: what boot loads when the table itself does not load: nothing is forwarded over what it guards.
nft_shut() {
	# shellcheck disable=SC2046
	guarded=$(awk '/^# attach / && !seen[$4]++ { printf "%s\"%s\"", n++ ? ", " : "", $4 }' /dev/null $(cat "$3"))
	for layer in $(nft_shut_layers "$1"); do
		printf 'table %s drawbridge_shut_%s\ndelete table %s drawbridge_shut_%s\n' "$layer" "$1" "$layer" "$1"
		[ -n "$guarded" ] || continue
		printf 'table %s drawbridge_shut_%s {\n\tchain forward {\n\t\ttype filter hook forward priority -300; policy accept;\n' "$layer" "$1"
		printf '\t\toifname { %s } drop comment "the fence did not load"\n\t}\n}\n' "$guarded"
	done >"$2"
}

# nft_list PREFIX FAMILY…: nft's text of our tables, by way of PREFIX.FAMILY. One process each, at the same time: of several `list` in
# one, nft 1.0.6 finds the tables of one only.
nft_list() {
	prefix=$1
	shift
	for listed in "$@"; do nft -s list table "$listed" drawbridge >"$prefix.$listed" & done
	wait
	for listed in "$@"; do cat "$prefix.$listed"; done
}

# nft_split DIR: a listing of several tables from stdin, each to DIR/FAMILY.
nft_split() { awk -v dir="$1" '/^table / { family = $2 } { print >(dir "/" family) }'; }

# nft_namespace DIR: run inside a throw-away network namespace. Loads DIR/*.nft one after the other and prints the tables
# of the families in DIR/listed to DIR/canonical after DIR/new.nft. netdev chains want their devices, so stand-ins are made (veth: loading its module
# makes no device by itself).
nft_namespace() {
	cd "$1" || exit 1
	awk '/ device "/ { split($0, part, "\""); if (part[2] != "lo" && !seen[part[2]]++) print "link add " part[2] " type veth peer name dbpeer" ++n }' ./*.nft >stand-ins
	[ ! -s stand-ins ] || ip -batch stand-ins || exit 1
	for text in new.nft undo.nft shut.nft; do
		[ -e "$text" ] || continue
		nft -f "$text" 2>error.txt || {
			echo "$text" >failed
			exit 1
		}
		[ "$text" = new.nft ] || continue
		# shellcheck disable=SC2046
		nft_list list $(cat listed) >canonical 2>error.txt
	done
}

# nft_live FAMILY…: the kernel's text of our tables, less the base chains of devices that are gone (some kernels keep them).
nft_live() {
	[ $# -gt 0 ] || return 0
	nft_list "$LOOK.list" "$@" 2>/dev/null | nft_here "$LOOK.present"
}

# nft_here PRESENT: a text or a listing from stdin, less the base chains of devices that are not in the file PRESENT.
nft_here() {
	awk -v present="$1" '
		BEGIN { while ((getline line < present) > 0) here["egress." line] = 1 }
		$1 == "table" { netdev = $2 == "netdev" }
		netdev && $1 == "chain" && $2 ~ /^egress\./ && !($2 in here) { skipping = 1 }
		!skipping { lines[++n] = $0 }
		skipping && $0 == "\t}" { skipping = 0; if (lines[n] == "") n-- }
		END { for (i = 1; i <= n; i++) print lines[i] }'
}

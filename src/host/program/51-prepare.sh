# --- the transaction: what can be known before the first change -----------------------------------------------------------
# Promises that nothing outside of the transaction's folder has been changed when it refuses. Called by the worker (50) and by a preflight (54). Leaves
# lists, copies and texts in that folder.

# prepare: everything that can be known before the first change. Prints nothing when all is well, else the result.
prepare() {
	local list said needs status
	step check
	for list in absent notes touched links adopted keeps; do true >"$T/$list" || return 1; done
	operations_refusal
	status=$?
	[ "$status" -ne "$REFUSED" ] || return 0
	[ "$status" -eq 0 ] || return 1
	# A file that is dropped under one name and put under it by another operation (a new generation) stays.
	[ ! -s "$T/drops" ] || {
		awk 'NR == FNR { if ($2 == "put") put[$4] = 1; next } !($0 in put)' "$T/manifest" "$T/drops" >"$T/drops.kept" && mv "$T/drops.kept" "$T/drops"
	} || return 1
	step try
	read_nft_needs needs || return 1
	said=
	! is_refusable "$needs" || ask said refusals "$needs" || return 1
	if [ -n "$said" ]; then
		printf 'refused\n%s\n' "$said"
		return 0
	fi
	nft_refusal
	status=$?
	[ "$status" -ne "$REFUSED" ] || return 0
	reserve || {
		cannot_store
		return 0
	}
	return "$status"
}

# What a step of the check ends with that has printed the result: no program of others ends so.
REFUSED=111

# refuse NUMBER CODE TEXT: prints the result that the operation is refused.
refuse() {
	printf 'refused\nrefuse %s\n' "$*"
	return "$REFUSED"
}

# operations_refusal: refuses the first operation that must not be. Of the others, into the transaction's lists: what
# is touched, dropped, adopted, absent; and a copy of what was there.
operations_refusal() {
	local here puts number verb mode path object owner machine adopt stands count
	read_machine here && [ -r "$T/manifest" ] && [ -r "$T/held" ] || return 1
	puts=' ' count=0
	while read -r number verb mode path object owner machine adopt; do
		count=$((count + 1))
		is_known_path "$path" || {
			refuse "$number" bad-request "$path is not a path that drawbridge-host writes"
			return
		}
		# Compared with all others of its kind (keeps_refusals).
		[ "$verb" != keep ] || {
			printf '%s  %s\n%s  %s\n' "$mode" "$path" "$mode" "$VAR/confirmed$path" >>"$T/keeps" || return 1
			continue
		}
		if [ "$verb" = drop ]; then
			# Another machine (a clone has our owner's id too), a later generation, or nobody: not ours to delete.
			if [ "$machine" != "$here" ] && [ "$machine" != - ]; then
				echo "$number elsewhere" >>"$T/notes" || return 1
				continue
			fi
			read_owner stands "$path"
			[ "$stands" = "$owner" ] || continue
			note "$number" "$path" drops || return
		else
			may_put "$number" "$path" "$object" "$owner" "$adopt" "$puts" || return
			puts="$puts$path "
		fi
		! is_held_file "$path" || echo "$number $verb $path" >>"$T/links" || return 1
		note "$number" "$path" touched || return
		if [ -e "$path" ] || [ -L "$path" ]; then continue; fi
		note "$number" "$path" absent || return
	done <"$T/manifest"
	echo "$count" >"$T/count" && keep_former
}

# may_put NUMBER PATH OBJECT OWNER ADOPT PUTS: refuses where the path is somebody else's, or one of PUTS. What is adopted is noted.
may_put() {
	local stands
	if ! may_write "$2" "$3"; then
		[ "$5" = adopt ] || {
			refuse "$1" not-owned "$2 is there already and not ours; \`adopt: true\` takes it over, and delete puts it back"
			return
		}
		note "$1" "$2" adopted || return
	fi
	# An earlier generation is written over; what this very run holds under another id is declared twice.
	read_owner stands "$2"
	case $6 in *" $2 "*) ;; *)
		[ -n "$stands" ] && [ "$stands" != "$4" ] && grep -qxF -- "$stands" "$T/held" || return 0
		;;
	esac
	refuse "$1" not-owned "$2 belongs to another resource of this program; give one of them another name"
}

# keep_former: a copy of all that is touched and there, below T/old. Refuses the first operation where that is not possible.
keep_former() {
	local path kept
	set --
	kept=' '
	while read -r path; do
		# One that is dropped and put again comes twice, which cp does not take.
		case $kept in *" $path "*) continue ;; esac
		kept="$kept$path "
		if [ -e "$path" ] || [ -L "$path" ]; then set -- "$@" ".$path"; fi
	done <"$T/touched"
	# From the root, since cp looks for the folders of `--parents` where it is.
	# shellcheck disable=SC2015
	[ $# -eq 0 ] || (cd / && exec cp -a --parents -t "$T/old" "$@") && return 0
	refuse 0 not-writable "cannot keep a copy of what this change replaces ($1)"
}

# is_refusable NEEDS: whether there is anything that `refusals` asks about. Of most changes of rules there is nothing.
is_refusable() {
	local families family
	[ -z "$1" ] && [ ! -s "$T/keeps" ] && [ ! -s "$T/links" ] && ! sudoers_touched "$T" && read_families families || return 0
	for family in $families; do ! nft_is_empty "$family" || return 0; done
	return 1
}

# refusals NEEDS: "refuse NUMBER CODE TEXT" a line, of all that is tried without the kernel's tables; NEEDS as read_nft_needs has them.
refusals() {
	sudoers_refusals "$T" >"$T/refusals" || return 1
	[ ! -s "$T/refusals" ] || sed 's/^refuse \([0-9]*\) /refuse \1 rejected /' "$T/refusals" || return 1
	keeps_refusals && sudoers_programs "$T" && held_refusals && nft_needs "$1" && nft_adoption
}

# keeps_refusals: "refuse NUMBER stale TEXT" for each operation of which a part is not sent and does not stand, or is not confirmed, as the near side takes it for.
keeps_refusals() {
	local differing
	[ -s "$T/keeps" ] || return 0
	differing=$(sha256sum --quiet -c "$T/keeps" 2>/dev/null) && return 0
	# A difference is an answer; where nothing is named, nothing was compared.
	[ -n "$differing" ] || return 1
	printf '%s\n' "$differing" | awk -v confirmed="$VAR/confirmed" '
		reading == "differing" { sub(/: FAILED.*/, ""); if (index($0, confirmed "/") == 1) $0 = substr($0, length(confirmed) + 1); differs[$0] = 1; next }
		$2 == "keep" && ($4 in differs) && !said[$1]++ { print "refuse " $1 " stale " $4 " is not as it was last confirmed" }' reading=differing - reading=manifest "$T/manifest"
}

# reserve: space that undo and confirmation free before they write, so that a disk that fills up meanwhile stops neither.
reserve() {
	local size
	# It is its own scrap of paper, before it is filled, 64 KiB at a time.
	du -sk "$T" >"$T/reserve" && read -r size _ <"$T/reserve" || return 1
	size=$((size / 64 + 2))
	while [ "$size" -gt 0 ]; do
		printf '%65536s' '' || return 1
		size=$((size - 1))
	done >"$T/reserve"
}

# note NUMBER PATH LIST: that the path is in the list; refuses where the disk is full.
note() { echo "$2" >>"$T/$3" || refuse "$1" not-writable "cannot write below $VAR: $(df -h /var/lib | tail -n 1)"; }

# adopts NUMBER: the operation takes over what is there and not ours.
adopts() { grep -q "^$1 put .* adopt\$" "$T/manifest"; }

# read_owner VARIABLE PATH: whose file it is, by its confirmed copy, else by its own header.
read_owner() {
	local owner_found
	read_header owner_found "$VAR/confirmed$2" owner
	[ -n "$owner_found" ] || read_header owner_found "$2" owner
	give "$1" "$owner_found"
}

# may_write PATH OBJECT: nothing is there, or the same object of an earlier generation.
may_write() {
	local stands
	read_header stands "$VAR/confirmed$1" object
	[ "$stands" != "$2" ] || return 0
	[ ! -e "$1" ] && [ ! -L "$1" ] && return 0
	read_header stands "$1" object
	is_ours "$1" && [ "$stands" = "$2" ]
}

# read_families VARIABLE: which tables the transaction changes; fails where its list is not there.
read_families() {
	local families_path families_found
	[ -r "$T/touched" ] || return 1
	families_found=
	while read -r families_path; do
		case $families_path in "$ETC"/nft/*) ;; *) continue ;; esac
		families_path=${families_path#"$ETC/nft/"} families_path=${families_path%%-drawbridge/*}
		case " $families_found " in *" $families_path "*) ;; *) families_found="$families_found $families_path" ;; esac
	done <"$T/touched"
	give "$1" "${families_found# }"
}

# nft_adoption: a table of our name without anything of ours in it is somebody's, or was left by an interrupted run. Keeps its text
# in T/found.FAMILY, and prints "refuse NUMBER not-owned TEXT" for everyone who does not adopt it.
nft_adoption() {
	local families tables family number
	have nft || return 0
	read_families families || return 1
	for family in $families; do
		nft_is_empty "$family" || continue
		tables=$(nft list tables) || return 1
		printf '%s\n' "$tables" | grep -qx "table $family drawbridge" || continue
		nft list table "$family" drawbridge >"$T/found.$family" && [ "$(tail -n 1 "$T/found.$family")" = "}" ] || return 1
		sed -n "s,^\([0-9]*\) put .* $ETC/nft/$family-drawbridge/.*,\1,p" "$T/manifest" | while read -r number; do
			adopts "$number" || echo "refuse $number not-owned the table $family drawbridge is there already and no resource's; \`adopt: true\` takes it over, and delete puts it back"
		done
	done
}

# nft_refusal: writes the new tables, their rollback and what fails closed, and tries all three in a throw-away namespace. Prints a result, and ends with REFUSED,
# where one of them does not load.
nft_refusal() {
	local families tool asked state is_narrow copy
	read_families families || return 1
	[ -n "$families" ] || return 0
	for tool in nft:nftables ip:iproute2 unshare:util-linux; do
		have "${tool%:*}" && continue
		printf 'failed missing-tool\ntext %s is not installed on this host; install the package %s\n' "${tool%:*}" "${tool#*:}"
		return "$REFUSED"
	done
	# As the table was loaded with: one that is left alone by this change keeps those of then.
	copy=
	case " $families " in *" netdev "*) copy=$RUN/proven.${T##*/}/present ;; esac
	# Whole texts stand in /run: they grow with all that stands on the host, and no disk has to take them with each change.
	# shellcheck disable=SC2015
	private_dir "$RUN" && mkdir "$T/dry" "$RUN/proven.${T##*/}" && nft_facts "$T/look" ${copy:+"$copy"} && true >"$T/dry/listed" || return 1
	[ -z "$copy" ] || true >"$T/dry/devices" || return 1
	# What the counters of the change were before it, for whoever asks which rule has met what locks him out.
	perl -e "$KERNEL_ASKED" "$LOOK.counters" "$T/touched" "$VAR/confirmed" >"$T/state.before" 2>/dev/null &
	asked=$!
	# shellcheck disable=SC2086
	if nft_narrow $families; then is_narrow=yes; else is_narrow=; fi
	wait "$asked" && read_line state "$T/state.before" && is_state "$state" || true >"$T/state.before" || return 1
	# shellcheck disable=SC2086
	[ -z "$is_narrow" ] || ! nft_delta_tried $families || return 0
	# shellcheck disable=SC2086
	nft_whole $families
}

# nft_delta_tried FAMILY…: whether the change of these tables loads as a delta, and its rollback; then they are in T/new.nft and T/undo.nft. One that does not load is no result: the whole
# text may, or says why it does not.
nft_delta_tried() {
	local family
	nft_delta "$@" && nft_shut_compared "$@" || return 1
	for family in "$@"; do echo "$family" >>"$T/dry/listed" || return 1; done
	nft_try "$T/dry" && nft_patches "$@"
}

# nft_whole FAMILY…: the same of whole texts: what is to be loaded stands in T/new.nft, with the counters as they stand, and the rollback in T/undo.FAMILY. Prints a result where
# something does not load.
nft_whole() {
	local new family said state
	new=$RUN/proven.${T##*/}
	rm -f "$T"/dry/* "$T"/shut.* "$new"/patches.* "$new"/deltas.* "$T"/narrow.* "$T/undo.nft" && true >"$T/dry/listed" && { [ ! -e "$new/present" ] || true >"$T/dry/devices"; } && read_state_counted state && echo "$state" >"$T/state.before" || return 1
	for family in "$@"; do
		nft_fragments "$family" "$T" >"$T/fragments.new.$family" && nft_fragments "$family" >"$T/fragments.undo.$family" && nft_index "$T/fragments.new.$family" >"$new/index.$family" || return 1
	done
	nft_look "$T"/fragments.* || return 1
	for family in "$@"; do nft_texts "$family" && cp "$LOOK.accounts" "$new/accounts.$family" && echo "$DIGEST" >"$new/program.$family" || return 1; done
	ask said default_drop_refusals "$@" || return 1
	if [ -n "$said" ]; then
		printf 'refused\n%s\n' "$said"
		return "$REFUSED"
	fi
	# In most tables no rule names a set of somebody else.
	if [ -s "$LOOK.uses" ]; then
		ask said sets_refusals "$@" || return 1
		if [ -n "$said" ]; then
			printf 'refused\n%s\n' "$said"
			return "$REFUSED"
		fi
	fi
	nft_whole_tried "$@"
}

# nft_texts FAMILY: the new texts of one table, with all counters at 0; what fails closed also to T/dry.
nft_texts() {
	local new
	new=$RUN/proven.${T##*/}
	nft_text "$1" "$T/fragments.new.$1" "$new/shut.$1" >"$new/new.$1" &&
		{ [ ! -s "$T/fragments.new.$1" ] || echo "$1" >>"$T/dry/listed"; } &&
		nft_fail_closed_tried "$1"
}

# nft_fail_closed_tried FAMILY: what fails closed is to be tried, with the file T/dry/shut.FAMILY, where it is another one than before.
nft_fail_closed_tried() {
	local shut
	shut=$RUN/proven.${T##*/}/shut.$1
	cmp -s "$shut" "$RUN/proven/shut.$1" || { true >"$T/dry/shut.$1" && printf 'include "%s"\n' "$shut" >>"$T/dry/shut.nft"; }
}

# nft_rollback_texts FAMILY: the texts of one table for its rollback, and those that are to be tried to T/dry.
nft_rollback_texts() {
	nft_text "$1" "$T/fragments.undo.$1" "$T/shut.$1" >"$T/back.$1" &&
		# What an earlier transaction of this boot has tried and was confirmed with needs no second try.
		{ { [ ! -e "$T/found.$1" ] && cmp -s "$T/back.$1" "$RUN/proven/new.$1"; } || { cat "$T/back.$1" && nft_found "$1"; } >>"$T/dry/undo.nft"; }
}

# nft_whole_tried FAMILY…: the second half of nft_whole.
nft_whole_tried() {
	local family
	for family in "$@"; do nft_rollback_texts "$family" || return 1; done
	cat "$RUN/proven.${T##*/}"/new.* >"$T/dry/new.nft" || return 1
	nft_try "$T/dry" || {
		printf 'failed dry-run\ntext %s: %s\n' "$(cat "$T/dry/failed" 2>/dev/null)" "$(cat "$T/dry/error.txt" "$T/dry/log" 2>/dev/null | head -n 12 | tr '\n\t' '  ')"
		return "$REFUSED"
	}
	nft_counted "$RUN/proven.${T##*/}"/new.* >"$T/new.nft" || return 1
	for family in "$@"; do nft_counted "$T/back.$family" >"$T/undo.$family" && nft_found "$family" >>"$T/undo.$family" || return 1; done
}

# nft_found FAMILY: the text of a table that was found and is adopted, which stands behind the one that puts ours back.
nft_found() { [ ! -e "$T/found.$1" ] || cat "$T/found.$1"; }

# sets_refusals FAMILY…: "refuse NUMBER rejected TEXT" for every operation that takes away a set which rules of others name.
sets_refusals() {
	local family missed path text number
	for family in "$@"; do
		missed=$(nft_sets_missed "$family" "$T/fragments.undo.$family" "$T/fragments.new.$family") || return 1
		[ -n "$missed" ] || continue
		printf '%s\n' "$missed" | while read -r path text; do
			number=$(awk -v path="$path" '$4 == path { print $1; exit }' "$T/manifest") || return 1
			printf 'refuse %s rejected %s; take those away first, or in the same change\n' "$number" "$text"
		done || return 1
	done
}

# default_drop_refusals FAMILY…: "refuse NUMBER rejected TEXT" for every operation that puts a default drop onto a hook on which another one stands, or
# comes before it in this change.
default_drop_refusals() {
	local family before after puts second path text number
	[ -d "$T/files$ETC/nft" ] || return 0
	# Most changes put none.
	puts=$(grep -rlE '^# attach [^ ]+ final ' /dev/null "$T/files$ETC/nft") || [ $? -eq 1 ] || return 1
	[ -n "$puts" ] || return 0
	for family in "$@"; do
		before=$(cat "$T/fragments.undo.$family") && after=$(cat "$T/fragments.new.$family") || return 1
		# Paths of fragments are ours and carry no blank.
		# shellcheck disable=SC2086
		second=$(awk '
			FNR == 1 { from = ""; path = FILENAME; sub(/.*\/etc\/drawbridge\//, "/etc/drawbridge/", path) }
			$1 == "#" && $2 == "from" { from = substr($0, 8) }
			$1 != "#" || $2 != "attach" || $4 != "final" { next }
			reading == "before" { stood[$3, path] = 1; next }
			# Who stood there stays, whatever its name.
			!($3 in path_of) || (($3, path) in stood) { path_of[$3] = path; from_of[$3] = from }
			{ all[++count] = $3 SUBSEP path }
			END {
				for (i = 1; i <= count; i++) {
					split(all[i], part, SUBSEP)
					if (path_of[part[1]] == part[2]) continue
					at = part[1]
					sub(/^drop\./, "", at)
					sub(/\//, " of ", at)
					stack = whose = from_of[part[1]]
					sub(/ .*/, "", stack)
					sub(/^[^ ]* /, "", whose)
					print part[2], "hook: has a default drop already, " whose " of the stack " stack ", and " at " can have one only; make this one an Allow or a Deny beside it, or give it another hook"
				}
			}' reading=before $before reading=after $after /dev/null) || return 1
		[ -n "$second" ] || continue
		printf '%s\n' "$second" | while read -r path text; do
			number=$(awk -v path="$path" '$4 == path { print $1; exit }' "$T/manifest") || return 1
			[ -z "$number" ] || echo "refuse $number rejected $text"
		done || return 1
	done
}

# cannot_store: a result.
cannot_store() { printf 'failed not-writable\ntext cannot write below %s: %s\n' "$VAR" "$(df -h /var/lib | tail -n 1)"; }

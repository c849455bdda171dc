# --- things held: rolled back, or confirmed -----------------------------------------------------------------------------
# Called by undo and retry_rollback (held_undo_all, held_retry), and by keep_confirmed (held_confirmed). The transaction's changes stand in its
# links.changed, "SUBJECT ATTRIBUTE BEFORE AFTER" a line; the rollback goes through them backwards. links.stuck has those that it could not roll
# back, which are tried again later.

# held_undo_all FIRST: what the transaction changed, the last change first, where it still stands; with FIRST only the bridges that
# are to come back, for the tables want them. Prints, and needs no disk for it, what it could not roll back.
held_undo_all() {
	local lines
	guarded_remove_temporaries
	[ -s "$T/links.changed" ] || return 0
	lines=$(held_backwards) || return 1
	[ -z "$1" ] || lines=$(printf '%s\n' "$lines" | grep ' is bridge ') || return 0
	printf '%s\n' "$lines" | held_undo_lines
}

# held_backwards: "SUBJECT ATTRIBUTE BEFORE AFTER" a line.
held_backwards() { awk '{ lines[NR] = $0 } END { for (i = NR; i > 0; i--) print lines[i] }' "$T/links.changed"; }

# held_undo_lines: such lines from stdin; prints those that could not be rolled back, and what hangs on them: a group that is not there
# has no members, and a file whose mode could not be narrowed is given to nobody.
held_undo_lines() {
	local line subject left
	left=" "
	while read -r line; do
		subject=${line%% *}
		case $left in
		*" $subject "*)
			echo "$line"
			continue
			;;
		esac
		# shellcheck disable=SC2086
		held_undo $line >/dev/null && continue
		complain "could not put back: $line"
		echo "$line"
		case $line in "$subject is "* | "$subject content "* | "$subject mode "*) left="$left$subject " ;; esac
	done
	return 0
}

# held_undo SUBJECT ATTRIBUTE BEFORE AFTER: fails where it still stands and cannot be rolled back.
held_undo() {
	local stands before others
	case $2 in
	# These are rolled back whatever has become of them: the host lives by them.
	carries) moved_undo "$1" ;;
	configured_as) configured_undo "$1" ;;
	content) guarded_undo "$1" "$3" "$4" && held_returns "$1" "$2" ;;
	*)
		read_held stands "$1" "$2" || return 1
		[ "$stands" != unsafe ] || {
			read_guarded_others others "${1%/*}"
			complain "$1 $2 cannot be put back: $others"
			return 1
		}
		[ "$stands" = "$4" ] || return 0
		[ "$3" != - ] || held_makes "$2" || return 0
		[ "$2" != addresses ] || links_undo_addresses "$1" "$3" "$4"
		before=$3
		case $1:$2 in /*:mode) read_mode_before before "$1" "$3" || return 1 ;; esac
		held_set "$1" "$2" "$before" 2>/dev/null || return 1
		held_returns "$1" "$2"
		;;
	esac
}

# held_stuck LINES: what is to be tried again. Where not even that can be written, it is all of them.
held_stuck() { { [ -z "$1" ] || printf '%s\n' "$1"; } 2>/dev/null >"$T/links.stuck" || rm -f "$T/links.stuck"; }

# held_retry: what an undo could not roll back, as soon as it can be: groups and packages' overrides stand on disks that may be full or
# read-only. Fails while something is left.
held_retry() {
	local said
	guarded_remove_temporaries
	[ -s "$T/links.changed" ] || return 0
	ask said held_undo_stuck || return 1
	held_stuck "$said"
	[ -z "$said" ]
}

held_undo_stuck() {
	local lines
	if [ -e "$T/links.stuck" ]; then lines=$(cat "$T/links.stuck"); else lines=$(held_backwards); fi || return 1
	[ -z "$lines" ] || printf '%s\n' "$lines" | held_undo_lines
}

# held_confirmed TXN: how things were found stands with the host from now on; of what nobody holds it is forgotten. Safe to do again.
held_confirmed() {
	local txn subject attribute value found
	txn=$1
	[ ! -e "$txn/links.found" ] || while read -r subject attribute value; do
		found=$VAR/found/links/$subject
		[ -d "$found" ] || mkdir -p "$found"
		[ -s "$found/$attribute" ] || {
			[ "$attribute" != content ] || [ "$value" = - ] || (umask 077 && cp "$txn/content/$value" "$found/bytes") || return 1
			echo "$value" >"$found/$attribute" || return 1
		}
	done <"$txn/links.found"
	moved_confirmed "$txn" || return 1
	[ -s "$txn/links.drop" ] || return 0
	set --
	while read -r _ subject attribute _; do
		group_remember_other "$subject" "$attribute" || return 1
		found=$VAR/found/links/$subject
		set -- "$@" "$found/$attribute"
		[ "$attribute" != content ] || set -- "$@" "$found/bytes"
	done <"$txn/links.drop"
	rm -f "$@" || return 1
	# Where something of it is still held, its folder stays.
	for found in "$@"; do [ ! -d "${found%/*}" ] || rmdir "${found%/*}" 2>/dev/null || :; done
}

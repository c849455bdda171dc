# --- things held: links, groups, files --------------------------------------------------------------------------------
# A file of ours holds attributes of things by lines "link DEVICE ATTRIBUTE VALUE", "group NAME ATTRIBUTE VALUE" or "file PATH ATTRIBUTE VALUE"; the
# first kind stands behind "# " where the file is one of the host's own network configuration. Nothing here is atomic, so each attribute is
# looked at, set, rolled back and given up by itself. Which there are is said in 35-links, 36-groups and 37-guarded.
# A transaction and the loader call this (34-held-transaction, 34-held-rollback). On disk, in the transaction's folder: links.changed, a line
# "SUBJECT ATTRIBUTE BEFORE AFTER" for each change before it is made; links.lost, "SUBJECT ATTRIBUTE LOST VALUE" for what goes with one.

# HELD_ITEM: for awk, item(): what the line holds, "SUBJECT ATTRIBUTE VALUE", or nothing; the subject is a device, an absolute path, or group:NAME.
# shellcheck disable=SC2016
HELD_ITEM='
	function item(line) {
		line = $0
		sub(/^# link /, "link ", line)
		if (line !~ /^(link|group|file) [^ ]* [^ ]* [^ ]*$/ || line ~ /^file [^\/]/) return ""
		sub(/^group /, "group:", line)
		sub(/^(link|file) /, "", line)
		return line
	}'

# held_items FILE…: such an item a line.
held_items() { [ $# -eq 0 ] || awk "$HELD_ITEM"'{ held = item(); if (held != "") print held }' "$@"; }

# is_held_file PATH: holds things.
is_held_file() {
	case $1 in
	"$ETC"/links/* | "$ETC"/groups/* | "$ETC"/files/* | /etc/network/interfaces.d/* | /etc/systemd/network/*) return 0 ;;
	esac
	return 1
}

# held_files FOLDER: those below FOLDER, one path a line.
held_files() {
	local below folder
	below=$1
	set --
	for folder in "$below$ETC/links" "$below$ETC/groups" "$below$ETC/files" "$below/etc/network/interfaces.d" "$below/etc/systemd/network"; do
		[ ! -d "$folder" ] || set -- "$@" "$folder"
	done
	[ $# -eq 0 ] || find "$@" -type f
}

# read_held VARIABLE SUBJECT ATTRIBUTE [STATE]: how it stands, into the variable; "-" where there is no such thing. Of a file, whoever has looked at it
# in this very step hands on its STATE (read_state).
read_held() {
	case $2 in
	/*) read_guarded "$@" ;;
	group:*) read_group "$1" "${2#group:}" "$3" ;;
	*) read_link "$1" "$2" "$3" ;;
	esac
}

# held_set SUBJECT ATTRIBUTE VALUE: complains on standard error when it cannot.
held_set() {
	case $1 in
	/*) guarded_set "$1" "$2" "$3" ;;
	group:*) group_set "${1#group:}" "$2" "$3" ;;
	*) link_set "$1" "$2" "$3" ;;
	esac
}

# read_default VARIABLE SUBJECT ATTRIBUTE: what it begins with, for what was not there when it was first held.
read_default() {
	case $2:$3 in
	group:*:member:*) give "$1" no ;;
	group:*:others) give "$1" none ;;
	/*:owner | /*:group) give "$1" root ;;
	/* | group:*) give "$1" - ;;
	*) read_link_default "$1" "$3" ;;
	esac
}

# held_waits SUBJECT ATTRIBUTE VALUE: what it needs is not there yet, or there is nothing to switch off.
held_waits() {
	case $1 in
	/*) [ "$2" = override ] && ! have dpkg-statoverride ;;
	group:*) return 1 ;;
	*) link_waits "$1" "$2" "$3" ;;
	esac
}

# held_stands ATTRIBUTE VALUE STANDS: whether what stands is what is held.
held_stands() {
	local stands_filled
	[ "$3" != "$2" ] || return 0
	[ "$1" = override ] || return 1
	read_override_filled stands_filled "$2" "$3"
	[ "$3" = "$stands_filled" ]
}

# held_makes ATTRIBUTE: its thing is not there without it.
held_makes() { [ "$1" = is ] || [ "$1" = content ]; }

# held_change VARIABLE SUBJECT ATTRIBUTE VALUE [STANDS [AHEAD]]: sets what stands otherwise; a transaction writes down first what it was. Fails where it
# could not, and why comes into the variable. Whoever has just read what stands hands it on. AHEAD: as in held_written.
held_change() {
	local change_value change_stands change_said
	give "$1" ''
	change_value=$4 change_stands=${5:-}
	if [ -n "$T" ]; then
		# What it is measured by.
		[ "$3" != address_of ] || moved_open "$2" "$4" || return 1
		[ "$3" != override ] || read_override_wanted change_value "$2" "$4" || return 1
	fi
	[ -n "$change_stands" ] || read_held change_stands "$2" "$3" || return 1
	[ "$change_stands" != "$change_value" ] || return 0
	[ "$change_stands" != unsafe ] || {
		read_guarded_others change_said "${2%/*}"
		give "$1" "$2 $3 stays: $change_said"
		return 1
	}
	[ -z "$T" ] || held_written "$2" "$3" "$change_stands" "$change_value" "${6:-}" || {
		give "$1" "$2 $3: cannot write below $VAR"
		return 1
	}
	# shellcheck disable=SC2015
	held_set "$2" "$3" "$change_value" >"${T:-$RUN}/said" 2>&1 && read_held change_stands "$2" "$3" || {
		read_last_line change_said "${T:-$RUN}/said"
		give "$1" "$2 $3 cannot be set to $change_value: $change_said"
		return 1
	}
	[ "$change_stands" = "$change_value" ] || guarded_is_his "$2" "$3" || {
		give "$1" "$2 $3 was set to $change_value and is $change_stands"
		return 1
	}
}

# held_written SUBJECT ATTRIBUTE BEFORE AFTER [AHEAD]: writes down a change of the transaction, and what goes with it, before it is made. What outlives
# a power cut wants the list on the disk first. AHEAD: those that held_ahead has written already, a line each.
held_written() {
	case $NEWLINE${5:-}$NEWLINE in
	*"$NEWLINE$1 $2 $3 $4$NEWLINE"*) ;;
	*)
		printf '%s %s %s %s\n' "$1" "$2" "$3" "$4" >>"$T/links.changed" || return 1
		case $1 in /* | group:*) sync "$T/links.changed" || return 1 ;; esac
		;;
	esac
	held_loses "$1" "$2" "$4" >>"$T/links.lost" || return 1
	case $2 in
	addresses) [ -e "$T/addresses.$1" ] || ip address save dev "$1" >"$T/addresses.$1" ;;
	carries) moved_keep "$1" "$4" ;;
	esac
}

# held_ahead AHEAD: writes down several changes before the first of them is made, lines "SUBJECT ATTRIBUTE BEFORE AFTER", so that the disk is waited
# for once. A rollback leaves alone what does not stand as AFTER, and so those that were not made.
held_ahead() { [ -z "$1" ] || { printf '%s\n' "$1" >>"$T/links.changed" && sync "$T/links.changed"; }; }

# held_loses SUBJECT ATTRIBUTE VALUE: what is forgotten of a thing that goes away, or of a port that changes its bridge, as "SUBJECT
# ATTRIBUTE LOST VALUE" a line: all that ours hold of it, and the address that a bridge was given when it was made.
held_loses() {
	local attributes lost stands
	case $2:$3 in
	is:- | master:*) ;;
	*) return 0 ;;
	esac
	attributes=$(awk -v subject="$1" -v but="$2" '
		function lose(attribute) { if (!seen[attribute]++) print attribute }
		BEGIN { if (but == "is") lose("address") }
		FILENAME ~ /old$/ { sub(/^[0-9]+ /, "") }
		$1 == subject && $2 != but { lose($2) }' "$T/links.old" "$T/links.others") || return 1
	[ -n "$attributes" ] || return 0
	while read -r lost; do
		[ "$2" = is ] || is_port_attribute "$lost" || continue
		read_held stands "$1" "$lost" || return 1
		[ "$stands" = - ] || printf '%s %s %s %s\n' "$1" "$2" "$lost" "$stands" || return 1
	done <<-ATTRIBUTES
		$attributes
	ATTRIBUTES
}

# held_returns SUBJECT ATTRIBUTE: sets what it lost, for it is there again.
held_returns() {
	local subject cause attribute value stands
	[ ! -s "$T/links.lost" ] || while read -r subject cause attribute value; do
		[ "$subject $cause" = "$1 $2" ] || continue
		read_held stands "$1" "$attribute" && [ "$stands" = "$value" ] || held_waits "$1" "$attribute" "$value" || held_set "$1" "$attribute" "$value" 2>/dev/null ||
			complain "could not put back: $1 $attribute $value"
	done <"$T/links.lost"
}

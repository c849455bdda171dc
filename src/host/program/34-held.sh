# --- things held: links, groups, files --------------------------------------------------------------------------------
# A file of ours holds attributes of things by lines "link DEVICE ATTRIBUTE VALUE", "group NAME ATTRIBUTE VALUE" or "file PATH ATTRIBUTE VALUE"; the
# first kind stands behind "# " where the file is one of the host's own network configuration. Nothing here is atomic, so each attribute is
# looked at, set, rolled back and given up by itself. Which there are is said in 35-links, 36-groups and 37-guarded.
# A transaction and the loader call this (34-held-transaction, 34-held-rollback). On disk, in the transaction's folder: links.changed, a line
# "SUBJECT ATTRIBUTE BEFORE AFTER" for each change before it is made; links.lost, "SUBJECT ATTRIBUTE LOST VALUE" for what goes with one.

# held_items FILE…: "SUBJECT ATTRIBUTE VALUE" a line; the subject is a device, an absolute path, or group:NAME.
held_items() {
	[ $# -eq 0 ] || sed -n -e 's/^\(# \)\{0,1\}link \([^ ]* [^ ]* [^ ]*\)$/\2/p' -e 's/^group \([^ ]* [^ ]* [^ ]*\)$/group:\1/p' \
		-e 's/^file \(\/[^ ]* [^ ]* [^ ]*\)$/\1/p' "$@"
}

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

# held_get SUBJECT ATTRIBUTE: how it stands; "-" where there is no such thing.
held_get() {
	case $1 in
	/*) guarded_get "$1" "$2" ;;
	group:*) group_get "${1#group:}" "$2" ;;
	*) link_get "$1" "$2" ;;
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

# held_default SUBJECT ATTRIBUTE: what it begins with, for what was not there when it was first held.
held_default() {
	case $1:$2 in
	group:*:member:*) echo no ;;
	group:*:others) echo none ;;
	/*:owner | /*:group) echo root ;;
	/* | group:*) echo - ;;
	*) link_default "$2" ;;
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
	[ "$3" = "$2" ] || { [ "$1" = override ] && [ "$3" = "$(override_fill "$2" "$3")" ]; }
}

# held_makes ATTRIBUTE: its thing is not there without it.
held_makes() { [ "$1" = is ] || [ "$1" = content ]; }

# held_change SUBJECT ATTRIBUTE VALUE: sets what stands otherwise; a transaction writes down first what it was. Prints why it could not.
held_change() {
	local value stands said
	value=$3
	if [ -n "$T" ]; then
		# What it is measured by.
		[ "$2" != address_of ] || moved_open "$1" "$3" >/dev/null || return 1
		[ "$2" != override ] || value=$(override_wanted "$1" "$3") || return 1
	fi
	stands=$(held_get "$1" "$2") || return 1
	[ "$stands" != "$value" ] || return 0
	[ "$stands" != unsafe ] || {
		echo "$1 $2 stays: $(guarded_others "${1%/*}")"
		return 1
	}
	[ -z "$T" ] || held_written "$1" "$2" "$stands" "$value" || {
		echo "$1 $2: cannot write below $VAR"
		return 1
	}
	# What stands then comes last.
	said=$(held_set "$1" "$2" "$value" 2>&1 && held_get "$1" "$2") || {
		printf '%s %s cannot be set to %s: %s\n' "$1" "$2" "$value" "$(printf '%s' "$said" | tail -n 1)"
		return 1
	}
	stands=$(printf '%s\n' "$said" | tail -n 1)
	[ "$stands" = "$value" ] || guarded_is_his "$1" "$2" || {
		printf '%s %s was set to %s and is %s\n' "$1" "$2" "$value" "$stands"
		return 1
	}
}

# held_written SUBJECT ATTRIBUTE BEFORE AFTER: writes down a change of the transaction, and what goes with it, before it is made. What outlives a
# power cut wants the list on the disk first.
held_written() {
	printf '%s %s %s %s\n' "$1" "$2" "$3" "$4" >>"$T/links.changed" || return 1
	case $1 in /* | group:*) sync "$T/links.changed" || return 1 ;; esac
	held_loses "$1" "$2" "$4" >>"$T/links.lost" || return 1
	case $2 in
	addresses) [ -e "$T/addresses.$1" ] || ip address save dev "$1" >"$T/addresses.$1" ;;
	carries) moved_keep "$1" "$4" ;;
	esac
}

# held_loses SUBJECT ATTRIBUTE VALUE: what is forgotten of a thing that goes away, or of a port that changes its bridge, as "SUBJECT
# ATTRIBUTE LOST VALUE" a line: all that ours hold of it, and the address that a bridge was given when it was made.
held_loses() {
	local attributes lost stands
	case $2:$3 in
	is:- | master:*) ;;
	*) return 0 ;;
	esac
	attributes=$({
		[ "$2" != is ] || echo address
		sed 's/^[0-9]* //' "$T/links.old" | cat - "$T/links.others" | awk -v subject="$1" -v but="$2" '$1 == subject && $2 != but { print $2 }'
	} | awk '!seen[$0]++')
	[ -z "$attributes" ] || printf '%s\n' "$attributes" | while read -r lost; do
		[ "$2" = is ] || is_port_attribute "$lost" || continue
		stands=$(held_get "$1" "$lost") || exit 1
		[ "$stands" = - ] || echo "$1 $2 $lost $stands"
	done
}

# held_returns SUBJECT ATTRIBUTE: sets what it lost, for it is there again.
held_returns() {
	local subject cause attribute value
	[ ! -s "$T/links.lost" ] || while read -r subject cause attribute value; do
		[ "$subject $cause" = "$1 $2" ] || continue
		[ "$(held_get "$1" "$attribute")" = "$value" ] || held_waits "$1" "$attribute" "$value" || held_set "$1" "$attribute" "$value" 2>/dev/null ||
			complain "could not put back: $1 $attribute $value"
	done <"$T/links.lost"
}

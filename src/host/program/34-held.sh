# --- things held: links, groups, files --------------------------------------------------------------------------------
# A file of ours holds things by lines "link DEVICE WORD VALUE", "group NAME WORD VALUE" or "file PATH WORD VALUE"; the first kind
# stands behind "# " where the file is one of the host's own network configuration. Nothing here is atomic, so each thing is looked
# at, set, put back and given up by itself. The words are those of 35-links, 36-groups and 37-guarded.

# held_items FILE…: "SUBJECT WORD VALUE" a line; the subject is a device, an absolute path, or group:NAME.
held_items() {
	[ $# -eq 0 ] || sed -n -e 's/^\(# \)\{0,1\}link \([^ ]* [^ ]* [^ ]*\)$/\2/p' -e 's/^group \([^ ]* [^ ]* [^ ]*\)$/group:\1/p' \
		-e 's/^file \(\/[^ ]* [^ ]* [^ ]*\)$/\1/p' "$@"
}

# is_link_file PATH: holds things.
is_link_file() {
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

# held_get SUBJECT WORD: how it stands, into $got; "-" where there is no such thing.
held_get() {
	case $1 in
	/*) guarded_get "$1" "$2" ;;
	group:*) group_get "${1#group:}" "$2" ;;
	*) link_get "$1" "$2" ;;
	esac
}

# held_set SUBJECT WORD VALUE: complains on standard error when it cannot.
held_set() {
	case $1 in
	/*) guarded_set "$1" "$2" "$3" ;;
	group:*) group_set "${1#group:}" "$2" "$3" ;;
	*) link_set "$1" "$2" "$3" ;;
	esac
}

# held_default SUBJECT WORD: what it begins with, into $got; for what was not there when it was first held.
held_default() {
	case $1:$2 in
	group:*:member:*) got=no ;;
	group:*:others) got=none ;;
	/*:owner | /*:group) got=root ;;
	/* | group:*) got=- ;;
	*) link_default "$2" ;;
	esac
}

# held_waits SUBJECT WORD VALUE: what it needs is not there yet, or there is nothing to switch off.
held_waits() {
	case $1 in
	/*) [ "$2" = override ] && ! have dpkg-statoverride ;;
	group:*) return 1 ;;
	*) link_waits "$1" "$2" "$3" ;;
	esac
}

# held_stands WORD VALUE: whether $got is what is held.
held_stands() {
	[ "$got" = "$2" ] || { [ "$1" = override ] && override_fill "$2" "$got" && [ "$got" = "$filled" ]; }
}

# held_makes WORD: its thing is not there without it.
held_makes() { [ "$1" = is ] || [ "$1" = content ]; }

# held_change SUBJECT WORD VALUE: sets what stands otherwise; a transaction writes down first what it was. Prints why it could not.
held_change() {
	value=$3
	# What it is measured by.
	[ "$2" != address_of ] || [ -z "${T:-}" ] || moved_open "$1" "$3" || return 1
	[ "$2" != override ] || value=$(override_wanted "$1" "$3")
	held_get "$1" "$2"
	[ "$got" != "$value" ] || return 0
	[ "$got" != unsafe ] || {
		echo "$1 $2 stays: $unsafe"
		return 1
	}
	[ -z "${T:-}" ] || printf '%s %s %s %s\n' "$1" "$2" "$got" "$value" >>"$T/links.changed" || {
		echo "$1 $2: cannot write below $VAR"
		return 1
	}
	[ -z "${T:-}" ] || (held_loses "$1" "$2" "$value" >>"$T/links.lost") || return 1
	[ -z "${T:-}" ] || [ "$2" != addresses ] || [ -e "$T/addresses.$1" ] || ip address save dev "$1" >"$T/addresses.$1" || return 1
	[ -z "${T:-}" ] || [ "$2" != carries ] || moved_keep "$1" "$3" || return 1
	said=$(held_set "$1" "$2" "$value" 2>&1) || {
		printf '%s %s cannot be set to %s: %s\n' "$1" "$2" "$value" "$(printf '%s' "$said" | tail -n 1)"
		return 1
	}
	held_get "$1" "$2"
	[ "$got" = "$value" ] || {
		printf '%s %s was set to %s and is %s\n' "$1" "$2" "$value" "$got"
		return 1
	}
}

# held_loses SUBJECT WORD VALUE: what is forgotten of a thing that goes away, or of a port that changes its bridge, as "SUBJECT WORD
# LOST VALUE" a line: all that ours hold of it, and the address that a bridge was given when it was made.
held_loses() {
	case $2:$3 in
	is:- | content:-) lost=. ;;
	master:*) lost='^\(isolated\|learning\|unicast_flood\|hairpin_mode\|bpdu_guard\|path_cost\|port_priority\|vlans\)$' ;;
	*) return 0 ;;
	esac
	{
		[ "$2" != is ] || echo address
		sed 's/^[0-9]* //' "$T/links.old" | cat - "$T/links.others" | awk -v subject="$1" -v word="$2" '$1 == subject && $2 != word { print $2 }'
	} | grep "$lost" | awk '!seen[$0]++' | while read -r lost; do
		held_get "$1" "$lost"
		[ "$got" = - ] || echo "$1 $2 $lost $got"
	done
}

# held_returns SUBJECT WORD: what it lost, for it is there again.
held_returns() {
	[ ! -s "$T/links.lost" ] || while read -r subject cause word lost; do
		[ "$subject $cause" = "$1 $2" ] || continue
		held_get "$1" "$word"
		[ "$got" = "$lost" ] || held_waits "$1" "$word" "$lost" || held_set "$1" "$word" "$lost" 2>/dev/null ||
			complain "could not put back: $1 $word $lost"
	done <"$T/links.lost"
}

# --- in a transaction ---

# links_plan: into T/links.put and T/links.drop, "NUMBER SUBJECT WORD VALUE" a line, what the transaction puts and what nobody
# holds any more after it; into T/links.others what other files hold. Groups go last, for files belong to them.
links_plan() {
	local number verb path others
	true >"$T/links.old" && true >"$T/links.put" && true >"$T/links.touched" && mkdir -p "$T/content" || return 1
	while read -r number verb path; do
		echo "$VAR/confirmed$path" >>"$T/links.touched" || return 1
		[ ! -e "$VAR/confirmed$path" ] || held_numbered "$number" "$VAR/confirmed$path" >>"$T/links.old" || return 1
		[ "$verb" = put ] || continue
		held_numbered "$number" "$T/files$path" >>"$T/links.put" || return 1
		case $path in "$ETC"/files/*) content_of "$T/files$path" || return 1 ;; esac
	done <"$T/links"
	held_files "$VAR/confirmed" >"$T/links.files" || return 1
	others=$(grep -vxF -f "$T/links.touched" "$T/links.files") || [ $? -eq 1 ] || return 1
	# Paths are ours and carry no blank.
	# shellcheck disable=SC2086
	held_items $others >"$T/links.others" || return 1
	awk '
		FILENAME ~ /others$/ { held[$1 " " $2] = 1; next }
		FILENAME ~ /put$/ { held[$2 " " $3] = 1; next }
		!(($2 " " $3) in held) && !(($2 " " $3) in given) { given[$2 " " $3] = 1; lines[++n] = $0 }
		# What was set last is given up first.
		END {
			for (i = n; i > 0; i--) if (lines[i] !~ /^[0-9]+ group:/) print lines[i]
			for (i = n; i > 0; i--) if (lines[i] ~ /^[0-9]+ group:/) print lines[i]
		}' "$T/links.others" "$T/links.put" "$T/links.old" >"$T/links.drop"
}

# held_numbered NUMBER FILE: the items of the file, each behind the number.
held_numbered() {
	local items
	items=$(held_items "$2") || return 1
	[ -z "$items" ] || printf '%s\n' "$items" | sed "s/^/$1 /"
}

# held_in_list LIST SUBJECT WORD: whether a line of T/links.LIST is about it; lines of all lists but "others" begin with a number.
held_in_list() {
	awk -v subject="$2" -v word="$3" -v at="$([ "$1" = others ] || echo 1)" '$(1 + at) == subject && $(2 + at) == word { found = 1; exit } END { exit !found }' "$T/links.$1"
}

# links_refusals: prints "refuse NUMBER CODE TEXT" for what is there and not ours, or held otherwise by somebody else.
links_refusals() {
	[ -s "$T/links" ] || return 0
	ask links_tools || return 1
	[ -z "$said" ] || {
		printf '%s\n' "$said"
		return 0
	}
	links_plan || return 1
	awk '
		FILENAME ~ /others$/ { value[$1 " " $2] = $3; next }
		{ key = $2 " " $3 }
		key in value && value[key] != $4 { print "refuse " $1 " not-owned " key " is held as " value[key] " by another resource; two cannot want different things of it"; next }
		($3 == "is" || $3 == "master" || $3 == "content") && key in put && put[key] != $1 { print "refuse " $1 " not-owned " $2 " belongs to another resource of this program; give it one owner"; next }
		{ value[key] = $4; put[key] = $1 }' "$T/links.others" "$T/links.put" || return 1
	while read -r number subject word value; do
		case $word in
		is | master | content | override) held_there "$number" "$subject" "$word" "$value" ;;
		gid | member:* | others) group_refusal "$number" "${subject#group:}" "$word" "$value" ;;
		vlan_filtering | vlans)
			[ "$value" = 0 ] || unshare -n ip link add name probe type bridge vlan_filtering 1 2>/dev/null ||
				echo "refuse $number rejected this kernel has no VLAN filtering for bridges (CONFIG_BRIDGE_VLAN_FILTERING)"
			;;
		esac
	done <"$T/links.put"
	guarded_refusals && moved_refusals
}

# links_tools: "refuse NUMBER missing-tool TEXT" for every operation whose tools are not there.
links_tools() {
	while read -r number _ path; do
		case $path in
		"$ETC"/files/*) ;;
		"$ETC"/groups/*) have groupadd && have gpasswd || echo "refuse $number missing-tool groupadd and gpasswd are not installed on this host; install the package passwd (shadow)" ;;
		*) have ip || echo "refuse $number missing-tool ip is not installed on this host; install the package iproute2" ;;
		esac
	done <"$T/links"
}

# held_there NUMBER SUBJECT WORD VALUE: what is there already wants `adopt`, unless it is this resource's, or was another one's of
# the same stack (a rename).
held_there() {
	held_get "$2" "$3"
	case $3:$got in
	# Where it is unsafe, guarded_refusals says so.
	*:- | *:unsafe | master:none | override:none) return 0 ;;
	is:other)
		echo "refuse $1 not-owned $2 is there already and is no bridge"
		return 0
		;;
	is:bridge) what="the bridge $2 is there already" ;;
	is:group) what="the group ${2#group:} is there already" ;;
	content:*) what="$2 is there already" ;;
	override:*)
		! held_stands "$3" "$4" || return 0
		what="dpkg-statoverride already makes $2 $got"
		;;
	*) what="$2 is already a port of $got" ;;
	esac
	! held_in_list old "$2" "$3" || return 0
	# shellcheck disable=SC2046
	other=$(for file in $(held_files "$VAR/confirmed"); do ! held_items "$file" | grep -qF -- "$2 $3 " || echo "$file"; done | head -n 1)
	if [ -n "$other" ]; then
		mine=$(header "$T/files$(sed -n "s/^$1 put //p" "$T/links" | head -n 1)" from)
		their=$(header "$other" from)
		if [ "${mine%% *}" = "${their%% *}" ]; then
			! grep -qxF -- "$(header "$other" owner)" "$T/held" ||
				echo "refuse $1 not-owned $2 belongs to another resource of this program; give it one owner"
			return 0
		fi
		what="$what and belongs to $their"
	else
		what="$what and not ours"
	fi
	adopts "$1" || echo "refuse $1 not-owned $what; \`adopt: true\` takes it over, and delete puts back what was found"
}

# links_made: bridges and groups first, so that tables and files find them. Prints "refuse NUMBER rejected TEXT" and fails.
links_made() {
	[ ! -s "$T/links.put" ] || while read -r number subject word value; do
		[ "$word" != is ] || held_put "$number" "$subject" "$word" "$value" || return 1
	done <"$T/links.put"
}

# links_set: all else, then what is given up; in the end all must stand at once.
links_set() {
	[ -s "$T/links" ] || return 0
	# Addresses go home before anything is said of the bridge that had them.
	links_give_up moved || return 1
	while read -r number subject word value; do
		case $word in is | others) continue ;; esac
		held_put "$number" "$subject" "$word" "$value" || return 1
	done <"$T/links.put"
	links_give_up rest || return 1
	# Who is named by no resource any more stands only now.
	while read -r number subject word value; do
		[ "$word" != others ] || held_put "$number" "$subject" "$word" "$value" || return 1
	done <"$T/links.put"
	while read -r number subject word value; do
		held_waits "$subject" "$word" "$value" && continue
		held_get "$subject" "$word"
		held_stands "$word" "$value" && continue
		echo "refuse $number rejected $subject $word was set to $value and is $got"
		return 1
	done <"$T/links.put"
}

# links_give_up moved|rest: what nobody holds any more; addresses that moved, or all else.
links_give_up() {
	while read -r number subject word value; do
		case $word in carries | configured_as) which=moved ;; *) which=rest ;; esac
		[ "$which" != "$1" ] || held_give_up "$number" "$subject" "$word" "$value" || return 1
	done <"$T/links.drop"
}

# held_put NUMBER SUBJECT WORD VALUE: the first who holds a thing writes down how it was found.
held_put() {
	held_waits "$2" "$3" "$4" && return 0
	held_get "$2" "$3"
	[ "$3" = override ] || ! guarded_made "$2" || got=-
	[ -e "$VAR/found/links/$2/$3" ] || printf '%s %s %s\n' "$2" "$3" "$got" >>"$T/links.found"
	case $3 in
	carries | configured_as) moved_notes "$1" "$2" "$3" >>"$T/notes" || return 1 ;;
	master) [ "$got" = "$4" ] || port_notes "$1" "$2" "$4" >>"$T/notes" || return 1 ;;
	esac
	said=$(held_change "$2" "$3" "$4") || {
		echo "refuse $1 rejected $said"
		return 1
	}
}

# held_give_up NUMBER SUBJECT WORD VALUE: as it was found, where what stands is still ours.
held_give_up() {
	held_waits "$2" "$3" "$4" && return 0
	held_get "$2" "$3"
	[ "$got" != - ] || return 0
	[ "$3" != configured_as ] || configured_notes "$1" "$2" given-back >>"$T/notes" || return 1
	[ "$got" != unsafe ] || {
		echo "$1 kept $2 $3: $unsafe" >>"$T/notes"
		return 0
	}
	if ! held_stands "$3" "$4" && ! moved_stands "$3" "$4"; then
		# A bridge of ours goes as a whole.
		[ "$(cat "$VAR/found/links/$2/is" 2>/dev/null)" = - ] || echo "$1 kept $2 $3: it is $got now, not $4" >>"$T/notes"
		return 0
	fi
	got=-
	[ ! -e "$VAR/found/links/$2/$3" ] || read -r got <"$VAR/found/links/$2/$3"
	[ "$got" != - ] || held_default "$2" "$3"
	before=$got
	[ "$3:$before" != is:- ] || held_free "$1" "$2" || return 0
	[ "$before" = - ] && ! held_makes "$3" && return 0
	said=$(held_change "$2" "$3" "$before") && return 0
	# It may have gone with what was given up before it.
	held_get "$2" "$3"
	[ "$got" != - ] || return 0
	case $2:$3 in
	group:*) where=/etc ;;
	/*:override) where=/var/lib/dpkg ;;
	/*) where=${2%/*} ;;
	*) where= ;;
	esac
	# A user who has left since, a tool that is gone: what can be put back is. A disk that takes nothing now will take it later.
	if [ -n "$where" ] && has_room "$where"; then
		echo "$1 kept $said" >>"$T/notes"
		return 0
	fi
	echo "refuse $1 rejected $said"
	return 1
}

# held_free NUMBER SUBJECT: nobody else needs it any more; fails, and says so, when somebody does.
held_free() {
	case $2 in
	group:*) group_free "$1" "${2#group:}" ;;
	*) bridge_free "$1" "$2" ;;
	esac
}

# links_undo FIRST: what the transaction changed, the last change first, where it still stands; with FIRST only the bridges that
# are to come back, for the tables want them. Prints, and needs no disk for it, what it could not put back.
links_undo() {
	[ -s "$T/links.changed" ] || return 0
	local lines
	lines=$(links_backwards) || return 1
	[ -z "$1" ] || lines=$(printf '%s\n' "$lines" | grep ' is bridge ') || return 0
	printf '%s\n' "$lines" | links_undo_lines
}

# links_backwards: "SUBJECT WORD BEFORE AFTER" a line.
links_backwards() { awk '{ lines[NR] = $0 } END { for (i = NR; i > 0; i--) print lines[i] }' "$T/links.changed"; }

# links_undo_lines: such lines from stdin; prints those that could not be put back, and what hangs on them: a group that is not there
# has no members.
links_undo_lines() {
	hanging=" "
	while read -r line; do
		about=${line%% *}
		case $hanging in
		*" $about "*)
			echo "$line"
			continue
			;;
		esac
		# shellcheck disable=SC2086
		held_undo $line >/dev/null && continue
		complain "could not put back: $line"
		echo "$line"
		case $line in "$about is "* | "$about content "*) hanging="$hanging$about " ;; esac
	done
	return 0
}

# held_undo SUBJECT WORD BEFORE AFTER: fails where it still stands and cannot be put back.
held_undo() {
	case $2 in
	# These are put back whatever has become of them: the host lives by them.
	carries) moved_undo "$1" ;;
	configured_as) configured_undo "$1" ;;
	*)
		held_get "$1" "$2"
		[ "$got" != unsafe ] || {
			complain "$1 $2 cannot be put back: $unsafe"
			return 1
		}
		[ "$got" = "$4" ] || return 0
		[ "$3" != - ] || held_makes "$2" || return 0
		[ "$2" != addresses ] || links_undo_addresses "$1" "$3" "$4"
		held_set "$1" "$2" "$3" 2>/dev/null || return 1
		held_returns "$1" "$2"
		;;
	esac
}

# links_stuck LINES: what is to be tried again. Where not even that can be written, it is all of them.
links_stuck() { { [ -z "$1" ] || printf '%s\n' "$1"; } 2>/dev/null >"$T/links.stuck" || rm -f "$T/links.stuck"; }

# links_rest: what an undo could not put back, as soon as it can be: groups and packages' overrides stand on disks that may be full or
# read-only. Fails while something is left.
links_rest() {
	[ -s "$T/links.changed" ] || return 0
	ask links_undo_stuck || return 1
	links_stuck "$said"
	[ -z "$said" ]
}

links_undo_stuck() {
	local lines
	if [ -e "$T/links.stuck" ]; then lines=$(cat "$T/links.stuck"); else lines=$(links_backwards); fi || return 1
	[ -z "$lines" ] || printf '%s\n' "$lines" | links_undo_lines
}

# links_confirmed TXN: how things were found, from now on with the host; what nobody holds is forgotten. Safe to do again.
links_confirmed() {
	[ ! -e "$1/links.found" ] || while read -r subject word value; do
		mkdir -p "$VAR/found/links/$subject"
		[ -s "$VAR/found/links/$subject/$word" ] || {
			[ "$word" != content ] || [ "$value" = - ] || (umask 077 && cp "$1/content/$value" "$VAR/found/links/$subject/bytes") || return 1
			echo "$value" >"$VAR/found/links/$subject/$word" || return 1
		}
	done <"$1/links.found"
	moved_confirmed "$1" || return 1
	[ ! -e "$1/links.drop" ] || while read -r _ subject word _; do
		group_remember_other "$subject" "$word" || return 1
		rm -f "$VAR/found/links/$subject/$word"
		[ "$word" != content ] || rm -f "$VAR/found/links/$subject/bytes"
		rmdir "$VAR/found/links/$subject" 2>/dev/null || :
	done <"$1/links.drop"
}

# --- boot, looking ---

# links_load: what stands in links/, on the devices that are here; the host's own configuration sees to the rest, and groups and
# files outlive a reboot by themselves.
links_load() {
	for file in "$ETC"/links/*; do
		[ -e "$file" ] || continue
		is_ours "$file" || {
			complain "$file is not loaded: it lacks the line \"# drawbridge $LAYOUT\""
			continue
		}
		held_items "$file" | while read -r subject word value; do
			# Addresses and what configures them are not the loader's.
			case $word in carries | configured_as) continue ;; esac
			# shellcheck disable=SC2030
			held_waits "$subject" "$word" "$value" || said=$(held_change "$subject" "$word" "$value") || complain "$said"
		done
	done
}

# links_live DIR: how everything stands that is held by a confirmed file, or by one below DIR/files.
links_live() {
	local wanted confirmed items subject word
	wanted=$(held_files "$1/files") && confirmed=$(held_files "$VAR/confirmed") || return 1
	# shellcheck disable=SC2086
	items=$(held_items $wanted $confirmed) && items=$(printf '%s\n' "$items" | awk 'NF { print $1, $2 }' | sort -u) || return 1
	[ -n "$items" ] || return 0
	printf '%s\n' "$items" | while read -r subject word; do
		held_get "$subject" "$word"
		printf '%s %s %s\n' "$subject" "$word" "$got" || exit 1
	done
}

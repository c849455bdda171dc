# --- things held: what a transaction makes of them ------------------------------------------------------------------------
# Called by prepare (held_refusals: what is wrong with it, before anything is changed) and by put_in_place (held_made before the tables,
# held_set_all behind them). In the transaction's folder stand, "NUMBER SUBJECT ATTRIBUTE VALUE" a line by the number of the operation:
#   links          "NUMBER put|drop PATH", its files that hold things
#   links.put      what it puts
#   links.old      what the same files held before
#   links.drop     what nobody holds any more after it
#   links.others   what other files hold; these without a number
#   links.found    how was found what nobody held before; these without a number, too

# held_plan: makes these lists. Groups are given up last, for files belong to them.
held_plan() {
	local number verb path others
	true >"$T/links.old" && true >"$T/links.put" && true >"$T/links.touched" && mkdir -p "$T/content" || return 1
	while read -r number verb path; do
		echo "$VAR/confirmed$path" >>"$T/links.touched" || return 1
		[ ! -e "$VAR/confirmed$path" ] || {
			held_numbered "$number" "$VAR/confirmed$path" >>"$T/links.old" && contents_of "$path" "$VAR/confirmed$path" || return 1
		}
		[ "$verb" = put ] || continue
		held_numbered "$number" "$T/files$path" >>"$T/links.put" && contents_of "$path" "$T/files$path" || return 1
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

# contents_of PATH FILE: content_of, where the file, which stands at PATH or is a copy of it, is about files.
contents_of() { case $1 in "$ETC"/files/*) content_of "$2" ;; esac; }

# content_of FILE: what a file of ours says that another shall hold, into T/content by its digest: lines behind "|", and behind "\" a
# last one that does not end.
content_of() {
	local sum
	{
		sed -n 's/^|//p' "$1"
		printf '%s' "$(sed -n 's/^\\//p' "$1")"
	} >"$T/content/new" && sum=$(sha256sum <"$T/content/new") && mv "$T/content/new" "$T/content/${sum%% *}"
}

# held_in_list LIST SUBJECT ATTRIBUTE: whether a line of T/links.LIST is about it; lines of all lists but "others" begin with a number.
held_in_list() {
	awk -v subject="$2" -v attribute="$3" -v at="$([ "$1" = others ] || echo 1)" '
		$(1 + at) == subject && $(2 + at) == attribute { found = 1; exit }
		END { exit !found }' "$T/links.$1"
}

# --- before anything is changed ---

# held_refusals: prints "refuse NUMBER CODE TEXT" for what is there and not ours, or held otherwise by somebody else.
held_refusals() {
	local number subject attribute value said
	[ -s "$T/links" ] || return 0
	ask said held_tools || return 1
	[ -z "$said" ] || {
		printf '%s\n' "$said"
		return 0
	}
	held_plan && held_conflicts || return 1
	while read -r number subject attribute value; do
		case $attribute in
		is | master | content | override) held_there "$number" "$subject" "$attribute" "$value" || return 1 ;;
		gid | member:* | others) group_refusal "$number" "${subject#group:}" "$attribute" "$value" || return 1 ;;
		vlan_filtering | vlans)
			[ "$value" = 0 ] || unshare -n ip link add name probe type bridge vlan_filtering 1 2>/dev/null ||
				echo "refuse $number rejected this kernel has no VLAN filtering for bridges (CONFIG_BRIDGE_VLAN_FILTERING)"
			;;
		esac
	done <"$T/links.put"
	guarded_refusals && moved_refusals
}

# held_tools: "refuse NUMBER missing-tool TEXT" for every operation whose tools are not there.
held_tools() {
	local number path
	while read -r number _ path; do
		case $path in
		"$ETC"/files/*) ;;
		"$ETC"/groups/*) have groupadd && have gpasswd || echo "refuse $number missing-tool groupadd and gpasswd are not installed on this host; install the package passwd (shadow)" ;;
		*) have ip || echo "refuse $number missing-tool ip is not installed on this host; install the package iproute2" ;;
		esac
	done <"$T/links"
}

# held_conflicts: prints "refuse NUMBER CODE TEXT" for what two resources want otherwise, or both want to own.
held_conflicts() {
	awk '
		FILENAME ~ /others$/ { value[$1 " " $2] = $3; next }
		{ key = $2 " " $3 }
		key in value && value[key] != $4 { print "refuse " $1 " not-owned " key " is held as " value[key] " by another resource; two cannot want different things of it"; next }
		($3 == "is" || $3 == "master" || $3 == "content") && key in put && put[key] != $1 { print "refuse " $1 " not-owned " $2 " belongs to another resource of this program; give it one owner"; next }
		{ value[key] = $4; put[key] = $1 }' "$T/links.others" "$T/links.put"
}

# held_there NUMBER SUBJECT ATTRIBUTE VALUE: what is there already wants `adopt`, unless it is this resource's, or was another one's of
# the same stack (a rename).
held_there() {
	local stands what holder mine theirs
	stands=$(held_get "$2" "$3") || return 1
	case $3:$stands in
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
		! held_stands "$3" "$4" "$stands" || return 0
		what="dpkg-statoverride already makes $2 $stands"
		;;
	*) what="$2 is already a port of $stands" ;;
	esac
	! held_in_list old "$2" "$3" || return 0
	holder=$(held_by "$2" "$3") || return 1
	if [ -n "$holder" ]; then
		mine=$(header "$T/files$(sed -n "s/^$1 put //p" "$T/links" | head -n 1)" from)
		theirs=$(header "$holder" from)
		if [ "${mine%% *}" = "${theirs%% *}" ]; then
			! grep -qxF -- "$(header "$holder" owner)" "$T/held" ||
				echo "refuse $1 not-owned $2 belongs to another resource of this program; give it one owner"
			return 0
		fi
		what="$what and belongs to $theirs"
	else
		what="$what and not ours"
	fi
	adopts "$1" || echo "refuse $1 not-owned $what; \`adopt: true\` takes it over, and delete puts back what was found"
}

# held_by SUBJECT ATTRIBUTE: the first confirmed file that holds it, or nothing.
held_by() {
	local files file
	files=$(held_files "$VAR/confirmed") || return 1
	for file in $files; do
		! held_items "$file" | grep -qF -- "$1 $2 " || {
			echo "$file"
			return 0
		}
	done
}

# --- the changes ---

# held_made: bridges and groups first, so that tables and files find them. Prints "refuse NUMBER rejected TEXT" and fails.
held_made() {
	local number subject attribute value
	[ ! -s "$T/links.put" ] || while read -r number subject attribute value; do
		[ "$attribute" != is ] || held_put "$number" "$subject" "$attribute" "$value" || return 1
	done <"$T/links.put"
}

# held_set_all: all else, then what is given up; in the end all must stand at once.
held_set_all() {
	[ -s "$T/links" ] || return 0
	# Addresses go home before anything is said of the bridge that had them; who is named by no resource any more stands only in the end.
	held_give_up_all moved && held_put_all rest && guarded_changes && held_give_up_all rest && held_put_all others && held_all_stand
}

# held_put_all rest|others: the puts, less those that others do: held_made, and guarded_changes of files.
held_put_all() {
	local number subject attribute value
	while read -r number subject attribute value; do
		# Of the attribute by itself: a group may have a member of any name.
		case $subject:$1 in
		/*) continue ;;
		*:others) [ "$attribute" = others ] || continue ;;
		*) case $attribute in is | others) continue ;; esac ;;
		esac
		held_put "$number" "$subject" "$attribute" "$value" || return 1
	done <"$T/links.put"
}

# held_give_up_all moved|rest: what nobody holds any more; addresses that moved, or all else but files.
held_give_up_all() {
	local number subject attribute value part
	while read -r number subject attribute value; do
		case $subject in /*) continue ;; esac
		case $attribute in
		carries | configured_as) part=moved ;;
		*) part=rest ;;
		esac
		[ "$part" != "$1" ] || held_give_up "$number" "$subject" "$attribute" "$value" || return 1
	done <"$T/links.drop"
}

# held_all_stand: prints a refusal for the first that does not stand as it was put, and fails.
held_all_stand() {
	local number subject attribute value stands
	while read -r number subject attribute value; do
		! held_waits "$subject" "$attribute" "$value" || continue
		printf '%s %s %s %s ' "$number" "$subject" "$attribute" "$value"
		held_get "$subject" "$attribute" || return 1
	done <"$T/links.put" >"$T/links.stand" || return 1
	while read -r number subject attribute value stands; do
		held_stands "$attribute" "$value" "$stands" || guarded_is_his "$subject" "$attribute" && continue
		echo "refuse $number rejected $subject $attribute was set to $value and is $stands"
		return 1
	done <"$T/links.stand"
}

# held_put NUMBER SUBJECT ATTRIBUTE VALUE: the first who holds it writes down how it was found.
held_put() {
	local stands said
	! held_waits "$2" "$3" "$4" || return 0
	stands=$(held_get "$2" "$3") || return 1
	held_found "$2" "$3" "$stands" || return 1
	case $3 in
	carries | configured_as) moved_notes "$1" "$2" "$3" "$stands" >>"$T/notes" || return 1 ;;
	master) [ "$stands" = "$4" ] || port_notes "$1" "$2" "$4" >>"$T/notes" || return 1 ;;
	esac
	said=$(held_change "$2" "$3" "$4") || {
		echo "refuse $1 rejected $said"
		return 1
	}
}

# held_found SUBJECT ATTRIBUTE STANDS: writes down how it was found, where nobody has held it yet. A file that was made here had nothing; what
# dpkg says of it is dpkg's.
held_found() {
	[ ! -e "$VAR/found/links/$1/$2" ] || return 0
	if [ "$2" != override ] && guarded_made "$1"; then set -- "$1" "$2" -; fi
	printf '%s %s %s\n' "$1" "$2" "$3" >>"$T/links.found"
}

# held_give_up NUMBER SUBJECT ATTRIBUTE VALUE: as it was found, where what stands is still ours.
held_give_up() {
	local stands value said place
	! held_waits "$2" "$3" "$4" || return 0
	stands=$(held_get "$2" "$3") && value=$(held_goes_back "$1" "$2" "$3" "$4" "$stands") || return 1
	[ -n "$value" ] || return 0
	said=$(held_change "$2" "$3" "$value") && return 0
	# It may have gone with what was given up before it.
	[ "$(held_get "$2" "$3")" != - ] || return 0
	case $2:$3 in
	group:*) place=/etc ;;
	/*:override) place=/var/lib/dpkg ;;
	/*) place=${2%/*} ;;
	*) place= ;;
	esac
	# A user who has left since, a tool that is gone: what can be put back is. A disk that takes nothing now will take it later.
	if [ -n "$place" ] && has_room "$place"; then
		echo "$1 kept $said" >>"$T/notes"
		return
	fi
	echo "refuse $1 rejected $said"
	return 1
}

# held_goes_back NUMBER SUBJECT ATTRIBUTE VALUE STANDS: what it is to become when nobody holds it any more; nothing where it stays as it stands,
# which is noted where somebody may wonder.
held_goes_back() {
	local value
	[ "$5" != - ] || return 0
	[ "$3" != configured_as ] || configured_notes "$1" "$2" given-back >>"$T/notes" || return 1
	[ "$5" != unsafe ] || {
		echo "$1 kept $2 $3: $(guarded_others "${2%/*}")" >>"$T/notes"
		return
	}
	# What its owner does not let us read goes unread.
	if ! held_stands "$3" "$4" "$5" && ! moved_stands "$3" "$4" "$5" && [ "$3:$5" != content:unreadable ]; then
		# A bridge of ours goes as a whole.
		[ "$(cat "$VAR/found/links/$2/is" 2>/dev/null)" = - ] || echo "$1 kept $2 $3: it is $5 now, not $4" >>"$T/notes"
		return
	fi
	value=-
	[ ! -e "$VAR/found/links/$2/$3" ] || read -r value <"$VAR/found/links/$2/$3"
	[ "$value" != - ] || value=$(held_default "$2" "$3") || return 1
	[ "$3:$value" != is:- ] || held_free "$1" "$2" || return 0
	[ "$value" = - ] && ! held_makes "$3" || printf '%s\n' "$value"
}

# held_free NUMBER SUBJECT: nobody else needs it any more; fails, and says so, when somebody does.
held_free() {
	case $2 in
	group:*) group_free "$1" "${2#group:}" ;;
	*) bridge_free "$1" "$2" ;;
	esac
}

# --- things held: what a transaction makes of them ------------------------------------------------------------------------
# Called by prepare (held_refusals: what is wrong with it, before anything is changed) and by put_in_place (held_made before the tables,
# held_set_all behind them). In the transaction's folder stand, "NUMBER SUBJECT ATTRIBUTE VALUE" a line by the number of the operation:
#   links          "NUMBER put|drop PATH", its files that hold things
#   links.put      what it puts
#   links.old      what the same files held before
#   links.drop     what nobody holds any more after it
#   links.others   what other files hold; these without a number
#   links.found    how was found what nobody held before; these without a number, too
#   links.asked    what it puts, as "old|new NUMBER SUBJECT ATTRIBUTE VALUE": whether the same files held such an attribute before
#   links.contents "DIGEST FILE", its files, as they were and as they are to be, that hold a content
#   links.paths    the guarded files that these files were or are about; empty in most transactions

# held_plan: makes these lists. Groups are given up last, for files belong to them.
held_plan() {
	local number verb path touched confirmed lists digest file
	touched=' '
	set --
	while read -r number verb path; do
		touched="$touched$VAR/confirmed$path "
		[ ! -e "$VAR/confirmed$path" ] || set -- "$@" list=old number="$number" "$VAR/confirmed$path"
		[ "$verb" != put ] || set -- "$@" list=put number="$number" "$T/files$path"
	done <"$T/links"
	confirmed=$(held_files "$VAR/confirmed") || return 1
	set -- "$@" list=others
	# Paths are ours and carry no blank.
	for path in $confirmed; do
		case $touched in *" $path "*) ;; *) set -- "$@" "$path" ;; esac
	done
	# Where there is no file, it would read what comes in.
	lists=$(awk "$HELD_ITEM$HELD_PLAN" "$@" </dev/null) && held_listed "$lists$NEWLINE" || return 1
	[ ! -s "$T/links.contents" ] || mkdir -p "$T/content" || return 1
	while read -r digest file; do
		[ -e "$T/content/$digest" ] || content_of "$file" || return 1
	done <"$T/links.contents"
}

# HELD_PLAN: for awk behind HELD_ITEM, of the files behind list=LIST and number=NUMBER: all lists, each behind an empty line and "= LIST".
# shellcheck disable=SC2016
HELD_PLAN='
	function add(to, said) { lines[to, ++n[to]] = said }
	(held = item()) == "" { next }
	{ split(held, part, " "); key = part[1] " " part[2] }
	list == "others" { add("others", held); other[key]; next }
	{ add(list, number " " held); of[list, n[list]] = key; has[list, key] }
	key ~ /^\// && !(part[1] in guarded) { guarded[part[1]]; add("paths", part[1]) }
	part[2] == "content" && key ~ /^\// { add("contents", part[3] " " FILENAME) }
	END {
		for (i = 1; i <= n["put"]; i++) add("asked", ((("old", of["put", i]) in has) ? "old " : "new ") lines["put", i])
		# What was set last is given up first.
		for (i = n["old"]; i > 0; i--) first[of["old", i]] = i
		for (groups = 0; groups < 2; groups++)
			for (i = n["old"]; i > 0; i--) {
				key = of["old", i]
				if (first[key] != i || (key in other) || (("put", key) in has)) continue
				if ((key ~ /^group:/) == groups) add("drop", lines["old", i])
			}
		last = split("old put others drop asked contents paths", names, " ")
		for (i = 1; i <= last; i++) {
			print "\n= " names[i]
			for (j = 1; j <= n[names[i]]; j++) print lines[names[i], j]
		}
		print "\n= end"
	}'

# held_listed LISTS: what HELD_PLAN has printed, into its files. By the shell, which says so where a disk is full; not every awk does.
held_listed() {
	local list
	set -- "$1" old put others drop asked contents paths end
	case $1 in *"$NEWLINE= end$NEWLINE") ;; *) return 1 ;; esac
	while [ $# -gt 2 ]; do
		list=${1#*"$NEWLINE= $2$NEWLINE"}
		printf '%s' "${list%%"$NEWLINE= $3$NEWLINE"*}" >"$T/links.$2" || return 1
		list=$1
		shift 2
		set -- "$list" "$@"
	done
}

# content_of FILE: what a file of ours says that another shall hold, into T/content by its digest: lines behind "|", and behind "\" a
# last one that does not end.
content_of() {
	local sum
	{
		sed -n 's/^|//p' "$1"
		printf '%s' "$(sed -n 's/^\\//p' "$1")"
	} >"$T/content/new" && sum=$(sha256sum <"$T/content/new") && mv "$T/content/new" "$T/content/${sum%% *}"
}

# held_puts SUBJECT ATTRIBUTE: whether the transaction puts it.
held_puts() { awk -v subject="$1" -v attribute="$2" '$2 == subject && $3 == attribute { found = 1; exit } END { exit !found }' "$T/links.put"; }

# read_put_file VARIABLE NUMBER: the first file that the operation puts, as it is in the transaction.
read_put_file() {
	local file_number file_verb file_path
	while read -r file_number file_verb file_path; do
		[ "$file_number $file_verb" != "$2 put" ] || {
			give "$1" "$T/files$file_path"
			return 0
		}
	done <"$T/links"
	return 1
}

# --- before anything is changed ---

# held_refusals: prints "refuse NUMBER CODE TEXT" for what is there and not ours, or held otherwise by somebody else.
held_refusals() {
	local before number subject attribute value said strangers
	[ -s "$T/links" ] || return 0
	ask said held_tools || return 1
	[ -z "$said" ] || {
		printf '%s\n' "$said"
		return 0
	}
	held_plan && held_conflicts && read_strangers strangers || return 1
	while read -r before number subject attribute value; do
		case $attribute in
		is | master | content | override) held_there "$number" "$subject" "$attribute" "$value" "$before" || return 1 ;;
		gid | member:* | others) group_refusal "$number" "${subject#group:}" "$attribute" "$value" "$strangers" || return 1 ;;
		vlan_filtering | vlans)
			[ "$value" = 0 ] || unshare -n ip link add name probe type bridge vlan_filtering 1 2>/dev/null ||
				echo "refuse $number rejected this kernel has no VLAN filtering for bridges (CONFIG_BRIDGE_VLAN_FILTERING)"
			;;
		esac
	done <"$T/links.asked"
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

# held_there NUMBER SUBJECT ATTRIBUTE VALUE old|new: what is there already wants `adopt`, unless it is this resource's, or was another one's of
# the same stack (a rename).
held_there() {
	local stands what holder file mine theirs owner
	read_held stands "$2" "$3" || return 1
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
	[ "$5" != old ] || return 0
	holder=$(held_by "$2" "$3") || return 1
	if [ -n "$holder" ]; then
		read_put_file file "$1" || return 1
		read_header mine "$file" from
		read_header theirs "$holder" from
		if [ "${mine%% *}" = "${theirs%% *}" ]; then
			read_header owner "$holder" owner
			! grep -qxF -- "$owner" "$T/held" ||
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
	local files
	files=$(held_files "$VAR/confirmed") || return 1
	# Paths are ours and carry no blank.
	# shellcheck disable=SC2086
	[ -z "$files" ] || awk -v key="$1 $2 " "$HELD_ITEM"'index(item(), key) == 1 { print FILENAME; exit }' $files
}

# --- the changes ---

# held_made: bridges, and groups with their members, first, so that tables and files find them. Prints "refuse NUMBER rejected TEXT" and fails.
held_made() {
	local number subject attribute value ahead
	[ -s "$T/links.put" ] || return 0
	read_groups_ahead ahead && held_ahead "$ahead" || return 1
	# As they were found before their group was made with them (group_make).
	while read -r subject attribute value _; do
		case $attribute in member:*) held_found "$subject" "$attribute" "$value" || return 1 ;; esac
	done <<-AHEAD
		$ahead
	AHEAD
	while read -r number subject attribute value; do
		case $attribute in is | member:*) held_put "$number" "$subject" "$attribute" "$value" "$ahead" || return 1 ;; esac
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
		*) case $attribute in is | member:* | others) continue ;; esac ;;
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

# held_all_stand: prints a refusal for the first that does not stand as it was put, and fails. A file is looked at once for all that is put of it.
held_all_stand() {
	local number subject attribute value stands path state
	path='' state=''
	while read -r number subject attribute value; do
		! held_waits "$subject" "$attribute" "$value" || continue
		case $subject in
		"$path") ;;
		/*) path=$subject && read_state state "$path" || return 1 ;;
		esac
		read_held stands "$subject" "$attribute" "$state" || return 1
		held_stands "$attribute" "$value" "$stands" || guarded_is_his "$subject" "$attribute" && continue
		echo "refuse $number rejected $subject $attribute was set to $value and is $stands"
		return 1
	done <"$T/links.put"
}

# held_put NUMBER SUBJECT ATTRIBUTE VALUE [AHEAD]: the first who holds it writes down how it was found. AHEAD: as in held_written.
held_put() {
	local stands
	! held_waits "$2" "$3" "$4" || return 0
	read_held stands "$2" "$3" && held_found "$2" "$3" "$stands" || return 1
	case $3 in
	carries | configured_as) moved_notes "$1" "$2" "$3" "$stands" >>"$T/notes" || return 1 ;;
	master) [ "$stands" = "$4" ] || port_notes "$1" "$2" "$4" >>"$T/notes" || return 1 ;;
	esac
	held_put_over "$1" "$2" "$3" "$4" "$stands" "${5:-}"
}

# held_put_over NUMBER SUBJECT ATTRIBUTE VALUE STANDS [AHEAD]: over what stands. Prints a refusal and fails where that cannot be done.
held_put_over() {
	local said
	held_change said "$2" "$3" "$4" "$5" "${6:-}" && return 0
	echo "refuse $1 rejected $said"
	return 1
}

# held_found SUBJECT ATTRIBUTE STANDS: writes down how it was found, where nobody has held it yet.
held_found() { [ -e "$VAR/found/links/$1/$2" ] || printf '%s %s %s\n' "$1" "$2" "$3" >>"$T/links.found"; }

# held_give_up NUMBER SUBJECT ATTRIBUTE VALUE: as it was found, where what stands is still ours.
held_give_up() {
	local stands value said place
	! held_waits "$2" "$3" "$4" || return 0
	read_held stands "$2" "$3" && read_goes_back value "$1" "$2" "$3" "$4" "$stands" || return 1
	[ -n "$value" ] || return 0
	held_change said "$2" "$3" "$value" "$stands" && return 0
	# It may have gone with what was given up before it.
	read_held stands "$2" "$3" && [ "$stands" = - ] && return 0
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

# read_goes_back VARIABLE NUMBER SUBJECT ATTRIBUTE VALUE STANDS: what it is to become when nobody holds it any more; nothing where it stays as it
# stands, which is noted where somebody may wonder.
read_goes_back() {
	local back_value back_made back_others
	give "$1" ''
	[ "$6" != - ] || return 0
	[ "$4" != configured_as ] || configured_notes "$2" "$3" given-back >>"$T/notes" || return 1
	[ "$6" != unsafe ] || {
		read_guarded_others back_others "${3%/*}" && echo "$2 kept $3 $4: $back_others" >>"$T/notes"
		return
	}
	# What its owner does not let us read goes unread.
	if ! held_stands "$4" "$5" "$6" && ! moved_stands "$4" "$5" "$6" && [ "$4:$6" != content:unreadable ]; then
		# A bridge of ours goes as a whole.
		read_line back_made "$VAR/found/links/$3/is"
		[ "$back_made" = - ] || echo "$2 kept $3 $4: it is $6 now, not $5" >>"$T/notes"
		return
	fi
	back_value=-
	[ ! -e "$VAR/found/links/$3/$4" ] || read -r back_value <"$VAR/found/links/$3/$4"
	[ "$back_value" != - ] || read_default back_value "$3" "$4" || return 1
	[ "$4:$back_value" != is:- ] || {
		held_free "$2" "$3"
		case $? in
		0) ;;
		1) return 0 ;;
		*) return 1 ;;
		esac
	}
	if [ "$back_value" != - ] || held_makes "$4"; then give "$1" "$back_value"; fi
}

# held_free NUMBER SUBJECT: nobody else needs it any more. Status 1 where somebody does, which it notes; 2 where that cannot be known.
held_free() {
	case $2 in
	group:*) group_free "$1" "${2#group:}" ;;
	*) bridge_free "$1" "$2" ;;
	esac
}

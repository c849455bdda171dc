# --- groups: the attributes of system groups ----------------------------------------------------------------------------
# is (group), gid, member:USER (yes), and others (none): who is a member and is named by no resource of ours. Only local groups: gpasswd
# changes no others. Called by 34-held. On disk it leaves the host's own account files as the tools of the package passwd write them, and in the
# transaction's folder links.gids, the numbers of groups that it took away.

# read_group VARIABLE NAME ATTRIBUTE: how it stands, into the variable; "-" where there is no such group. Fails where nobody knows.
read_group() {
	local group_name group_gid group_members group_answer
	group_answer=-
	[ -s /etc/group ] || return 1
	while IFS=: read -r group_name _ group_gid group_members; do
		[ "$group_name" = "$2" ] || continue
		case $3 in
		is) group_answer=group ;;
		gid) group_answer=$group_gid ;;
		member:*) case ",$group_members," in *",${3#member:},"*) group_answer=yes ;; *) group_answer=no ;; esac ;;
		others) group_answer=$(group_others "$2") && [ -n "$group_answer" ] || return 1 ;;
		esac
		break
	done </etc/group || return 1
	give "$1" "$group_answer"
}

# group_others NAME: prints who is in the group, or has it as his first group, and is named by no resource of ours; with commas, or "none". In a
# transaction those are named who are so after it; where it gives `others` up, also those that it is about to give up.
group_others() {
	local name confirmed
	name=$1
	if [ -n "$T" ] && [ -e "$T/links.put" ]; then
		set -- "$T/links.put" "$T/links.others" "$T/links.old"
	else
		confirmed=$(held_files "$VAR/confirmed") || return 1
		# Paths are ours and carry no blank.
		# shellcheck disable=SC2086
		set -- $confirmed
	fi
	awk -v name="$name" "$HELD_ITEM$GROUP_OTHERS" "$@" /etc/group /etc/passwd
}

# GROUP_OTHERS: for awk behind HELD_ITEM, of the transaction's lists or of files of ours, and then of the accounts. Sorted, for a list is compared as it stands.
# shellcheck disable=SC2016
GROUP_OTHERS='
	function other(user) { if (!(user in named) && !(user in seen)) { seen[user]; users[++n] = user } }
	FILENAME == "/etc/group" || FILENAME == "/etc/passwd" {
		split($0, part, ":")
		if (FILENAME == "/etc/passwd") { if (found && part[4] == gid) other(part[1]) }
		else if (!found && part[1] == name) {
			found = 1
			gid = part[3]
			members = split(part[4], member, ",")
			for (i = 1; i <= members; i++) other(member[i])
		}
		next
	}
	FILENAME ~ /links\.old$/ && stays { next }
	FILENAME !~ /links\.(put|others|old)$/ { $0 = item() }
	{ sub(/^[0-9]+ /, "") }
	$1 != "group:" name { next }
	$2 == "others" && FILENAME ~ /links\.put$/ { stays = 1 }
	sub(/^member:/, "", $2) { named[$2] }
	END {
		if (!found) exit 1
		for (i = 2; i <= n; i++) for (j = i; j > 1 && users[j - 1] "" > users[j] ""; j--) { user = users[j]; users[j] = users[j - 1]; users[j - 1] = user }
		for (i = 1; i <= n; i++) list = list (i > 1 ? "," : "") users[i]
		print n ? list : "none"
	}'

# read_groups_ahead VARIABLE: what the transaction makes of groups and of their members, as records for held_ahead.
read_groups_ahead() {
	local ahead_records ahead_subject ahead_attribute ahead_value ahead_stands
	ahead_records=
	while read -r _ ahead_subject ahead_attribute ahead_value; do
		case $ahead_subject:$ahead_attribute in group:*:is | group:*:member:*) ;; *) continue ;; esac
		read_group ahead_stands "${ahead_subject#group:}" "$ahead_attribute" || return 1
		# Nobody is in a group that is yet to be made.
		[ "$ahead_stands" != - ] || [ "$ahead_attribute" = is ] || ahead_stands=no
		[ "$ahead_stands" = "$ahead_value" ] ||
			ahead_records=$ahead_records${ahead_records:+"$NEWLINE"}"$ahead_subject $ahead_attribute $ahead_stands $ahead_value"
	done <"$T/links.put"
	give "$1" "$ahead_records"
}

# group_set NAME ATTRIBUTE VALUE: complains on standard error when it cannot.
group_set() {
	local gid
	case $2:$3 in
	is:group) group_make "$1" ;;
	is:-)
		# Its number is a help for who makes it again, not a condition: a full disk stops no rollback.
		read_group gid "$1" gid && printf -- '- group:%s gid %s\n' "$1" "$gid" >>"$T/links.gids"
		groupdel "$1"
		;;
	gid:*) groupmod -g "$3" "$1" ;;
	member:*:yes) gpasswd -a "${2#member:}" "$1" >/dev/null ;;
	member:*) gpasswd -d "${2#member:}" "$1" >/dev/null ;;
	others:*) group_set_others "$1" "$3" ;;
	esac
}

# group_make NAME: with the number that the transaction asks for, or that it had before the transaction took it away; and where the transaction names several
# members, with these, for each call of gpasswd takes its time. (groupadd -U would not write them to /etc/gshadow.)
group_make() {
	local name asked gid members
	name=$1
	set -- "$T/links.put"
	[ ! -e "$T/links.gids" ] || set -- "$T/links.gids" "$@"
	asked=$(awk -v subject="group:$name" '
		$2 != subject { next }
		$3 == "gid" && gid == "" { gid = $4 }
		sub(/^member:/, "", $3) && $4 == "yes" { members = members (members == "" ? "" : ",") $3 }
		END { print gid ":" members }' "$@") || return 1
	gid=${asked%%:*} members=${asked#*:}
	set -- --system
	[ -z "$gid" ] || set -- "$@" -g "$gid"
	groupadd "$@" "$name" || return 1
	case $members in *,*) gpasswd -M "$members" "$name" ;; esac
}

# group_set_others NAME LIST: of those whom no resource of ours names, just these are members. A first group is usermod's, and stays.
group_set_others() {
	local stands firsts user lists
	read_group stands "$1" others && firsts=$(group_firsts "$1") || return 1
	for user in $(link_list "$stands"); do
		case ",$2," in *",$user,"*) continue ;; esac
		read_group lists "$1" "member:$user" || return 1
		[ "$lists" != yes ] || gpasswd -d "$user" "$1" >/dev/null || return 1
	done
	for user in $(link_list "$2"); do
		read_group lists "$1" "member:$user" || return 1
		case "$NEWLINE$firsts$NEWLINE" in *"$NEWLINE$user$NEWLINE"*) continue ;; esac
		[ "$lists" = yes ] || gpasswd -a "$user" "$1" >/dev/null || return 1
	done
}

# group_remember_other SUBJECT ATTRIBUTE: who was found as a member and is named no more, while `others` is held, counts as one of the others who
# were found: a delete puts him back.
group_remember_other() {
	local list others found
	others=$VAR/found/links/$1/others
	case $2 in member:*) ;; *) return 0 ;; esac
	read_line list "$others"
	read_line found "$VAR/found/links/$1/$2"
	[ -n "$list" ] && [ "$found" = yes ] || return 0
	list=$({ link_list "$list"; echo "${2#member:}"; } | sort -u | tr '\n' ,) && [ -n "$list" ] && printf '%s\n' "${list%,}" >"$others"
}

# group_firsts NAME: whose first group it is, by their lines in /etc/passwd; a user a line.
group_firsts() {
	awk -F: -v name="$1" '
		FILENAME == "/etc/group" && $1 == name { gid = $3; found = 1 }
		FILENAME == "/etc/passwd" && found && $4 == gid { print $1 }' /etc/group /etc/passwd
}

# read_strangers VARIABLE: whom the transaction names as members and this host does not know, with blanks around each. They are asked for together, and
# one by one only where one is missing.
read_strangers() {
	local strangers_into strangers_attribute strangers_name strangers_found
	strangers_into=$1 strangers_found=' '
	set --
	while read -r _ _ strangers_attribute _; do
		case $strangers_attribute in member:*) set -- "$@" "${strangers_attribute#member:}" ;; esac
	done <"$T/links.put"
	[ $# -eq 0 ] || getent passwd "$@" >/dev/null || for strangers_name in "$@"; do
		getent passwd "$strangers_name" >/dev/null || strangers_found="$strangers_found$strangers_name "
	done
	give "$strangers_into" "$strangers_found"
}

# group_refusal NUMBER NAME ATTRIBUTE VALUE STRANGERS: prints "refuse NUMBER refused TEXT" for a number that is another's, a user who is not there
# (read_strangers), one who cannot be taken out.
group_refusal() {
	local stands other user firsts
	case $3 in
	gid)
		read_group stands "$2" gid || return 1
		[ "$stands" != "$4" ] || return 0
		if [ "$stands" = - ]; then
			other=$(getent group "$4")
			case $? in 0 | 2) ;; *) return 1 ;; esac
			[ -z "$other" ] || echo "refuse $1 refused gid: $4 is the number of the group ${other%%:*} on this host"
		elif ! awk -v line="$1 group:$2 gid $4" '$0 == line { found = 1 } END { exit !found }' "$T/links.old"; then
			echo "refuse $1 refused gid: the group $2 has the number $stands here, and files may belong to it; write $stands, or leave \`gid\` out to keep it"
		fi
		;;
	member:*)
		case $5 in
		*" ${3#member:} "*) echo "refuse $1 refused members: there is no user ${3#member:} on this host$(did_you_mean passwd "${3#member:}")" ;;
		esac
		;;
	others)
		read_group stands "$2" others && firsts=$(group_firsts "$2") || return 1
		for user in $(link_list "${stands#-}"); do
			case "$NEWLINE$firsts$NEWLINE" in
			*"$NEWLINE$user$NEWLINE"*) echo "refuse $1 refused exclusive: $2 is the first group of $user (in /etc/passwd), who has its rights by that; give him another one (usermod -g), or name him in \`members\`" ;;
			esac
		done
		;;
	esac
}

# group_free NUMBER NAME: whether nobody is in the group that is to go, and nothing of ours or of dpkg's names it: an override for a
# group that is not there stops dpkg altogether. Status 1, and a note, where somebody is; 2 where that cannot be known.
group_free() {
	local overrides why
	overrides=
	! have dpkg-statoverride || overrides=$(dpkg-statoverride --list) || [ $? -eq 1 ] || return 2
	why=$(printf '%s\n' "$overrides" | awk -v name="$2" '
		FILENAME == "/etc/group" || FILENAME == "/etc/passwd" {
			split($0, part, ":")
			if (FILENAME == "/etc/group" && part[1] == name) { gid = part[3]; found = 1; if (part[4] != "") printf "%s ", part[4] }
			if (FILENAME == "/etc/passwd" && found && part[4] == gid) printf "%s ", part[1]
			next
		}
		FILENAME ~ /others$/ && $2 == "group" && $3 == name { printf "%s ", $1 }
		FILENAME ~ /put$/ && $3 == "group" && $4 == name { printf "%s ", $2 }
		FILENAME == "-" && $2 == name { printf "%s ", $4 }
		END { print "" }' /etc/group /etc/passwd "$T/links.others" "$T/links.put" -) || return 2
	[ -n "$why" ] || return 0
	echo "$1 kept the group $2: others still need it: ${why% }" >>"$T/notes" || return 2
	return 1
}

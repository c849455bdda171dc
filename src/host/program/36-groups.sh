# --- groups: the attributes of system groups ----------------------------------------------------------------------------
# is (group), gid, member:USER (yes), and others (none): who is a member and is named by no resource of ours. Only local groups: gpasswd
# changes no others. Called by 34-held. On disk it leaves the host's own account files as the tools of the package passwd write them, and in the
# transaction's folder links.gids, the numbers of groups that it took away.

# group_get NAME ATTRIBUTE: how it stands; "-" where there is no such group.
group_get() {
	local name gid members value
	value=-
	while IFS=: read -r name _ gid members; do
		[ "$name" = "$1" ] || continue
		case $2 in
		is) value=group ;;
		gid) value=$gid ;;
		member:*) case ",$members," in *",${2#member:},"*) value=yes ;; *) value=no ;; esac ;;
		others) value=$(group_others "$1") && [ -n "$value" ] || return 1 ;;
		esac
	done </etc/group
	echo "$value"
}

# group_others NAME: prints who is in the group, or has it as his first group, and is named by no resource of ours; with commas, or "none".
group_others() {
	group_members_held "$1" | awk -F: -v name="$1" '
		FILENAME == "-" { held[$1]; next }
		FILENAME == "/etc/group" && $1 == name { gid = $3; n = split($4, member, ","); for (i = 1; i <= n; i++) if (!(member[i] in held)) print member[i] }
		FILENAME == "/etc/passwd" && $4 == gid && !($1 in held) { print $1 }' - /etc/group /etc/passwd | sort -u | tr '\n' , | sed 's/,$//; s/^$/none/' | grep . || echo none
}

# group_members_held NAME: one a line. In a transaction they are those after it; where it gives `others` up, also those that it is about to
# give up.
group_members_held() {
	{
		if [ -n "$T" ] && [ -e "$T/links.put" ]; then
			sed 's/^[0-9]* //' "$T/links.put"
			cat "$T/links.others"
			held_in_list put "group:$1" others || sed 's/^[0-9]* //' "$T/links.old"
		else
			# Paths are ours and carry no blank.
			# shellcheck disable=SC2046
			held_items $(held_files "$VAR/confirmed")
		fi
	} | awk -v subject="group:$1" '$1 == subject && sub(/^member:/, "", $2) { print $2 }'
}

# group_set NAME ATTRIBUTE VALUE: complains on standard error when it cannot.
group_set() {
	local gid
	case $2:$3 in
	is:group)
		# Its number: as the transaction asks, or as it was before the transaction took it away.
		gid=$(cat "$T/links.gids" "$T/links.put" 2>/dev/null | awk -v subject="group:$1" '$2 == subject && $3 == "gid" { print $4; exit }')
		if [ -n "$gid" ]; then groupadd --system -g "$gid" "$1"; else groupadd --system "$1"; fi
		;;
	is:-)
		# Its number is a help for who makes it again, not a condition: a full disk stops no rollback.
		gid=$(group_get "$1" gid) && printf -- '- group:%s gid %s\n' "$1" "$gid" >>"$T/links.gids"
		groupdel "$1"
		;;
	gid:*) groupmod -g "$3" "$1" ;;
	member:*:yes) gpasswd -a "${2#member:}" "$1" >/dev/null ;;
	member:*) gpasswd -d "${2#member:}" "$1" >/dev/null ;;
	others:*) group_set_others "$1" "$3" ;;
	esac
}

# group_set_others NAME LIST: of those whom no resource of ours names, just these are members. A first group is usermod's, and stays.
group_set_others() {
	local stands user
	stands=$(group_get "$1" others) || return 1
	for user in $(link_list "$stands"); do
		case ",$2," in *",$user,"*) continue ;; esac
		! group_lists "$1" "$user" || gpasswd -d "$user" "$1" >/dev/null || return 1
	done
	for user in $(link_list "$2"); do
		group_lists "$1" "$user" || group_is_first "$1" "$user" || gpasswd -a "$user" "$1" >/dev/null || return 1
	done
}

# group_remember_other SUBJECT ATTRIBUTE: who was found as a member and is named no more, while `others` is held, counts as one of the others who
# were found: a delete puts him back.
group_remember_other() {
	local list others
	others=$VAR/found/links/$1/others
	case $2 in member:*) ;; *) return 0 ;; esac
	[ -s "$others" ] && grep -qsx yes "$VAR/found/links/$1/$2" || return 0
	list=$({ link_list "$(cat "$others")"; echo "${2#member:}"; } | sort -u | tr '\n' ,) && [ -n "$list" ] && printf '%s\n' "${list%,}" >"$others"
}

# group_lists NAME USER: as a member in /etc/group.
group_lists() { awk -F: -v name="$1" -v user="$2" '$1 == name && index("," $4 ",", "," user ",") { found = 1 } END { exit !found }' /etc/group; }

# group_is_first NAME USER: by the user's own line in /etc/passwd.
group_is_first() {
	awk -F: -v name="$1" -v user="$2" '
		FILENAME == "/etc/group" && $1 == name { gid = $3 }
		FILENAME == "/etc/passwd" && $1 == user && $4 == gid { found = 1 }
		END { exit !found }' /etc/group /etc/passwd
}

# group_refusal NUMBER NAME ATTRIBUTE VALUE: prints "refuse NUMBER refused TEXT" for a number that is another's, a user who is not there, one
# who cannot be taken out.
group_refusal() {
	local stands other user
	case $3 in
	gid)
		stands=$(group_get "$2" gid) || return 1
		[ "$stands" != "$4" ] || return 0
		if [ "$stands" = - ]; then
			other=$(getent group "$4")
			[ -z "$other" ] || echo "refuse $1 refused gid: $4 is the number of the group ${other%%:*} on this host"
		elif ! awk -v line="$1 group:$2 gid $4" '$0 == line { found = 1 } END { exit !found }' "$T/links.old"; then
			echo "refuse $1 refused gid: the group $2 has the number $stands here, and files may belong to it; write $stands, or leave \`gid\` out to keep it"
		fi
		;;
	member:*)
		getent passwd "${3#member:}" >/dev/null || echo "refuse $1 refused members: there is no user ${3#member:} on this host$(did_you_mean passwd "${3#member:}")"
		;;
	others)
		stands=$(group_get "$2" others) || return 1
		for user in $(link_list "${stands#-}"); do
			! group_is_first "$2" "$user" || echo "refuse $1 refused exclusive: $2 is the first group of $user (in /etc/passwd), who has its rights by that; give him another one (usermod -g), or name him in \`members\`"
		done
		;;
	esac
}

# group_free NUMBER NAME: whether nobody is in the group that is to go, and nothing of ours or of dpkg's names it: an override for a
# group that is not there stops dpkg altogether.
group_free() {
	local gid why
	gid=$(group_get "$2" gid) || return 1
	why=$(
		awk -F: -v name="$2" '$1 == name && $4 != "" { print $4 }' /etc/group
		awk -F: -v gid="$gid" '$4 == gid { print $1 }' /etc/passwd
		awk -v name="$2" '$2 == "group" && $3 == name { print $1 } $3 == "group" && $4 == name { print $2 }' "$T/links.others" "$T/links.put"
		! have dpkg-statoverride || dpkg-statoverride --list | awk -v name="$2" '$2 == name { print $4 }'
	)
	[ -n "$why" ] || return 0
	echo "$1 kept the group $2: others still need it: $(printf '%s' "$why" | tr '\n' ' ')" >>"$T/notes"
	return 1
}

# --- groups: the words of system groups -------------------------------------------------------------------------------
# is (group), gid, and member:USER (yes). Only local groups: gpasswd changes no others.

# group_get NAME WORD: how it stands, into $got.
group_get() {
	got=-
	while IFS=: read -r name _ gid members; do
		[ "$name" = "$1" ] || continue
		case $2 in
		is) got=group ;;
		gid) got=$gid ;;
		member:*) case ",$members," in *",${2#member:},"*) got=yes ;; *) got=no ;; esac ;;
		esac
	done </etc/group
}

# group_set NAME WORD VALUE
group_set() {
	case $2:$3 in
	is:group)
		# Its number: as the transaction asks, or as it was before the transaction took it away.
		gid=$(cat "$T/links.gids" "$T/links.put" 2>/dev/null | awk -v subject="group:$1" '$2 == subject && $3 == "gid" { print $4; exit }')
		if [ -n "$gid" ]; then groupadd --system -g "$gid" "$1"; else groupadd --system "$1"; fi
		;;
	is:-)
		group_get "$1" gid
		printf -- '- group:%s gid %s\n' "$1" "$got" >>"$T/links.gids"
		groupdel "$1"
		;;
	gid:*) groupmod -g "$3" "$1" ;;
	member:*:yes) gpasswd -a "${2#member:}" "$1" >/dev/null ;;
	member:*) gpasswd -d "${2#member:}" "$1" >/dev/null ;;
	esac
}

# group_refusal NUMBER NAME WORD VALUE: prints "refuse NUMBER refused TEXT" for a number that is another's, a user who is not there.
group_refusal() {
	case $3 in
	gid)
		group_get "$2" gid
		! held_stands gid "$4" || return 0
		if [ "$got" = - ]; then
			other=$(getent group "$4")
			[ -z "$other" ] || echo "refuse $1 refused gid: $4 is the number of the group ${other%%:*} on this host"
		elif ! awk -v line="$1 group:$2 gid $4" '$0 == line { found = 1 } END { exit !found }' "$T/links.old"; then
			echo "refuse $1 refused gid: the group $2 has the number $got here, and files may belong to it; write $got, or leave \`gid\` out to keep it"
		fi
		;;
	member:*)
		getent passwd "${3#member:}" >/dev/null || echo "refuse $1 refused members: there is no user ${3#member:} on this host"
		;;
	esac
}

# group_free NUMBER NAME: whether nobody is in the group that is to go, and nothing of ours or of dpkg's names it: an override for a
# group that is not there stops dpkg altogether.
group_free() {
	group_get "$2" gid
	why=$(
		awk -F: -v name="$2" '$1 == name && $4 != "" { print $4 }' /etc/group
		awk -F: -v gid="$got" '$4 == gid { print $1 }' /etc/passwd
		awk -v name="$2" '$2 == "group" && $3 == name { print $1 } $3 == "group" && $4 == name { print $2 }' "$T/links.others" "$T/links.put"
		! have dpkg-statoverride || dpkg-statoverride --list | awk -v name="$2" '$2 == name { print $4 }'
	)
	[ -n "$why" ] || return 0
	echo "$1 kept the group $2: others still need it: $(printf '%s' "$why" | tr '\n' ' ')" >>"$T/notes"
	return 1
}

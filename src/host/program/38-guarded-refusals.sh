# --- files: what must not be guarded ----------------------------------------------------------------------------------

# guarded_refusals: "refuse NUMBER refused TEXT" for every file that must not be touched so.
guarded_refusals() {
	local paths number path reason
	paths=$(awk '$2 ~ /^\// && !seen[$2]++ { print $1, $2 }' "$T/links.put") || return 1
	[ -n "$paths" ] || return 0
	printf '%s\n' "$paths" | while read -r number path; do
		reason=$(first_reason guarded_reason "$number" "$path") || exit 1
		[ -z "$reason" ] || echo "refuse $number refused $reason"
	done
}

# first_reason STEP…: why not, by the first line of the step; that it did not come to its end is a reason, too.
first_reason() {
	# shellcheck disable=SC2031
	ask "$@" || said=${said:-"path: it could not be looked at ($1)"}
	printf '%s\n' "$said" | head -n 1 | tr -c '[:print:]\n' '?'
}

# guarded_wanted PATH WORD: prints what the transaction asks, or nothing.
guarded_wanted() { awk -v path="$1" -v word="$2" '$2 == path && $3 == word { print $4; exit }' "$T/links.put"; }

# guarded_reason NUMBER PATH: why not, a line each, by the property that is wrong.
guarded_reason() {
	reason=$(folder_reason "${2%/*}") || reason="path: the folders on the way to $2 cannot be looked at"
	[ -z "$reason" ] || {
		echo "$reason"
		return 0
	}
	want_content=$(guarded_wanted "$2" content) want_mode=$(guarded_wanted "$2" mode)
	want_owner=$(guarded_wanted "$2" owner) want_group=$(guarded_wanted "$2" group)
	[ -z "$want_owner" ] || getent passwd "$want_owner" >/dev/null || echo "owner: there is no user $want_owner on this host"
	[ -z "$want_group" ] || getent group "$want_group" >/dev/null || held_in_list put "group:$want_group" is || echo "group: there is no group $want_group on this host"
	guarded_get "$2" mode
	case $got in
	-)
		[ -n "$want_content" ] || echo "path: there is no file $2 on this host; install first what brings it, or give \`content\`"
		return 0
		;;
	link) echo "path: $2 is a link to $(readlink -f "$2"); name the file that is meant" ;;
	other) echo "path: $2 is no file" ;;
	esac
	case $got in link | other) return 0 ;; esac
	! own_tools | grep -qxF "$(stat -c %d:%i "$2")" || echo "path: $2 is what drawbridge-host itself works with; without it no change could be undone"
	guarded_bits "$1" "$2" "$got"
	[ -z "$want_content" ] || guarded_content_reason "$2"
	return 0
}

# guarded_bits NUMBER PATH MODE: what a change of owner, mode or content would take away unseen, the first time.
guarded_bits() {
	guarded_caps "$2"
	owned=group
	[ -z "$want_owner" ] || owned=owner
	if [ -n "$want_owner$want_group" ] && { [ $((0$3 & 06000)) -ne 0 ] || [ -n "$caps" ]; } && ! held_in_list old "$2" owner && ! held_in_list old "$2" group; then
		whose=$(stat -c %U "$2")
		[ -z "$want_owner" ] || [ "$want_owner" = root ] || whose=$want_owner
		[ "$whose" = root ] || echo "$owned: $2 has $(guarded_more "$3"), and $whose could change what runs with more than his own rights; take that away first (chmod ug-s, setcap -r)"
	fi
	[ "$caps" != unknown ] || have setcap || [ -z "$want_owner$want_group" ] ||
		echo "$owned: $2 has capabilities, which a change of owner or group takes away, and getcap and setcap are not installed here to put them back; install the package libcap2-bin"
	[ -z "$caps" ] || [ -z "$want_content" ] || echo "content: $2 has the capabilities $caps, which are not for another content; take them away first (setcap -r)"
	if ! held_in_list old "$2" acl; then
		guarded_get "$2" acl
		[ "$got" = none ] || echo "path: $2 has an access control list, which lets others in beside owner, group and mode; take it away first (setfacl -b)"
	fi
	if held_in_list old "$2" mode || [ "$3" = "${3#[1-7]}" ]; then return 0; fi
	if [ -z "$want_mode" ]; then
		[ -z "$want_owner$want_content" ] || echo "mode: $2 has the mode $3, and would run as another user or with other content; say the mode that it shall have"
	elif [ $((0$3 & 07000 & ~0$want_mode)) -ne 0 ] && ! grep -qx '# drops setuid' "$T/files$(sed -n "s/^$1 put //p" "$T/links" | head -n 1)"; then
		echo "mode: $2 has the mode $3, whose setuid, setgid or sticky bit $want_mode would take away; write the first digit as it is, or \`dropSetuid: true\`"
	fi
}

# guarded_more MODE: what makes a file run with more rights than those of who runs it; $caps are its capabilities.
guarded_more() {
	[ $((0$1 & 06000)) -eq 0 ] || printf 'the mode %s%s' "$1" "${caps:+ and }"
	[ -z "$caps" ] || printf 'the capabilities %s' "$caps"
}

# guarded_content_reason PATH: what is asked when the content is first held; later its owner could bring it about at any time.
guarded_content_reason() {
	! held_in_list old "$1" content || return 0
	guarded_get "$1" content
	[ "$got" != unreadable ] || echo "content: $1 cannot be kept: the user $(stat -c %U "$1") holds it open, or it has more than 1 MiB that others than root could write"
	[ "$(stat -c %h "$1")" = 1 ] || echo "content: $1 has other names (hard links), which would keep the old content"
	override_name "$1"
	for known in "$1" "$other"; do
		if have dpkg-query; then
			package=$(dpkg-query -S "$known" 2>/dev/null) || continue
			package=${package%%:*}
			# The package's own upgrade asks before it writes over one of these.
			dpkg-query -W -f '${Conffiles}\n' "$package" | grep -qF " $known " && continue
		else
			package=$(rpm -qf "$known" 2>/dev/null) || continue
		fi
		echo "content: $1 belongs to the package $package, whose next upgrade would write over it; choose another path"
	done
}

# folder_reason FOLDER: who else than root can put another file in the place of one in it.
folder_reason() {
	others_on "${1:-/}"
	[ -z "$others" ] || echo "path: $others, who could put another file in its place; choose a folder that is root's alone"
	[ -z "$absent" ] || echo "path: there is no folder $absent on this host"
}

# own_tools: DEVICE:INODE of what the undo runs.
own_tools() {
	for tool in sh awk cat chgrp chmod chown cp cut date dpkg-statoverride env find flock getcap getent gpasswd grep groupadd groupdel head id \
		install ip kill ls mkdir mktemp mv nft readlink rm rmdir sed setcap setpriv setsid sha256sum sleep sort stat sync systemctl systemd-run tail tar tr unshare xargs; do
		command -v "$tool"
	done | grep '^/' | xargs stat -Lc %d:%i 2>/dev/null
}

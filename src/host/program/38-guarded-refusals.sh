# --- files: what must not be guarded ----------------------------------------------------------------------------------
# Called by held_refusals, before anything is changed. Leaves nothing on disk.

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
	local said
	# shellcheck disable=SC2031
	ask said "$@" || said=${said:-"path: it could not be looked at ($1)"}
	printf '%s\n' "$said" | head -n 1 | tr -c '[:print:]\n' '?'
}

# guarded_wanted PATH ATTRIBUTE: what the transaction asks, or nothing.
guarded_wanted() { awk -v path="$1" -v attribute="$2" '$2 == path && $3 == attribute { print $4; exit }' "$T/links.put"; }

# guarded_reason NUMBER PATH: why not, a line each, by the property that is wrong.
guarded_reason() {
	local reason content owner group mode stands
	reason=$(folder_reason "${2%/*}") || reason="path: the folders on the way to $2 cannot be looked at"
	[ -z "$reason" ] || {
		echo "$reason"
		return 0
	}
	content=$(guarded_wanted "$2" content) && mode=$(guarded_wanted "$2" mode) && owner=$(guarded_wanted "$2" owner) && group=$(guarded_wanted "$2" group) &&
		stands=$(guarded_get "$2" mode) || return 1
	[ -z "$owner" ] || getent passwd "$owner" >/dev/null || echo "owner: there is no user $owner on this host$(did_you_mean passwd "$owner")"
	[ -z "$group" ] || getent group "$group" >/dev/null || held_in_list put "group:$group" is || echo "group: there is no group $group on this host$(did_you_mean group "$group")"
	case $stands in
	-) [ -n "$content" ] || echo "path: there is no file $2 on this host; install first what brings it, or give \`content\`" ;;
	link) echo "path: $2 is a link to $(readlink -f "$2"); name the file that is meant" ;;
	other) echo "path: $2 is no file" ;;
	*)
		! own_tools | grep -qxF "$(stat -c %d:%i "$2")" || echo "path: $2 is what drawbridge-host itself works with; without it no change could be undone"
		guarded_more_reason "$2" "$stands" "$owner" "$group" "$content" && guarded_acl_reason "$2" || return 1
		guarded_mode_reason "$1" "$2" "$stands" "$mode" "$owner$content" || return 1
		[ -z "$content" ] || guarded_content_reason "$2"
		;;
	esac
}

# guarded_more_reason PATH MODE OWNER GROUP CONTENT: what makes it run with more rights than those of who runs it, where another owner or group
# is asked for, the first time, or a content.
guarded_more_reason() {
	local caps property owner
	caps=$(guarded_caps "$1") || return 1
	property=group
	[ -z "$3" ] || property=owner
	if [ -n "$3$4" ] && { [ $((0$2 & 06000)) -ne 0 ] || [ -n "$caps" ]; } && ! held_in_list old "$1" owner && ! held_in_list old "$1" group; then
		owner=$(stat -c %U "$1") || return 1
		[ -z "$3" ] || [ "$3" = root ] || owner=$3
		[ "$owner" = root ] || echo "$property: $1 has $(guarded_more "$2" "$caps"), and $owner could change what runs with more than his own rights; take that away first (chmod ug-s, setcap -r)"
	fi
	[ "$caps" != unknown ] || have setcap || [ -z "$3$4" ] ||
		echo "$property: $1 has capabilities, which a change of owner or group takes away, and getcap and setcap are not installed here to put them back; install the package libcap2-bin"
	[ -z "$caps" ] || [ -z "$5" ] || echo "content: $1 has the capabilities $caps, which are not for another content; take them away first (setcap -r)"
}

# guarded_acl_reason PATH: a list that stands there the first time.
guarded_acl_reason() {
	local listed
	! held_in_list old "$1" acl || return 0
	listed=$(guarded_acl "$1") || return 1
	[ "$listed" = none ] || echo "path: $1 has an access control list, which lets others in beside owner, group and mode; take it away first (setfacl -b)"
}

# guarded_mode_reason NUMBER PATH MODE WANTED OTHERS: what a change of the mode, or of the OTHERS of owner and content, would do unseen to setuid,
# setgid and sticky bits, the first time.
guarded_mode_reason() {
	if held_in_list old "$2" mode || [ "$3" = "${3#[1-7]}" ]; then return 0; fi
	if [ -z "$4" ]; then
		[ -z "$5" ] || echo "mode: $2 has the mode $3, and would run as another user or with other content; say the mode that it shall have"
	elif [ $((0$3 & 07000 & ~0$4)) -ne 0 ] && ! grep -qx '# drops setuid' "$T/files$(sed -n "s/^$1 put //p" "$T/links" | head -n 1)"; then
		echo "mode: $2 has the mode $3, whose setuid, setgid or sticky bit $4 would take away; write the first digit as it is, or \`dropSetuid: true\`"
	fi
}

# guarded_content_reason PATH: what is asked when the content is first held; later its owner could bring it about at any time.
guarded_content_reason() {
	local stands names
	! held_in_list old "$1" content || return 0
	stands=$(content_digest "$1") && names=$(stat -c %h "$1") || return 1
	[ "$stands" != unreadable ] || echo "content: $1 cannot be kept: the user $(stat -c %U "$1") holds it open, or it has more than 64 MiB that others than root could write"
	[ "$names" = 1 ] || echo "content: $1 has other names (hard links), which would keep the old content"
	guarded_package_reason "$1"
}

# guarded_package_reason PATH: a package's file, by either of its names; but its upgrade asks before it writes over a configuration file.
guarded_package_reason() {
	local other known package
	other=$(override_name "$1") || return 1
	for known in "$1" "$other"; do
		if have dpkg-query; then
			package=$(dpkg-query -S "$known" 2>/dev/null) || continue
			package=${package%%:*}
			! dpkg-query -W -f '${Conffiles}\n' "$package" | grep -qF " $known " || continue
		else
			package=$(rpm -qf "$known" 2>/dev/null) || continue
		fi
		echo "content: $1 belongs to the package $package, whose next upgrade would write over it; choose another path"
	done
}

# folder_reason FOLDER: who else than root can put another file in the place of one in it.
folder_reason() {
	local answer
	answer=$(others_on "${1:-/}") || return 1
	case $answer in
	"changeable "*) echo "path: ${answer#changeable }, who could put another file in its place; choose a folder that is root's alone" ;;
	"absent "*) echo "path: there is no folder ${answer#absent } on this host" ;;
	esac
}

# own_tools: DEVICE:INODE of what the undo runs.
own_tools() {
	local tool
	for tool in sh awk cat chgrp chmod chown cp cut date dpkg-statoverride env find flock getcap getent gpasswd grep groupadd groupdel head id \
		install ip kill ls mkdir mktemp mv nft readlink rm rmdir sed setcap setpriv setsid sha256sum sleep sort stat sync systemctl systemd-run tail tar tr unshare xargs; do
		command -v "$tool"
	done | grep '^/' | xargs stat -Lc %d:%i 2>/dev/null
}

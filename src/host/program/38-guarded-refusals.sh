# --- files: what must not be guarded ----------------------------------------------------------------------------------
# Called by held_refusals, before anything is changed. Leaves nothing on disk.

# guarded_refusals: "refuse NUMBER refused TEXT" for every file that must not be touched so.
guarded_refusals() {
	local paths number path content owner group mode held reason
	[ -s "$T/links.paths" ] || return 0
	# What is asked of each, "-" for what is not; and what the same files held of it before, with commas around it.
	paths=$(awk '
		$2 !~ /^\// { next }
		FILENAME ~ /old$/ { held[$2] = held[$2] $3 ","; next }
		!($2 in number) { number[$2] = $1; paths[++n] = $2 }
		!(($2, $3) in value) { value[$2, $3] = $4 }
		function asked(path, attribute) { return ((path, attribute) in value) ? value[path, attribute] : "-" }
		END { for (i = 1; i <= n; i++) { p = paths[i]; print number[p], p, asked(p, "content"), asked(p, "owner"), asked(p, "group"), asked(p, "mode"), "," held[p] } }' "$T/links.old" "$T/links.put") || return 1
	[ -n "$paths" ] || return 0
	while read -r number path content owner group mode held; do
		read_first_reason reason guarded_reason "$number" "$path" "${content#-}" "${owner#-}" "${group#-}" "${mode#-}" "$held"
		[ -z "$reason" ] || echo "refuse $number refused $reason"
	done <<-PATHS
		$paths
	PATHS
}

# read_first_reason VARIABLE STEP…: why not, by the first line of the step; that it did not come to its end is a reason, too.
read_first_reason() {
	local reason_into reason_said
	reason_into=$1
	shift
	ask reason_said "$@" || reason_said=${reason_said:-"path: it could not be looked at ($1)"}
	reason_said=${reason_said%%"$NEWLINE"*}
	case $reason_said in *[![:print:]]*) reason_said=$(printf '%s' "$reason_said" | tr -c '[:print:]' '?') ;; esac
	give "$reason_into" "$reason_said"
}

# guarded_reason NUMBER PATH CONTENT OWNER GROUP MODE HELD: why not, a line each, by the property that is wrong. Of what is asked, empty is what is
# not; HELD: the attributes that were held before, with commas around each.
guarded_reason() {
	local reason state stands
	reason=
	read_state state "$2" || return 1
	# Where something stands in a folder that is root's alone, the folders on the way have said so.
	case $state in
	unsafe | -) read_folder_reason reason "${2%/*}" || reason="path: the folders on the way to $2 cannot be looked at" ;;
	esac
	[ -z "$reason" ] || {
		echo "$reason"
		return 0
	}
	read_guarded stands "$2" mode "$state" || return 1
	[ -z "$4" ] || getent passwd "$4" >/dev/null || echo "owner: there is no user $4 on this host$(did_you_mean passwd "$4")"
	[ -z "$5" ] || getent group "$5" >/dev/null || held_puts "group:$5" is || echo "group: there is no group $5 on this host$(did_you_mean group "$5")"
	case $stands in
	-) [ -n "$3" ] || echo "path: there is no file $2 on this host; install first what brings it, or give \`content\`" ;;
	link) echo "path: $2 is a link to $(readlink -f "$2"); name the file that is meant" ;;
	other) echo "path: $2 is no file" ;;
	*)
		! is_own_tool "$2" || echo "path: $2 is what drawbridge-host itself works with; without it no change could be undone"
		guarded_more_reason "$2" "$state" "$4" "$5" "$3" "$7" && guarded_acl_reason "$2" "$7" || return 1
		guarded_mode_reason "$1" "$2" "$stands" "$6" "$4$3" "$7" || return 1
		[ -z "$3" ] || guarded_content_reason "$2" "$7"
		;;
	esac
}

# guarded_more_reason PATH STATE OWNER GROUP CONTENT HELD: what makes it run with more rights than those of who runs it, where another owner or group
# is asked for, the first time, or a content.
guarded_more_reason() {
	local caps property owner mode
	read_caps caps "$1" && read_part mode "$2" mode && read_part owner "$2" owner || return 1
	property=group
	[ -z "$3" ] || property=owner
	case $6 in *,owner,* | *,group,*) ;; *)
		if [ -n "$3$4" ] && { [ $((0$mode & 06000)) -ne 0 ] || [ -n "$caps" ]; }; then
			[ -z "$3" ] || [ "$3" = root ] || owner=$3
			[ "$owner" = root ] || echo "$property: $1 has $(guarded_more "$mode" "$caps"), and $owner could change what runs with more than his own rights; take that away first (chmod ug-s, setcap -r)"
		fi
		;;
	esac
	[ "$caps" != unknown ] || have setcap || [ -z "$3$4" ] ||
		echo "$property: $1 has capabilities, which a change of owner or group takes away, and getcap and setcap are not installed here to put them back; install the package libcap2-bin"
	[ -z "$caps" ] || [ -z "$5" ] || echo "content: $1 has the capabilities $caps, which are not for another content; take them away first (setcap -r)"
}

# guarded_acl_reason PATH HELD: a list that stands there the first time.
guarded_acl_reason() {
	local listed
	case $2 in *,acl,*) return 0 ;; esac
	read_acl listed "$1" || return 1
	[ "$listed" = none ] || echo "path: $1 has an access control list, which lets others in beside owner, group and mode; take it away first (setfacl -b)"
}

# guarded_mode_reason NUMBER PATH MODE WANTED OTHERS HELD: what a change of the mode, or of the OTHERS of owner and content, would do unseen to setuid,
# setgid and sticky bits, the first time.
guarded_mode_reason() {
	local file
	case $6:$3 in *,mode,*:* | *:0*) return 0 ;; esac
	if [ -z "$4" ]; then
		[ -z "$5" ] || echo "mode: $2 has the mode $3, and would run as another user or with other content; say the mode that it shall have"
	elif [ $((0$3 & 07000 & ~0$4)) -ne 0 ]; then
		read_put_file file "$1" || return 1
		grep -qx '# drops setuid' "$file" ||
			echo "mode: $2 has the mode $3, whose setuid, setgid or sticky bit $4 would take away; write the first digit as it is, or \`dropSetuid: true\`"
	fi
}

# guarded_content_reason PATH HELD: what is asked when the content is first held; later its owner could bring it about at any time.
guarded_content_reason() {
	local stands names
	case $2 in *,content,*) return 0 ;; esac
	read_digest stands "$1" && names=$(stat -c %h "$1") || return 1
	[ "$stands" != unreadable ] || echo "content: $1 cannot be kept: the user $(stat -c %U "$1") holds it open, or it has more than 64 MiB that others than root could write"
	[ "$names" = 1 ] || echo "content: $1 has other names (hard links), which would keep the old content"
	guarded_package_reason "$1"
}

# guarded_package_reason PATH: a package's file, by either of its names; but its upgrade asks before it writes over a configuration file.
guarded_package_reason() {
	local other known package
	read_override_name other "$1"
	for known in "$1" "$other"; do
		if have dpkg-query; then
			package=$(dpkg-query -S "$known" 2>/dev/null)
			# It does not know the file, or does not work.
			case $? in 0) ;; 1) continue ;; *) return 1 ;; esac
			package=${package%%:*}
			! dpkg-query -W -f '${Conffiles}\n' "$package" | grep -qF " $known " || continue
		else
			package=$(rpm -qf "$known" 2>/dev/null) || continue
		fi
		echo "content: $1 belongs to the package $package, whose next upgrade would write over it; choose another path"
	done
}

# is_own_tool PATH: it is one of the programs that the undo runs, by this name or another.
is_own_tool() {
	local tool IFS place
	IFS=:
	for tool in sh awk cat chgrp chmod chown cp cut date dpkg-statoverride env find flock getcap getent gpasswd grep groupadd groupdel head id \
		install ip ls mkdir mktemp mv nft readlink rm rmdir sed setcap setpriv setsid sha256sum sleep sort stat sync systemctl systemd-run tail tar tr unshare xargs; do
		# The first that there is, as the shell looks for it.
		for place in $PATH; do
			if [ ! -x "$place/$tool" ] || [ ! -f "$place/$tool" ]; then continue; fi
			[ ! "$place/$tool" -ef "$1" ] || return 0
			break
		done
	done
	return 1
}

# --- files: the attributes of guarded files ----------------------------------------------------------------------------
# content (a SHA-256; it makes the file), owner, group, mode, acl (none), and override (38-override.sh). They are looked at here, and owner, group,
# mode and acl set in place; 38-guarded-change.sh says in which order, and makes contents.
# A link is never followed: all attributes stand as "link". Where the folder, or one on the way, is not root's alone, nothing is read or
# written but the override: whoever can change the folder could put a link, a pipe or another file in its place between two of our steps.
# There all attributes stand as "unsafe".

# guarded_get PATH ATTRIBUTE: how it stands.
guarded_get() {
	local kind access
	[ "$2" != override ] || {
		override_get "$1"
		return
	}
	kind=$(guarded_kind "$1") || return 1
	[ "$kind" = file ] || {
		echo "$kind"
		return 0
	}
	case $2 in
	content) content_digest "$1" ;;
	acl) guarded_acl "$1" ;;
	*)
		access=$(guarded_access "$1") || return 1
		guarded_part "$access" "$2"
		;;
	esac
}

# guarded_kind PATH: "file", "-" where there is nothing, "link", "other", or "unsafe".
guarded_kind() {
	local others
	others=$(guarded_others "${1%/*}") || return 1
	if [ -n "$others" ]; then
		echo unsafe
	elif [ -L "$1" ]; then
		echo link
	elif [ -f "$1" ]; then
		echo file
	elif [ -e "$1" ]; then
		echo other
	else
		echo -
	fi
}

# guarded_others FOLDER: who else than root can change the folder, or one on the way; nothing where nobody can, or where it is not there.
guarded_others() {
	local answer
	answer=$(others_on "${1:-/}") || return 1
	! is_changeable "$answer" || printf '%s\n' "${answer#changeable }"
}

# guarded_state PATH [content]: how the file stands, as OWNER:GROUP:MODE:CONTENT; the last is empty unless it is asked for. Else the word of
# guarded_kind.
guarded_state() {
	local kind access content
	kind=$(guarded_kind "$1") || return 1
	[ "$kind" = file ] || {
		echo "$kind"
		return 0
	}
	content=
	access=$(guarded_access "$1") || return 1
	[ "${2:-}" != content ] || content=$(content_digest "$1") || return 1
	echo "$access:$content"
}

# guarded_part STATE owner|group|mode|content
guarded_part() {
	local owner group mode content
	IFS=: read -r owner group mode content <<-STATE
		$1
	STATE
	case $2 in
	owner) echo "$owner" ;;
	group) echo "$group" ;;
	mode) echo "$mode" ;;
	content) echo "$content" ;;
	esac
}

# guarded_access PATH: OWNER:GROUP:MODE; numbers where there is no name that can stand in a line, and four digits of the mode.
guarded_access() {
	local stands uid gid mode names owner group
	# Names come last: those of a directory service may have blanks.
	stands=$(stat -c '%u %g %a %U:%G' "$1") || return 1
	read -r uid gid mode names <<-STANDS
		$stands
	STANDS
	owner=${names%%:*} group=${names#*:}
	case $owner in UNKNOWN | *[!A-Za-z0-9._@$-]*) owner=$uid ;; esac
	case $group in UNKNOWN | *[!A-Za-z0-9._@$-]*) group=$gid ;; esac
	echo "$owner:$group:$(four_digits "$mode")"
}

# guarded_acl PATH: whether it has an access control list: "none" or "some".
guarded_acl() {
	local listed
	listed=$(ls -ld "$1") || return 1
	case $listed in ??????????+*) echo some ;; *) echo none ;; esac
}

# four_digits MODE
four_digits() {
	local mode
	mode=000$1
	while [ ${#mode} -gt 4 ]; do mode=${mode#?}; done
	echo "$mode"
}

# content_digest PATH: its SHA-256; "unreadable" where its owner holds it (a lease of the kernel would keep us waiting for 45 s), and where
# others than root could write more than 64 MiB: nobody can make us read for ever.
content_digest() {
	local size answer sum
	size=$(stat -c %s "$1") || return 1
	[ "$size" -le 67108864 ] || {
		answer=$(others_on "$1") || return 1
		! is_changeable "$answer" || {
			echo unreadable
			return 0
		}
	}
	sum=$({ { content_read "$1" 2>/dev/null || echo unreadable >&3; } | sha256sum >&3; } 3>&1)
	case $sum in unreadable*) echo unreadable ;; *) echo "${sum%% *}" ;; esac
}

content_read() { dd if="$1" iflag=nofollow,nonblock bs=65536 status=none; }

# content_keep PATH DIGEST: its bytes under their digest, complete and these, or not at all: its owner may write at any moment.
content_keep() {
	local sum
	[ ! -e "$T/content/$2" ] || return 0
	mkdir -p "$T/content" && content_read "$1" >"$T/content/kept" && sum=$(sha256sum <"$T/content/kept") && [ "${sum%% *}" = "$2" ] &&
		mv -fT "$T/content/kept" "$T/content/$2" && return 0
	rm -f "$T/content/kept"
	return 1
}

# guarded_set PATH ATTRIBUTE VALUE: complains on standard error when it cannot. A content is never set by itself (guarded_replace).
guarded_set() {
	local others
	if [ "$2" = override ]; then
		override_set "$1" "$3"
		return
	fi
	# Asked at this moment, not when it was first held: the folder may have changed hands since.
	others=$(folder_reason "${1%/*}") || return 1
	[ -z "$others" ] || {
		echo "${others#path: }" >&2
		return 1
	}
	if [ -L "$1" ] || { [ -e "$1" ] && [ ! -f "$1" ]; }; then
		echo "it is no file any more" >&2
		return 1
	fi
	case $2 in
	owner) guarded_own chown "$3" "$1" ;;
	group) guarded_own chgrp "$3" "$1" ;;
	mode) chmod "$3" "$1" ;;
	acl) needs_here setfacl acl && setfacl -b "$1" ;;
	esac
}

needs_here() { have "$1" || { echo "$1 is not installed on this host; install the package $2" >&2 && return 1; }; }

# guarded_own COMMAND WHO PATH: the kernel takes setuid bits and capabilities away with every change of owner or group. They are put
# back, but not onto a file that somebody else than root has owned: he could have written the program and set the bits himself.
guarded_own() {
	local bits owner caps names
	bits=$(stat -c %a "$3") && owner=$(stat -c %U "$3") && names=$(stat -c %h "$3") && caps=$(guarded_caps "$3") || return 1
	[ "$2" = root ] || [ "$1" = chgrp ] || [ "$names" = 1 ] || {
		echo "it has other names (hard links), which would become those of $2 too" >&2
		return 1
	}
	bits=0$bits
	if [ "$owner" != root ]; then
		if [ "$1" = chgrp ]; then
			chgrp "$2" "$3" && chmod "$(printf %o $((bits & 01777)))" "$3" || return 1
		else
			guarded_anew "$3" "$2" "$(printf %04o $((bits & 01777)))" || {
				echo "it stays with $owner, who may have it open for writing: it could not be copied" >&2
				return 1
			}
		fi
		[ -n "$caps" ] || [ $((bits & 06000)) -ne 0 ] || return 0
		guarded_less "$2" "$owner" "$(guarded_more "$bits" "$caps")" >&2
		return 1
	fi
	"$1" "$2" "$3" && chmod "$bits" "$3" || return 1
	[ -z "$caps" ] || { needs_here setcap libcap2-bin && setcap -q "$caps" "$3"; }
}

# guarded_anew PATH OWNER MODE: another file in its place, with what stands in it. Who has had the former one may have it open for writing, or
# under another name, which no chown takes away.
guarded_anew() {
	local group digest new
	group=$(stat -c %g "$1") && digest=$(content_digest "$1") && [ "$digest" != unreadable ] && content_keep "$1" "$digest" || return 1
	new=$(guarded_temporary "$1") && guarded_replace "$1" "$2:$group:$3:$digest" "$new"
}

# guarded_is_his PATH ATTRIBUTE: whether somebody may have set it otherwise since it was set here, for the file is his. Reading it again proves
# nothing then, and he stops no change by it.
guarded_is_his() {
	local uid
	case $1:$2 in /*:content | /*:group | /*:mode | /*:acl) ;; *) return 1 ;; esac
	uid=$(stat -c %u "$1" 2>/dev/null) && [ "$uid" != 0 ]
}

# guarded_less OWNER FORMER MORE: that a file has changed hands without what makes it run with more rights.
guarded_less() { echo "$1 has it, but without $3: $2, who had it, could have changed the program"; }

# guarded_more MODE CAPABILITIES: what makes a file run with more rights than those of who runs it.
guarded_more() {
	[ $((0$1 & 06000)) -eq 0 ] || printf 'the mode %s%s' "$1" "${2:+ and }"
	[ -z "$2" ] || printf 'the capabilities %s' "$2"
}

# guarded_caps PATH: its capabilities as setcap takes them; "unknown" where only tar sees that it has some.
guarded_caps() {
	local caps
	if have getcap; then
		caps=$(getcap "$1") || return 1
		caps=${caps#"$1"}
		caps=${caps# }
		# As libcap before 2.41 writes it.
		printf '%s\n' "${caps#= }"
	elif tar --sparse --xattrs --xattrs-include=security.capability -P -cf - "$1" 2>/dev/null | grep -aq SCHILY.xattr.security.capability; then
		echo unknown
	fi
}

# guarded_made PATH: it was not there before its content was held.
guarded_made() {
	case $1 in /*) ;; *) return 1 ;; esac
	if [ -e "$VAR/found/links/$1/content" ]; then
		[ "$(cat "$VAR/found/links/$1/content")" = - ]
	else
		[ -e "$T/links.found" ] && grep -qxF -- "$1 content -" "$T/links.found"
	fi
}

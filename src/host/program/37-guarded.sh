# --- files: the attributes of guarded files ----------------------------------------------------------------------------
# content (a SHA-256; it makes the file), owner, group, mode, acl (none), and override (38-override.sh). They are looked at here, and owner, group,
# mode and acl set in place; 38-guarded-change.sh says in which order, and makes contents.
# A link is never followed: all attributes stand as "link". Where the folder, or one on the way, is not root's alone, nothing is read or
# written but the override: whoever can change the folder could put a link, a pipe or another file in its place between two of our steps.
# There all attributes stand as "unsafe".

# read_guarded VARIABLE PATH ATTRIBUTE [STATE]: how it stands, into the variable; of what read_state has just said of it, where that is handed on.
read_guarded() {
	local guarded_stands
	[ "$3" != override ] || {
		read_override "$1" "$2"
		return
	}
	guarded_stands=${4:-}
	if [ -n "$guarded_stands" ]; then :; else
		case $3 in
		content | acl) read_kind guarded_stands "$2" ;;
		*) read_state guarded_stands "$2" ;;
		esac || return 1
	fi
	case $guarded_stands:$3 in
	file:content | *:*:content) read_digest "$1" "$2" ;;
	file:acl | *:*:acl) read_acl "$1" "$2" ;;
	*:*:*) read_part "$1" "$guarded_stands" "$3" ;;
	*) give "$1" "$guarded_stands" ;;
	esac
}

# read_kind VARIABLE PATH: "file", "-" where there is nothing, "link", "other", or "unsafe".
read_kind() {
	local kind_others
	read_guarded_others kind_others "${2%/*}" || return 1
	if [ -n "$kind_others" ]; then
		give "$1" unsafe
	elif [ -L "$2" ]; then
		give "$1" link
	elif [ -f "$2" ]; then
		give "$1" file
	elif [ -e "$2" ]; then
		give "$1" other
	else
		give "$1" -
	fi
}

# read_guarded_others VARIABLE FOLDER: who else than root can change the folder, or one on the way; nothing where nobody can, or where it is not there.
read_guarded_others() {
	local guarded_answer
	give "$1" ''
	read_others guarded_answer "${2:-/}" || return 1
	! is_changeable "$guarded_answer" || give "$1" "${guarded_answer#changeable }"
}

# read_state VARIABLE PATH [content]: how the file stands, as OWNER:GROUP:MODE:CONTENT; the last is empty unless it is asked for. Else the word of
# read_kind. Numbers stand where there is no name that can stand in a line; the mode has four digits.
read_state() {
	local state_said state_size state_uid state_gid state_mode state_names state_owner state_group state_content
	read_plain state_said "$2"
	[ -n "$state_said" ] || {
		read_kind state_said "$2" || return 1
		[ "$state_said" = file ] || {
			give "$1" "$state_said"
			return 0
		}
		# Names come last: those of a directory service may have blanks.
		state_said=$(stat -c '%s %u %g %a %U:%G' "$2") && [ -n "$state_said" ] || return 1
	}
	read -r state_size state_uid state_gid state_mode state_names <<-SAID
		$state_said
	SAID
	state_owner=${state_names%%:*} state_group=${state_names#*:} state_content=
	case $state_owner in UNKNOWN | *[!A-Za-z0-9._@$-]*) state_owner=$state_uid ;; esac
	case $state_group in UNKNOWN | *[!A-Za-z0-9._@$-]*) state_group=$state_gid ;; esac
	read_four_digits state_mode "$state_mode"
	[ "${3:-}" != content ] || read_digest state_content "$2" "$state_size" || return 1
	give "$1" "$state_owner:$state_group:$state_mode:$state_content"
}

# read_part VARIABLE STATE owner|group|mode|content
read_part() {
	local part_owner part_group part_mode part_content
	IFS=: read -r part_owner part_group part_mode part_content <<-STATE
		$2
	STATE
	case $3 in
	owner) give "$1" "$part_owner" ;;
	group) give "$1" "$part_group" ;;
	mode) give "$1" "$part_mode" ;;
	content) give "$1" "$part_content" ;;
	esac
}

# read_acl VARIABLE PATH: whether it has an access control list: "none" or "some".
read_acl() {
	local acl_listed
	acl_listed=$(ls -ld "$2") || return 1
	case $acl_listed in
	??????????+*) give "$1" some ;;
	??????????*) give "$1" none ;;
	*) return 1 ;;
	esac
}

# read_four_digits VARIABLE MODE
read_four_digits() {
	local digits_mode
	digits_mode=000$2
	while [ ${#digits_mode} -gt 4 ]; do digits_mode=${digits_mode#?}; done
	give "$1" "$digits_mode"
}

# read_mode VARIABLE NUMBER: the mode of that number, in four digits.
read_mode() { give "$1" "$(($2 >> 9 & 7))$(($2 >> 6 & 7))$(($2 >> 3 & 7))$(($2 & 7))"; }

# read_digest VARIABLE PATH [SIZE]: its SHA-256; "unreadable" where its owner holds it (a lease of the kernel would keep us waiting for 45 s), and where
# others than root could write more than 64 MiB: nobody can make us read for ever. Whoever has just read its size hands it on.
read_digest() {
	local digest_size digest_others digest_sum
	digest_size=${3:-}
	[ -n "$digest_size" ] || digest_size=$(stat -c %s "$2") || return 1
	[ "$digest_size" -le 67108864 ] || {
		read_guarded_others digest_others "$2" || return 1
		[ -z "$digest_others" ] || {
			give "$1" unreadable
			return 0
		}
	}
	digest_sum=$({ { content_read "$2" 2>/dev/null || echo unreadable >&3; } | sha256sum >&3; } 3>&1)
	case $digest_sum in
	unreadable*) give "$1" unreadable ;;
	?*) give "$1" "${digest_sum%% *}" ;;
	*) return 1 ;;
	esac
}

content_read() { dd if="$1" iflag=nofollow,nonblock bs=65536 status=none; }

# content_keep PATH DIGEST: its bytes under their digest, complete and these, or not at all: its owner may write at any moment.
content_keep() {
	local sum
	[ ! -e "$T/content/$2" ] || return 0
	{ [ -d "$T/content" ] || mkdir -p "$T/content"; } && content_read "$1" >"$T/content/kept" && sum=$(sha256sum <"$T/content/kept") && [ "${sum%% *}" = "$2" ] &&
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
	read_folder_reason others "${1%/*}" || return 1
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
	local said bits plain names gid owner caps
	said=$(stat -c '%a %h %g %U' "$3") && read_caps caps "$3" || return 1
	read -r bits names gid owner <<-SAID
		$said
	SAID
	[ -n "$owner" ] || return 1
	[ "$2" = root ] || [ "$1" = chgrp ] || [ "$names" = 1 ] || {
		echo "it has other names (hard links), which would become those of $2 too" >&2
		return 1
	}
	bits=0$bits
	if [ "$owner" != root ]; then
		read_mode plain $((bits & 01777))
		if [ "$1" = chgrp ]; then
			chgrp "$2" "$3" && { [ $((bits & 06000)) -eq 0 ] || chmod "$plain" "$3"; } || return 1
		else
			guarded_anew "$3" "$2" "$gid" "$plain" || {
				echo "it stays with $owner, who may have it open for writing: it could not be copied" >&2
				return 1
			}
		fi
		[ -n "$caps" ] || [ $((bits & 06000)) -ne 0 ] || return 0
		guarded_less "$2" "$owner" "$(guarded_more "$bits" "$caps")" >&2
		return 1
	fi
	"$1" "$2" "$3" && { [ $((bits & 06000)) -eq 0 ] || chmod "$bits" "$3"; } || return 1
	[ -z "$caps" ] || { needs_here setcap libcap2-bin && setcap -q "$caps" "$3"; }
}

# guarded_anew PATH OWNER GID MODE: another file in its place, with what stands in it. Who has had the former one may have it open for writing, or
# under another name, which no chown takes away.
guarded_anew() {
	local digest new
	read_digest digest "$1" && [ "$digest" != unreadable ] && content_keep "$1" "$digest" || return 1
	read_temporary new "$1" && guarded_replace "$1" "$2:$3:$4:$digest" "$new"
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

# read_caps VARIABLE PATH: its capabilities as setcap takes them; "unknown" where only tar sees that it has some.
read_caps() {
	local caps_said
	if have getcap; then
		caps_said=$(getcap "$2") || return 1
		caps_said=${caps_said#"$2"}
		caps_said=${caps_said# }
		# As libcap before 2.41 writes it.
		caps_said=${caps_said#= }
	elif tar --sparse --xattrs --xattrs-include=security.capability -P -cf - "$2" 2>/dev/null | grep -aq SCHILY.xattr.security.capability; then
		caps_said=unknown
	else
		caps_said=
	fi
	give "$1" "$caps_said"
}

# guarded_made PATH STATE: whether it was not there before its content was held; STATE as it stands, before the transaction changes it.
guarded_made() {
	local found
	[ -e "$VAR/found/links/$1/content" ] || {
		[ "$2" = - ]
		return
	}
	read_line found "$VAR/found/links/$1/content"
	[ "$found" = - ]
}

# --- files: the words of guarded files --------------------------------------------------------------------------------
# content (a SHA-256; it makes the file), owner, group, mode, acl (none), and override: dpkg's own, OWNER:GROUP:MODE, with "-" for
# what is not held. A link is never followed: for all words it stands as "link". Where the folder, or one on the way, is not root's alone,
# nothing is read or written but the override: whoever can change the folder could put a link, a pipe or another file in its place
# between two of our steps. There all words stand as "unsafe".

# guarded_get PATH WORD: how it stands, into $got.
guarded_get() {
	got=-
	if [ "$2" = override ]; then
		override_get "$1"
	elif ! guarded_safe "${1%/*}"; then
		got=unsafe
	elif [ -L "$1" ]; then
		got="link"
	elif [ -f "$1" ]; then
		case $2 in
		content) content_get "$1" ;;
		owner)
			got=$(stat -c %U "$1")
			[ "$got" != UNKNOWN ] || got=$(stat -c %u "$1")
			;;
		group)
			got=$(stat -c %G "$1")
			[ "$got" != UNKNOWN ] || got=$(stat -c %g "$1")
			;;
		mode) four_digits "$(stat -c %a "$1")" ;;
		acl) case $(ls -ld "$1") in ??????????+*) got=some ;; *) got=none ;; esac ;;
		esac
	elif [ -e "$1" ]; then
		got=other
	fi
}

# guarded_safe FOLDER: only root can change it and all on the way, or there is no such folder; else who can, in $unsafe. The words of one
# file are asked together, so the last answer is kept; whoever writes asks anew.
guarded_safe() {
	[ "${safe_folder-}" = "$1" ] || {
		others_on "${1:-/}"
		safe_folder=$1 unsafe=$others
	}
	[ -z "$unsafe" ]
}

# four_digits MODE: into $got.
four_digits() {
	got=000$1
	while [ ${#got} -gt 4 ]; do got=${got#?}; done
}

# guarded_set PATH WORD VALUE
guarded_set() {
	if [ "$2" = override ]; then
		override_set "$1" "$3"
		return
	fi
	# Asked at this moment, not when it was first held: the folder may have changed hands since.
	reason=$(folder_reason "${1%/*}") || return 1
	[ -z "$reason" ] || {
		echo "${reason#path: }" >&2
		return 1
	}
	if [ -L "$1" ] || { [ -e "$1" ] && [ ! -f "$1" ]; }; then
		echo "it is no file any more" >&2
		return 1
	fi
	case $2 in
	content) content_set "$1" "$3" ;;
	owner) guarded_own chown "$3" "$1" ;;
	group) guarded_own chgrp "$3" "$1" ;;
	mode) chmod "$3" "$1" ;;
	acl)
		needs_here setfacl acl && setfacl -b "$1"
		;;
	esac
}

needs_here() { have "$1" || { echo "$1 is not installed on this host; install the package $2" >&2 && return 1; }; }

# guarded_own COMMAND WHO PATH: the kernel takes setuid bits and capabilities away with every change of owner or group. They are put
# back, but not onto a file that somebody else than root has owned: he could have written the program and set the bits himself.
guarded_own() {
	bits=$(stat -c %a "$3") && whose=$(stat -c %U "$3") && guarded_caps "$3" || return 1
	[ "$2" = root ] || [ "$1" = chgrp ] || [ "$(stat -c %h "$3")" = 1 ] || {
		echo "it has other names (hard links), which would become those of $2 too" >&2
		return 1
	}
	"$1" "$2" "$3" || return 1
	if [ "$whose" != root ]; then
		bits=0$bits
		chmod "$(printf %o $((bits & 01777)))" "$3" || return 1
		[ -n "$caps" ] || [ $((bits & 06000)) -ne 0 ] || return 0
		echo "$2 has it, but without $(guarded_more "$bits"): $whose, who had it, could have changed the program" >&2
		return 1
	fi
	chmod "$bits" "$3" || return 1
	[ -z "$caps" ] || { needs_here setcap libcap2-bin && setcap -q "$caps" "$3"; }
}

# guarded_caps PATH: its capabilities as setcap takes them, into $caps; "unknown" where only tar sees that it has some.
guarded_caps() {
	caps=
	if have getcap; then
		caps=$(getcap "$1")
		caps=${caps#"$1"}
		caps=${caps# }
		# As libcap before 2.41 writes it.
		caps=${caps#= }
	elif tar --sparse --xattrs --xattrs-include=security.capability -P -cf - "$1" 2>/dev/null | grep -aq SCHILY.xattr.security.capability; then
		caps=unknown
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

# --- content ---

# content_get PATH: its SHA-256, into $got; "unreadable" where its owner holds it (a lease of the kernel would keep us waiting for
# 45 s), and where others than root could write more than 1 MiB: nobody can make us read for ever.
content_get() {
	got=unreadable
	[ "$(stat -c %s "$1")" -le 1048576 ] || {
		others_on "$1"
		[ -z "$others" ] || return 0
	}
	sum=$({ { content_read "$1" 2>/dev/null || echo unreadable >&3; } | sha256sum >&3; } 3>&1)
	case $sum in unreadable*) ;; *) got=${sum%% *} ;; esac
}

content_read() { dd if="$1" iflag=nofollow,nonblock bs=65536 status=none; }

# content_of FILE: what a file of ours says that another shall hold, into T/content by its digest: lines behind "|", and behind "\" a
# last one that does not end.
content_of() {
	{
		sed -n 's/^|//p' "$1"
		printf '%s' "$(sed -n 's/^\\//p' "$1")"
	} >"$T/content/new"
	sum=$(sha256sum <"$T/content/new")
	mv "$T/content/new" "$T/content/${sum%% *}"
}

# content_set PATH DIGEST: complete or not at all, and "-" takes the file away. What stood there is kept for the undo; what its owner
# did not let us read is not.
content_set() {
	[ "$2" != unreadable ] || return 0
	if [ -n "${T:-}" ] && [ -f "$1" ]; then
		content_get "$1"
		mkdir -p "$T/content"
		[ "$got" = unreadable ] || [ -e "$T/content/$got" ] || content_read "$1" >"$T/content/$got" || return 1
	fi
	if [ "$2" = - ]; then
		rm -f "$1"
		return
	fi
	bytes=$T/content/$2
	[ -e "$bytes" ] || bytes=$VAR/found/links/$1/bytes
	# A name that nobody can foresee: one that a former owner of the folder had left there would be followed.
	new=$(mktemp "${1%/*}/.drawbridge.XXXXXXXXXX") || return 1
	if cp "$bytes" "$new" && content_own "$1" "$new" && mv -fT "$new" "$1"; then return 0; fi
	rm -f "$new"
	return 1
}

# content_own PATH NEW: whoever had the file has the new one.
content_own() {
	if [ -e "$1" ]; then chown --reference="$1" "$2" && chmod --reference="$1" "$2"; else chmod 0600 "$2"; fi
}

# --- dpkg's overrides ---

# override_name PATH: its other name where /bin and its like are links into /usr, into $other; what dpkg knows is one of the two.
override_name() {
	case $1 in
	/usr/*) other=${1#/usr} ;;
	*) other=/usr$1 ;;
	esac
	[ "$(stat -c %d:%i "$1" 2>/dev/null)" = "$(stat -c %d:%i "$other" 2>/dev/null)" ] || other=$1
}

# override_get PATH: into $got: "none", or OWNER:GROUP:MODE.
override_get() {
	have dpkg-statoverride || return 0
	override_name "$1"
	entry=$(dpkg-statoverride --list "$1" || { [ "$other" = "$1" ] || dpkg-statoverride --list "$other"; })
	if [ -z "$entry" ]; then
		got=none
		return 0
	fi
	owner=${entry%% *} entry=${entry#* }
	group=${entry%% *} entry=${entry#* }
	four_digits "${entry%% *}"
	got=${owner#"#"}:${group#"#"}:$got
}

# override_set PATH VALUE: dpkg's own database, nothing on the file.
override_set() {
	override_name "$1"
	for known in "$other" "$1"; do
		! dpkg-statoverride --list "$known" >/dev/null || dpkg-statoverride --quiet --remove "$known" || return 1
	done
	[ "$2" != none ] || return 0
	! dpkg-query -S "$other" >/dev/null 2>&1 || known=$other
	owner=${2%%:*} group=${2#*:}
	mode=${group#*:} group=${group%%:*}
	# Numbers of users that have no name.
	case $owner in [0-9]*) owner="#$owner" ;; esac
	case $group in [0-9]*) group="#$group" ;; esac
	dpkg-statoverride --quiet --add "$owner" "$group" "$mode" "$known"
}

# override_fill VALUE BASE: into $filled, VALUE with what it leaves open taken from BASE.
override_fill() {
	open=$1 base=$2 filled=
	for _ in 1 2 3; do
		part=${open%%:*}
		[ "$part" != - ] || part=${base%%:*}
		filled=$filled${filled:+:}$part
		open=${open#*:} base=${base#*:}
	done
}

# override_wanted PATH VALUE: prints it with what is not held as it was found, or as it stands.
override_wanted() {
	now=
	for what in owner group mode; do
		got=-
		[ ! -e "$VAR/found/links/$1/$what" ] || read -r got <"$VAR/found/links/$1/$what"
		[ "$got" != - ] || guarded_get "$1" "$what"
		now=$now${now:+:}$got
	done
	override_fill "$2" "$now"
	if [ "$2" = none ]; then echo none; else printf '%s\n' "$filled"; fi
}

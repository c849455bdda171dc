# --- files: the words of guarded files --------------------------------------------------------------------------------
# content (a SHA-256; it makes the file), owner, group, mode, acl (none), and override: dpkg's own, OWNER:GROUP:MODE, with "-" for
# what is not held. A link is never followed: for all words it stands as "link".

# guarded_get PATH WORD: how it stands, into $got.
guarded_get() {
	got=-
	if [ "$2" = override ]; then
		override_get "$1"
	elif [ -L "$1" ]; then
		got="link"
	elif [ -f "$1" ]; then
		case $2 in
		content)
			got=$(sha256sum <"$1")
			got=${got%% *}
			;;
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

# guarded_own COMMAND WHO PATH: the kernel takes setuid bits and capabilities away with every change of owner or group.
guarded_own() {
	bits=$(stat -c %a "$3") && guarded_caps "$3" && "$1" "$2" "$3" && chmod "$bits" "$3" || return 1
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
	elif tar --xattrs --xattrs-include=security.capability -P -cf - "$1" 2>/dev/null | grep -aq SCHILY.xattr.security.capability; then
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

# content_set PATH DIGEST: complete or not at all, and "-" takes the file away. What stood there is kept for the undo.
content_set() {
	if [ -n "${T:-}" ] && [ -f "$1" ]; then
		guarded_get "$1" content
		mkdir -p "$T/content"
		[ -e "$T/content/$got" ] || cp "$1" "$T/content/$got" || return 1
	fi
	if [ "$2" = - ]; then
		rm -f "$1"
		return
	fi
	bytes=$T/content/$2
	[ -e "$bytes" ] || bytes=$VAR/found/links/$1/bytes
	new=${1%/*}/.drawbridge.$$.new
	if (umask 077 && cp "$bytes" "$new") && { [ ! -e "$1" ] || { chown --reference="$1" "$new" && chmod --reference="$1" "$new"; }; } && mv -fT "$new" "$1"; then
		return 0
	fi
	rm -f "$new"
	return 1
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

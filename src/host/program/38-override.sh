# --- files: dpkg's overrides -------------------------------------------------------------------------------------------
# What dpkg keeps of a file when it upgrades its package: OWNER:GROUP:MODE, with "-" for what is not held. It is dpkg's own database; nothing
# here touches the file. A host without dpkg needs none.

# override_name PATH: its other name where /bin and its like are links into /usr, else the same; what dpkg knows is one of the two.
override_name() {
	local other
	case $1 in
	/usr/*) other=${1#/usr} ;;
	*) other=/usr$1 ;;
	esac
	[ "$(stat -c %d:%i "$1" 2>/dev/null)" = "$(stat -c %d:%i "$other" 2>/dev/null)" ] || other=$1
	echo "$other"
}

# override_get PATH: "none", or OWNER:GROUP:MODE; "-" without dpkg.
override_get() {
	local other entry owner group mode
	have dpkg-statoverride || {
		echo -
		return 0
	}
	other=$(override_name "$1") || return 1
	entry=$(dpkg-statoverride --list "$1" || { [ "$other" = "$1" ] || dpkg-statoverride --list "$other"; })
	[ -n "$entry" ] || {
		echo none
		return 0
	}
	read -r owner group mode _ <<-ENTRY
		$entry
	ENTRY
	echo "${owner#"#"}:${group#"#"}:$(four_digits "$mode")"
}

# override_set PATH VALUE
override_set() {
	local other known owner group mode
	other=$(override_name "$1") || return 1
	for known in "$other" "$1"; do
		! dpkg-statoverride --list "$known" >/dev/null || dpkg-statoverride --quiet --remove "$known" || return 1
	done
	[ "$2" != none ] || return 0
	! dpkg-query -S "$other" >/dev/null 2>&1 || known=$other
	IFS=: read -r owner group mode <<-VALUE
		$2
	VALUE
	# Numbers of users that have no name.
	case $owner in [0-9]*) owner="#$owner" ;; esac
	case $group in [0-9]*) group="#$group" ;; esac
	dpkg-statoverride --quiet --add "$owner" "$group" "$mode" "$known"
}

# override_fill VALUE BASE: VALUE with what it leaves open taken from BASE.
override_fill() {
	local value base filled part
	value=$1 base=$2 filled=
	for _ in 1 2 3; do
		part=${value%%:*}
		[ "$part" != - ] || part=${base%%:*}
		filled=$filled${filled:+:}$part
		value=${value#*:} base=${base#*:}
	done
	echo "$filled"
}

# override_wanted PATH VALUE: with what is not held as it was found, or as it stands.
override_wanted() {
	local attribute base part
	[ "$2" != none ] || {
		echo none
		return 0
	}
	base=
	for attribute in owner group mode; do
		part=-
		[ ! -e "$VAR/found/links/$1/$attribute" ] || read -r part <"$VAR/found/links/$1/$attribute"
		[ "$part" != - ] || part=$(guarded_get "$1" "$attribute") || return 1
		base=$base${base:+:}$part
	done
	override_fill "$2" "$base"
}

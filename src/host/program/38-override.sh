# --- files: dpkg's overrides -------------------------------------------------------------------------------------------
# What dpkg keeps of a file when it upgrades its package: OWNER:GROUP:MODE, with "-" for what is not held. It is dpkg's own database; nothing
# here touches the file. A host without dpkg needs none.

# read_override_name VARIABLE PATH: its other name where /bin and its like are links into /usr, else the same; what dpkg knows is one of the two.
read_override_name() {
	local name_other
	case $2 in
	/usr/*) name_other=${2#/usr} ;;
	*) name_other=/usr$2 ;;
	esac
	# Of the folders, for the file itself may not be there.
	[ "${2%/*}/" -ef "${name_other%/*}/" ] || name_other=$2
	give "$1" "$name_other"
}

# read_override_entry VARIABLE NAME: dpkg's own line of it, or nothing. Fails where dpkg does not say.
read_override_entry() {
	local entry_line
	entry_line=$(dpkg-statoverride --list "$2") || { [ $? -eq 1 ] && entry_line=; } || return 1
	give "$1" "$entry_line"
}

# read_override VARIABLE PATH: "none", or OWNER:GROUP:MODE; "-" without dpkg.
read_override() {
	local override_other override_entry override_owner override_group override_mode
	have dpkg-statoverride || {
		give "$1" -
		return 0
	}
	read_override_name override_other "$2"
	read_override_entry override_entry "$2" || return 1
	[ -n "$override_entry" ] || [ "$override_other" = "$2" ] || read_override_entry override_entry "$override_other" || return 1
	[ -n "$override_entry" ] || {
		give "$1" none
		return 0
	}
	read -r override_owner override_group override_mode _ <<-ENTRY
		$override_entry
	ENTRY
	read_four_digits override_mode "$override_mode"
	give "$1" "${override_owner#"#"}:${override_group#"#"}:$override_mode"
}

# override_set PATH VALUE
override_set() {
	local other known entry owner group mode
	read_override_name other "$1"
	for known in "$other" "$1"; do
		read_override_entry entry "$known" || return 1
		[ -z "$entry" ] || dpkg-statoverride --quiet --remove "$known" || return 1
		[ "$other" != "$1" ] || break
	done
	[ "$2" != none ] || return 0
	known=$1
	[ "$other" = "$1" ] || ! dpkg-query -S "$other" >/dev/null 2>&1 || known=$other
	IFS=: read -r owner group mode <<-VALUE
		$2
	VALUE
	# Numbers of users that have no name.
	case $owner in [0-9]*) owner="#$owner" ;; esac
	case $group in [0-9]*) group="#$group" ;; esac
	dpkg-statoverride --quiet --add "$owner" "$group" "$mode" "$known"
}

# read_override_filled VARIABLE VALUE BASE: VALUE with what it leaves open taken from BASE.
read_override_filled() {
	local filled_value filled_base filled_whole filled_part
	filled_value=$2 filled_base=$3 filled_whole=
	for _ in 1 2 3; do
		filled_part=${filled_value%%:*}
		[ "$filled_part" != - ] || filled_part=${filled_base%%:*}
		filled_whole=$filled_whole${filled_whole:+:}$filled_part
		filled_value=${filled_value#*:} filled_base=${filled_base#*:}
	done
	give "$1" "$filled_whole"
}

# read_override_wanted VARIABLE PATH VALUE: with what is not held as it was found, or as it stands.
read_override_wanted() {
	local wanted_attribute wanted_base wanted_part wanted_state
	[ "$3" != none ] || {
		give "$1" none
		return 0
	}
	wanted_base='' wanted_state=''
	for wanted_attribute in owner group mode; do
		wanted_part=-
		[ ! -e "$VAR/found/links/$2/$wanted_attribute" ] || read -r wanted_part <"$VAR/found/links/$2/$wanted_attribute"
		[ "$wanted_part" != - ] || {
			[ -n "$wanted_state" ] || read_state wanted_state "$2" || return 1
			read_guarded wanted_part "$2" "$wanted_attribute" "$wanted_state" || return 1
		}
		wanted_base=$wanted_base${wanted_base:+:}$wanted_part
	done
	read_override_filled "$1" "$3" "$wanted_base"
}

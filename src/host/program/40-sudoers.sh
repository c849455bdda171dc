# --- sudo rights ------------------------------------------------------------------------------------------------------

# Called by refusals, before anything is changed. In the transaction's folder: sudoers.d, /etc/sudoers.d as it would be; sudo.before, sudo.after and
# sudo.lost, what visudo and sudo say of now and then.

# sudoers_refusals TXN: prints "refuse N TEXT" for every operation whose file visudo does not take, or that would make the
# host's sudo worse than it is. Nothing is installed yet: the new tree stands in a mount namespace only.
sudoers_refusals() {
	local number verb path said tried
	sudoers_touched "$1" || return 0
	have visudo || {
		sed -n 's,^\([0-9]*\) [a-z]* .*/etc/sudoers\.d/.*,refuse \1 visudo is not installed on this host; install the package sudo,p' "$1/manifest"
		return 0
	}
	while read -r number verb _ path _; do
		[ "$verb" = put ] || continue
		case $path in /etc/sudoers.d/*) ;; *) continue ;; esac
		said=$(visudo -c -f "$1/files$path" 2>&1) || printf 'refuse %s visudo: %s\n' "$number" "$(printf '%s' "$said" | tr '\n' ' ')"
	done <"$1/manifest"

	sudoers_tree "$1" || return 1
	# shellcheck disable=SC2015
	tried=$(unshare -m /bin/sh "$PROGRAM" sudo-namespace "$1" 2>"$1/sudo.out") && [ "$tried" = tried ] || {
		sudoers_all "$1" "the new sudoers could not be tried in a mount namespace: $(tr '\n' ' ' <"$1/sudo.out")"
		return 0
	}
	said=$(sudoers_worse "$1") || return 1
	while read -r path; do [ -z "$path" ] || sudoers_all "$1" "$path"; done <<-SAID
		$said
	SAID
	[ ! -s "$1/sudo.lost" ] ||
		sudoers_all "$1" "it would take away the right by which this very connection works (sudo -n $SELF as ${SUDO_USER:-root}): $(tr '\n' ' ' <"$1/sudo.lost")"
}

# sudoers_touched TXN: whether it puts or takes away a file of sudo's.
sudoers_touched() {
	local path
	[ ! -d "$1/files/etc/sudoers.d" ] || return 0
	while read -r path; do
		case $path in /etc/sudoers.d/*) return 0 ;; esac
	done <"$1/drops"
	return 1
}

# sudoers_worse TXN: why the host's sudo would be worse with the new tree than it is, a line each: by what visudo says then and not now, and because
# sudo does not read the tree at all.
sudoers_worse() {
	set -- at=before "$1/sudo.before" at=after "$1/sudo.after"
	[ ! -r /etc/sudoers ] || set -- "$@" at=sudoers /etc/sudoers
	awk '
		at == "before" { said[$0]; next }
		at == "after" { if (!($0 in said) && !/: parsed OK$/) worse = worse (worse == "" ? "" : " ") $0; next }
		/^[#@]includedir[ \t]+"?\/etc\/sudoers\.d\/?"?[ \t]*$/ { is_read = 1 }
		END {
			if (worse != "") print "it would break the host\047s sudoers: " worse
			if (!is_read) print "sudo would not read it: /etc/sudoers lacks the line \"@includedir /etc/sudoers.d\""
		}' "$@"
}

# sudoers_all TXN TEXT: refuses every operation of the transaction that touches sudo.
sudoers_all() {
	local reason number
	reason=$2
	sed -n 's,^\([0-9]*\) .*/etc/sudoers\.d/.*,\1,p' "$1/manifest" | while read -r number; do printf 'refuse %s %s\n' "$number" "$reason"; done
}

# sudoers_tree TXN: /etc/sudoers.d as it would be, in TXN/sudoers.d.
sudoers_tree() {
	local txn file name
	txn=$1
	[ ! -e "$txn/sudoers.d" ] || rm -rf "$txn/sudoers.d" || return 1
	cp -a /etc/sudoers.d "$txn/sudoers.d" || return 1
	set --
	for file in "$txn"/files/etc/sudoers.d/*; do
		[ ! -e "$file" ] || {
			# Not over what stands there: it may be a link, or somebody else's.
			name=$txn/sudoers.d/${file##*/}
			if [ -e "$name" ] || [ -L "$name" ]; then rm -rf "$name" || return 1; fi
			set -- "$@" "$file"
		}
	done
	[ $# -eq 0 ] || install -o 0 -g 0 -m 0440 -t "$txn/sudoers.d" "$@" || return 1
	while read -r file; do
		case $file in /etc/sudoers.d/*) name=${file#/etc/sudoers.d/} ;; *) continue ;; esac
		rm -f "$txn/sudoers.d/$name" || return 1
		[ ! -e "$VAR/found/files$file" ] || cp -a "$VAR/found/files$file" "$txn/sudoers.d/" || return 1
	done <"$txn/drops"
}

# sudo_namespace TXN: run inside a private mount namespace. What visudo says of the tree now and of the tree to come, and
# whether the user who came in by sudo still may run this program without a password.
sudo_namespace() {
	local lost
	# It always says something; where that could not be written, nothing is known.
	visudo -c >"$1/sudo.before" 2>&1
	[ -s "$1/sudo.before" ] || exit 1
	lost=
	own_sudo_works || lost=before
	mount --bind "$1/sudoers.d" /etc/sudoers.d || exit 1
	visudo -c >"$1/sudo.after" 2>&1
	[ -s "$1/sudo.after" ] && true >"$1/sudo.lost" || exit 1
	# Sudo may have something to say and work all the same.
	if [ "$lost" = before ]; then :; elif own_sudo_works 2>"$1/sudo.lost"; then true >"$1/sudo.lost"; else [ -s "$1/sudo.lost" ] || echo refused >"$1/sudo.lost"; fi ||
		exit 1
	echo tried
}

# own_sudo_works: whether the user who came in by sudo may run this program without a password.
own_sudo_works() {
	[ -n "${SUDO_UID:-}" ] && [ "$SUDO_UID" != 0 ] || return 0
	# sudo sets both.
	# shellcheck disable=SC2153
	setpriv --reuid "$SUDO_UID" --regid "$SUDO_GID" --init-groups -- sudo -n -k "$SELF" version >/dev/null
}

# sudoers_programs TXN: prints "refuse N refused TEXT" for every program of a rule that somebody else than root could put another one in
# the place of. One that is not there yet may come, where only root can bring it.
sudoers_programs() {
	local number verb path txn programs index program runas group trusted answer asked
	txn=$1
	set --
	while read -r number verb _ path _; do
		case $verb:$path in put:/etc/sudoers.d/*) set -- "$@" "number=$number" "$txn/files$path" ;; esac
	done <"$txn/manifest"
	[ $# -gt 0 ] || return 0
	programs=$(awk '
		FNR == 1 { index_of_rule = 0; granted = "- -" }
		/^# grants / && granted == "- -" { granted = $4 " " $5 }
		/^#/ || /^Defaults!/ || !match($0, / (NO)?SETENV: [^ ]+ /) { next }
		{
			program = substr($0, RSTART, RLENGTH)
			sub(/^.*SETENV: /, "", program)
			sub(/ $/, "", program)
			print number, index_of_rule++, granted, program
		}' "$@") || return 1
	asked=''
	while read -r number index runas group program; do
		[ -n "$number" ] || continue
		# Rules of one file have one user, and often one program.
		[ "$runas $group $program" = "$asked" ] || {
			read_sudoers_trusted trusted "$runas" "$group"
			read_others answer "$program" "$trusted" || return 1
			asked="$runas $group $program"
		}
		! is_changeable "$answer" || echo "refuse $number refused commands[$index].path: ${answer#changeable }, who could put another program in the place of $program; allow one that only root can change"
	done <<-PROGRAMS
		$programs
	PROGRAMS
}

# read_sudoers_trusted VARIABLE RUNAS GROUP: who beside root may own the programs of a rule, as a number: the user as whom they run, since he
# gains nothing by it; but nobody where a group is lent with it, GROUP is not "-".
read_sudoers_trusted() {
	local trusted_uid
	trusted_uid=0
	case $2:$3 in
	-:* | root:*) ;;
	*:-) trusted_uid=$(id -u "$2" 2>/dev/null) || trusted_uid=0 ;;
	esac
	give "$1" "$trusted_uid"
}

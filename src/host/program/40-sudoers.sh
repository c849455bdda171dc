# --- sudo rights ------------------------------------------------------------------------------------------------------

# Called by refusals, before anything is changed. In the transaction's folder: sudoers.d, /etc/sudoers.d as it would be; sudo.before, sudo.after and
# sudo.lost, what visudo and sudo say of now and then.

# sudoers_refusals TXN: prints "refuse N TEXT" for every operation whose file visudo does not take, or that would make the
# host's sudo worse than it is. Nothing is installed yet: the new tree stands in a mount namespace only.
sudoers_refusals() {
	local number verb path said tried worse
	grep -q ' /etc/sudoers\.d/' "$1/manifest" || return 0
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
	tried=$(unshare -m /bin/sh "$0" sudo-namespace "$1" 2>"$1/sudo.out") && [ "$tried" = tried ] || {
		sudoers_all "$1" "the new sudoers could not be tried in a mount namespace: $(tr '\n' ' ' <"$1/sudo.out")"
		return 0
	}
	worse=$(grep -vxF -f "$1/sudo.before" "$1/sudo.after" | grep -v ': parsed OK$')
	[ -z "$worse" ] || sudoers_all "$1" "it would break the host's sudoers: $(printf '%s' "$worse" | tr '\n' ' ')"
	grep -Eq '^[#@]includedir[[:space:]]+"?/etc/sudoers\.d/?"?[[:space:]]*$' /etc/sudoers ||
		sudoers_all "$1" 'sudo would not read it: /etc/sudoers lacks the line "@includedir /etc/sudoers.d"'
	[ ! -s "$1/sudo.lost" ] ||
		sudoers_all "$1" "it would take away the right by which this very connection works (sudo -n $SELF as ${SUDO_USER:-root}): $(tr '\n' ' ' <"$1/sudo.lost")"
}

# sudoers_all TXN TEXT: refuses every operation of the transaction that touches sudo.
sudoers_all() {
	local reason number
	reason=$2
	sed -n 's,^\([0-9]*\) .*/etc/sudoers\.d/.*,\1,p' "$1/manifest" | while read -r number; do printf 'refuse %s %s\n' "$number" "$reason"; done
}

# sudoers_tree TXN: /etc/sudoers.d as it would be, in TXN/sudoers.d.
sudoers_tree() {
	local file name names
	rm -rf "$1/sudoers.d" && cp -a /etc/sudoers.d "$1/sudoers.d" || return 1
	for file in "$1"/files/etc/sudoers.d/*; do
		[ ! -e "$file" ] || {
			# Not over what stands there: it may be a link, or somebody else's.
			rm -rf "$1/sudoers.d/${file##*/}" && cp "$file" "$1/sudoers.d/" && chmod 0440 "$1/sudoers.d/${file##*/}" || return 1
		}
	done
	names=$(sed -n 's,^/etc/sudoers\.d/,,p' "$1/drops") || return 1
	# Names of ours carry no blank.
	for name in $names; do
		rm -f "$1/sudoers.d/$name" || return 1
		[ ! -e "$VAR/found/files/etc/sudoers.d/$name" ] || cp -a "$VAR/found/files/etc/sudoers.d/$name" "$1/sudoers.d/" || return 1
	done
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
	[ "$lost" = before ] || own_sudo_works 2>"$1/sudo.lost" || [ -s "$1/sudo.lost" ] || echo refused >"$1/sudo.lost"
	if [ "$lost" != before ] && own_sudo_works; then true >"$1/sudo.lost"; fi 2>/dev/null
	echo tried
}

own_sudo_works() {
	[ -n "${SUDO_UID:-}" ] && [ "$SUDO_UID" != 0 ] || return 0
	# sudo sets both.
	# shellcheck disable=SC2153
	setpriv --reuid "$SUDO_UID" --regid "$SUDO_GID" --init-groups -- sudo -n -k "$SELF" version >/dev/null
}

# sudoers_programs TXN: prints "refuse N refused TEXT" for every program of a rule that somebody else than root could put another one in
# the place of. One that is not there yet may come, where only root can bring it.
sudoers_programs() {
	local number verb path trusted index program answer
	while read -r number verb _ path _; do
		case $verb:$path in put:/etc/sudoers.d/*) ;; *) continue ;; esac
		trusted=$(sudoers_trusted "$1/files$path") || return 1
		sed -n '/^#/d; /^Defaults!/d; s/.* \(NO\)\{0,1\}SETENV: \([^ ]*\) .*/\2/p' "$1/files$path" | awk '{ print NR - 1, $1 }' | while read -r index program; do
			read_others answer "$program" "$trusted" || exit 1
			! is_changeable "$answer" || echo "refuse $number refused commands[$index].path: ${answer#changeable }, who could put another program in the place of $program; allow one that only root can change"
		done || return 1
	done <"$1/manifest"
}

# sudoers_trusted FILE: who beside root may own the programs of its rules, as a number: the user as whom they run, since he
# gains nothing by it; but nobody where a group is lent with it.
sudoers_trusted() {
	local trusted runas group
	trusted=0
	read -r runas group <<-GRANTED
		$(sed -n 's/^# grants [^ ]* \([^ ]* [^ ]*\) .*/\1/p' "$1" | head -n 1)
	GRANTED
	[ "${group:-}" != - ] || trusted=$(id -u "$runas" 2>/dev/null) || trusted=0
	echo "$trusted"
}

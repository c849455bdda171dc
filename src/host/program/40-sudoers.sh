# --- sudo rights ------------------------------------------------------------------------------------------------------

# sudoers_refusals TXN: prints "refuse N TEXT" for every operation whose file visudo does not take, or that would make the
# host's sudo worse than it is. Nothing is installed yet: the new tree stands in a mount namespace only.
sudoers_refusals() {
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

	sudoers_tree "$1"
	unshare -m /bin/sh "$0" sudo-namespace "$1" >"$1/sudo.out" 2>&1 || {
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
	reason=$2
	sed -n 's,^\([0-9]*\) .*/etc/sudoers\.d/.*,\1,p' "$1/manifest" | while read -r number; do printf 'refuse %s %s\n' "$number" "$reason"; done
}

# sudoers_tree TXN: /etc/sudoers.d as it would be, in TXN/sudoers.d.
sudoers_tree() {
	rm -rf "$1/sudoers.d"
	cp -a /etc/sudoers.d "$1/sudoers.d"
	for file in "$1"/files/etc/sudoers.d/*; do
		[ ! -e "$file" ] || {
			# Not over what stands there: it may be a link, or somebody else's.
			rm -rf "$1/sudoers.d/${file##*/}"
			cp "$file" "$1/sudoers.d/" && chmod 0440 "$1/sudoers.d/${file##*/}"
		}
	done
	sed -n 's,^/etc/sudoers\.d/,,p' "$1/drops" | while read -r name; do
		rm -f "$1/sudoers.d/$name"
		[ ! -e "$VAR/found/files/etc/sudoers.d/$name" ] || cp -a "$VAR/found/files/etc/sudoers.d/$name" "$1/sudoers.d/"
	done
}

# sudo_namespace TXN: run inside a private mount namespace. What visudo says of the tree now and of the tree to come, and
# whether the user who came in by sudo still may run this program without a password.
sudo_namespace() {
	visudo -c >"$1/sudo.before" 2>&1
	lost=
	own_sudo_works || lost=before
	mount --bind "$1/sudoers.d" /etc/sudoers.d || exit 1
	visudo -c >"$1/sudo.after" 2>&1
	: >"$1/sudo.lost"
	[ "$lost" = before ] || own_sudo_works 2>"$1/sudo.lost" || [ -s "$1/sudo.lost" ] || echo refused >"$1/sudo.lost"
	if [ "$lost" != before ] && own_sudo_works; then : >"$1/sudo.lost"; fi 2>/dev/null
	return 0
}

own_sudo_works() {
	[ -n "${SUDO_UID:-}" ] && [ "$SUDO_UID" != 0 ] || return 0
	# sudo sets both.
	# shellcheck disable=SC2153
	setpriv --reuid "$SUDO_UID" --regid "$SUDO_GID" --init-groups -- sudo -n -k "$SELF" version >/dev/null
}

# sudo_effect FILE: for every `# grants USER RUNAS GROUP COMMAND…` of the file, whether sudo, asked about all its files
# together, lets that user run just that. "-" stands for no group. A group that nobody is in proves nothing.
sudo_effect() {
	sed -n 's/^# grants //p' "$1" | while read -r user runas group command; do
		case $user in
		%*)
			user=$(getent group "${user#%}" | cut -d: -f4 | cut -d, -f1)
			[ -n "$user" ] || {
				echo nobody
				continue
			}
			;;
		esac
		set -f
		if [ "$group" = - ]; then set -- -u "$runas"; else set -- -u "$runas" -g "$group"; fi
		# Arguments of a rule carry no blank, so that splitting at blanks gives them back.
		# shellcheck disable=SC2086
		set -- "$@" $command
		if ! id "$user" >/dev/null 2>&1 || ! id "$runas" >/dev/null 2>&1; then
			echo unknown-user
		elif [ ! -x "${command%% *}" ]; then
			# sudo says "no" to what is not there; it may come.
			echo no-such-command
		elif
			sudo -n -l -U "$user" "$@" >/dev/null 2>&1 </dev/null
		then echo allowed; else echo denied; fi
		set +f
	done
}

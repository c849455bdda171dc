# --- sudo rights: what sudo makes of all files together -------------------------------------------------------------------
# sudo is asked what it lists for each user of a rule, once with all files of the host and once with ours alone, and the two are compared:
# both are printed by the same sudo, so that its words do not matter. Arguments stand in no command line that way, where every user of the
# host would see them. Called by a look (snapshot_sudo); all is kept in the folder of the look. Only where a listing has a "!command" behind a rule of ours, sudo must be asked about that very command line.

# sudo_looks DIR: into DIR/out/effect/NAME, for each file of ours, a line for each of its `# grants`: "allowed", "denied", "unknown-user",
# "nobody" (a group without members), "no-such-command", "changeable TEXT", "unasked". Into DIR/out/foreign/NAME what is not ours and
# widens the rule: "may USER FILE RUNAS PROGRAM" and "asks USER SETTING".
sudo_looks() {
	local file who user
	mkdir "$1/sudo" "$1/out/foreign" || return 1
	true >"$1/sudo/ours" || return 1
	for file in /etc/sudoers.d/drawbridge-*; do
		[ -f "$file" ] || continue
		# Whose lines follow is told by a rule that everybody has.
		{ echo "ALL ALL=(root) /drawbridge/${file##*/}" && cat "$file" && echo; } >>"$1/sudo/ours" || return 1
	done
	[ -s "$1/sudo/ours" ] || return 0
	chmod 0440 "$1/sudo/ours"
	sed -n 's/^# grants \([^ ]*\) .*/\1/p' "$1/sudo/ours" | sort -u | while read -r who; do
		sudo_user "$who"
	done | sort -u >"$1/sudo/users"
	while read -r user; do
		sudo_list "$user" >"$1/sudo/all.$user" || rm -f "$1/sudo/all.$user"
	done <"$1/sudo/users"
	unshare -m /bin/sh "$0" sudo-listing "$1/sudo" >/dev/null 2>&1 || rm -f "$1"/sudo/ours.*
	for file in /etc/sudoers.d/drawbridge-*; do
		[ ! -f "$file" ] || sudo_effect "$1" "$file" || return 1
	done
}

# sudo_user WHO: a user whom the rule is about: himself, or one of a group; nothing where there is none.
sudo_user() {
	local user
	user=$1
	case $1 in %*) user=$(getent group "${1#%}" | cut -d: -f4 | cut -d, -f1) ;; esac
	case $user in *[!A-Za-z0-9_.$-]*) user='' ;; esac
	! id "${user:-/}" >/dev/null 2>&1 || printf '%s\n' "$user"
}

# sudo_list USER: "RUNAS:GROUPS:OPTIONS TAB FILE TAB COMMAND" for all that sudo lists, in the order in which it reads, then
# "asks TAB - TAB SETTING" for the settings by which it asks for another password than the user's own. Fails where it did not list.
sudo_list() {
	local listed
	listed=$(sudo -n -ll -U "$1" 2>/dev/null </dev/null) && [ -n "$listed" ] || return 1
	printf '%s\n' "$listed" | awk '
		/^Matching Defaults entries/ { defaults = 1; next }
		/^$/ { defaults = 0 }
		defaults { n = split($0, words, /[ ,]+/); for (i = 1; i <= n; i++) if (words[i] ~ /^(targetpw|rootpw|runaspw)$/) asks[words[i]] }
		/^[A-Za-z]/ { user = group = options = ""; file = "-" }
		/^Sudoers entry: / { file = substr($0, 16); gsub(/[ \t]/, "?", file) }
		/^    RunAsUsers: / { user = substr($0, 17) }
		/^    RunAsGroups: / { group = substr($0, 18) }
		/^    Options: / { options = substr($0, 14) }
		/^\t/ { gsub(/ /, "", user); print user ":" group ":" options "\t" file "\t" substr($0, 2) }
		END { for (setting in asks) print "asks\t-\t" setting }'
}

# sudo_listing DIR: run inside a private mount namespace, in which there are no rules but ours.
sudo_listing() {
	local user
	mount --bind "$1/ours" /etc/sudoers || return 1
	while read -r user; do
		sudo_list "$user" >"$1/ours.$user" || rm -f "$1/ours.$user"
	done <"$1/users"
}

# sudo_effect DIR FILE: the two for one file of ours.
sudo_effect() {
	local name trusted rules grants per n who runas group command user
	name=${2##*/}
	trusted=$(sudoers_trusted "$2") || return 1
	rules=$(grep -c '^[^#].*SETENV: ' "$2")
	grants=$(grep -c '^# grants ' "$2")
	per=1
	[ "$rules" -eq 0 ] || per=$((grants / rules))
	[ "$per" -gt 0 ] || per=1
	n=0
	sed -n 's/^# grants //p' "$2" | while read -r who runas group command; do
		user=$(sudo_user "$who")
		sudo_grant "$1" "$name $((n / per + 1))" "$who" "$runas" "$group" "$command" "$user" "$trusted" || return 1
		n=$((n + 1))
	done >"$1/out/effect/$name" || return 1
	sed -n 's/^# grants \([^ ]*\) .*/\1/p' "$2" | sort -u | while read -r who; do
		user=$(sudo_user "$who")
		[ ! -e "$1/sudo/all.$user" ] || [ ! -e "$1/sudo/ours.$user" ] || sudo_foreign "$1" "$2" "$user"
	done | sort -u | head -n 50 >"$1/out/foreign/$name"
}

# sudo_grant DIR "NAME N" WHO RUNAS GROUP COMMAND USER TRUSTED: what becomes of the Nth rule of the file for USER, one of WHO; prints the word. TRUSTED
# may own the program beside root.
sudo_grant() {
	local answer stands
	read_others answer "${6%% *}" "$8" || return 1
	case $3:$7 in
	%*:)
		if getent group "${3#%}" >/dev/null; then echo nobody; else echo unknown-user; fi
		return 0
		;;
	esac
	if [ -z "$7" ] || ! id "$4" >/dev/null 2>&1; then
		echo unknown-user
	elif is_changeable "$answer"; then
		echo "$answer"
	elif [ ! -x "${6%% *}" ]; then
		# It may come.
		echo no-such-command
	elif [ ! -e "$1/sudo/all.$7" ] || [ ! -e "$1/sudo/ours.$7" ]; then
		echo unasked
	else
		stands=$(sudo_compared "$1" "${2% *}" "${2#* }" "$7")
		[ "$stands" != ask ] || stands=$(sudo_asked "$4" "$5" "$6" "$7")
		echo "${stands:-unasked}"
	fi
}

# sudo_compared DIR NAME N USER: "allowed" where the Nth rule of NAME stands in the listing of all for USER, "ask" where others behind it take away.
sudo_compared() {
	awk -F '\t' -v name="/drawbridge/$2" -v n="$3" '
		FILENAME ~ /ours\.[^\/]*$/ {
			if ($3 ~ /^\/drawbridge\//) mine = $3 == name
			else if (mine && ++seen == n) wanted = $1 "\t" $3
			next
		}
		wanted != "" && $1 "\t" $3 == wanted { at = FNR }
		$3 ~ /^!/ { taken = FNR }
		END { print (!at ? "denied" : taken > at ? "ask" : "allowed") }' "$1/sudo/ours.$4" "$1/sudo/all.$4"
}

# sudo_asked RUNAS GROUP COMMAND USER: what sudo says of the user and that very command line.
sudo_asked() {
	local command user
	command=$3 user=$4
	if [ "$2" = - ]; then set -- -u "$1"; else set -- -u "$1" -g "$2"; fi
	set -f
	# Arguments of a rule carry no blank, so that splitting at blanks gives them back.
	# shellcheck disable=SC2086
	if sudo -n -l -U "$user" "$@" $command >/dev/null 2>&1 </dev/null; then echo allowed; else echo denied; fi
	set +f
}

# sudo_foreign DIR FILE USER: what the user may by others' rules do with the programs of the file, whatever the arguments; and whose password
# sudo asks for.
sudo_foreign() {
	sed -n 's/^# grants [^ ]* [^ ]* [^ ]* \([^ ]*\).*/\1/p' "$2" | sort -u >"$1/sudo/programs"
	awk -F '\t' -v user="$3" '
		FILENAME ~ /programs$/ { programs[$0]; next }
		FILENAME ~ /ours\.[^\/]*$/ { ours[$1 "\t" $3]; next }
		$1 == "asks" { print "asks", user, $3; next }
		($1 "\t" $3) in ours || $3 ~ /^!/ { next }
		{
			path = $3
			sub(/^(sha[0-9]+:[^ ]+,? *)+/, "", path)
			sub(/ .*/, "", path)
			fixed = path
			sub(/[][*?\\].*/, "", fixed)
			split($1, as, ":")
			for (program in programs) {
				folder = program
				sub(/[^\/]*$/, "", folder)
				if (path == "ALL" || path == program || path == folder || (fixed != path && index(program, fixed) == 1))
					print "may", user, $2, as[1] == "" ? "root" : as[1], path
			}
		}' "$1/sudo/programs" "$1/sudo/ours.$3" "$1/sudo/all.$3"
}

# --- sudo rights: what sudo makes of all files together -------------------------------------------------------------------
# sudo is asked what it lists for each user of a rule, once with all files of the host and once with ours alone, and the two are compared:
# both are printed by the same sudo, so that its words do not matter. Arguments stand in no command line that way, where every user of the
# host would see them. Called by a look (snapshot_sudo); all is kept in the folder of the look. Only where a listing has a "!command" behind a rule of ours, sudo must be asked about that very command line.

# sudo_looks DIR: into DIR/out/effect/NAME, for each file of ours, a line for each of its `# grants`: "allowed", "denied", "unknown-user",
# "nobody" (a group without members), "no-such-command", "changeable TEXT", "unasked". Into DIR/out/foreign/NAME what is not ours and
# widens the rule: "may USER FILE RUNAS PROGRAM" and "asks USER SETTING".
sudo_looks() {
	local dir file user listed grants
	dir=$1
	mkdir "$dir/sudo" "$dir/out/foreign" || return 1
	set --
	for file in /etc/sudoers.d/drawbridge-*; do
		# Names of ours are of these letters only.
		case ${file##*/} in *[!A-Za-z0-9_.-]*) continue ;; esac
		[ -f "$file" ] || continue
		true >"$dir/out/effect/${file##*/}" && true >"$dir/out/foreign/${file##*/}" || return 1
		set -- "$@" "$file"
	done
	[ $# -gt 0 ] || return 0
	sudo_ours "$dir" "$@" && sudo_users "$dir" || return 1
	while read -r user; do
		sudo_list "$user" >"$dir/sudo/all.$user" || rm -f "$dir/sudo/all.$user"
	done <"$dir/sudo/users"
	unshare -m /bin/sh "$PROGRAM" sudo-listing "$dir/sudo" >/dev/null 2>&1 || rm -f "$dir"/sudo/ours.*
	# What awk is to read: whom the rules are about, the two listings of each user, the files.
	listed=' '
	set -- kind=file "$@"
	while read -r user; do
		if [ ! -e "$dir/sudo/ours.$user" ] || [ ! -e "$dir/sudo/all.$user" ]; then continue; fi
		listed="$listed$user "
		set -- "user=$user" kind=ours "$dir/sudo/ours.$user" kind=all "$dir/sudo/all.$user" "$@"
	done <"$dir/sudo/users"
	set -- "$listed" kind=who "$dir/sudo/who" "$@"
	grants=$(sudo_compared "$@") && sudo_effects "$dir" "$grants" && sudo_foreign "$dir" "$@"
}

# sudo_ours DIR FILE…: all files of ours in one, DIR/sudo/ours. Whose lines follow is told by a rule that everybody has.
sudo_ours() {
	local dir
	dir=$1
	shift
	awk 'FNR == 1 { name = FILENAME; sub(/^.*\//, "", name); print "ALL ALL=(root) /drawbridge/" name } { print }' "$@" >"$dir/sudo/ours" && chmod 0440 "$dir/sudo/ours"
}

# sudo_users DIR: whom the rules are about, "WHO USER" a line to DIR/sudo/who, with "-" where there is no such user; and the users to DIR/sudo/users.
sudo_users() {
	local all who user known
	all=$(awk '/^# grants / && !seen[$3]++ { print $3 }' "$1/sudo/ours") && true >"$1/sudo/who" && true >"$1/sudo/users" || return 1
	known=' - '
	while read -r who; do
		[ -n "$who" ] || continue
		read_sudo_user user "$who"
		printf '%s %s\n' "$who" "$user" >>"$1/sudo/who" || return 1
		case $known in *" $user "*) continue ;; esac
		known="$known$user "
		printf '%s\n' "$user" >>"$1/sudo/users" || return 1
	done <<-ALL
		$all
	ALL
}

# read_sudo_user VARIABLE WHO: a user whom the rule is about: himself, or one of a group; "-" where there is none.
read_sudo_user() {
	local sudo_one
	sudo_one=$2
	case $2 in
	%*)
		sudo_one=$(getent group "${2#%}") || sudo_one=''
		sudo_one=${sudo_one#*:*:*:}
		sudo_one=${sudo_one%%,*}
		;;
	esac
	case $sudo_one in
	'' | *[!A-Za-z0-9_.$-]*) sudo_one=- ;;
	*) id "$sudo_one" >/dev/null 2>&1 || sudo_one=- ;;
	esac
	give "$1" "$sudo_one"
}

# sudo_list USER: "RUNAS:GROUPS:OPTIONS TAB FILE TAB COMMAND" for all that sudo lists, in the order in which it reads, then
# "asks TAB - TAB SETTING" for the settings by which it asks for another password than the user's own. Fails where it did not list.
sudo_list() {
	local listed
	listed=$(sudo -n -ll -U "$1" 2>/dev/null </dev/null) && [ -n "$listed" ] || return 1
	awk '
		/^Matching Defaults entries/ { defaults = 1; next }
		/^$/ { defaults = 0 }
		defaults { n = split($0, words, /[ ,]+/); for (i = 1; i <= n; i++) if (words[i] ~ /^(targetpw|rootpw|runaspw)$/) asks[words[i]] }
		/^[A-Za-z]/ { user = group = options = ""; file = "-" }
		/^Sudoers entry: / { file = substr($0, 16); gsub(/[ \t]/, "?", file) }
		/^    RunAsUsers: / { user = substr($0, 17) }
		/^    RunAsGroups: / { group = substr($0, 18) }
		/^    Options: / { options = substr($0, 14) }
		/^\t/ { gsub(/ /, "", user); print user ":" group ":" options "\t" file "\t" substr($0, 2) }
		END { for (setting in asks) print "asks\t-\t" setting }' <<-LISTED
			$listed
		LISTED
}

# sudo_listing DIR: run inside a private mount namespace, in which there are no rules but ours.
sudo_listing() {
	local user
	mount --bind "$1/ours" /etc/sudoers || return 1
	while read -r user; do
		sudo_list "$user" >"$1/ours.$user" || rm -f "$1/ours.$user"
	done <"$1/users"
}

# sudo_compared LISTED ARGUMENT…: for each `# grants` "NAME WORD USER WHO RUNAS GROUP COMMAND", from what awk reads by the arguments: "allowed" where its
# rule stands in the listing of all files, "ask" where others behind it take away, else "denied"; "unasked" for a user who is not in LISTED.
sudo_compared() {
	local listed
	listed=$1
	shift
	awk -F '\t' -v listed="$listed" '
		# Of the rule, the Nth of its file.
		function verdict(user, n,  at) {
			if (index(listed, " " user " ") == 0) return "unasked"
			at = wanted[user, name, n] == "" ? 0 : last[user, wanted[user, name, n]] + 0
			return !at ? "denied" : taken[user] + 0 > at ? "ask" : "allowed"
		}
		# A rule has a line for each of its users.
		function finish(  i, per, word, user) {
			per = rules > 0 && grants >= rules ? int(grants / rules) : 1
			for (i = 1; i <= grants; i++) {
				split(grant[i], word, " ")
				user = word[1] in of ? of[word[1]] : "-"
				print name, verdict(user, int((i - 1) / per) + 1), user, grant[i]
			}
			grants = rules = 0
		}
		kind == "who" { split($0, whose, " "); of[whose[1]] = whose[2]; next }
		kind == "ours" {
			if (FNR == 1) name = ""
			if ($3 ~ /^\/drawbridge\//) { name = substr($3, 13); n = 0 }
			else if (name != "") wanted[user, name, ++n] = $1 "\t" $3
			next
		}
		kind == "all" { last[user, $1 "\t" $3] = FNR; if ($3 ~ /^!/) taken[user] = FNR; next }
		FNR == 1 { finish(); name = FILENAME; sub(/^.*\//, "", name) }
		/^# grants / { grant[++grants] = substr($0, 10) }
		/^[^#].*SETENV: / { rules++ }
		END { finish() }' "$@"
}

# sudo_effects DIR GRANTS: the words of sudo_looks for such lines, to DIR/out/effect/NAME. What is the same for the next line is asked once.
sudo_effects() {
	local name word user who runas group command program of trusted lent asked answer there
	of='' lent='' asked=''
	while read -r name word user who runas group command; do
		[ -n "$name" ] || continue
		program=${command%% *}
		[ "$name" = "$of" ] || {
			read_sudoers_trusted trusted "$runas" "$group"
			of=$name asked=''
		}
		[ "$runas" = "$lent" ] || {
			there=''
			! id "$runas" >/dev/null 2>&1 || there=$runas
			lent=$runas
		}
		[ "$program" = "$asked" ] || {
			read_others answer "$program" "$trusted" || return 1
			asked=$program
		}
		sudo_grant "$word" "$user" "$who" "$there" "$group" "$command" "$answer" >>"$1/out/effect/$name" || return 1
	done <<-GRANTS
		$2
	GRANTS
}

# sudo_grant WORD USER WHO RUNAS GROUP COMMAND ANSWER: what becomes of one rule for USER, one of WHO; prints the word. WORD says what the listings tell,
# RUNAS is empty where there is no such user, ANSWER says who could change the program.
sudo_grant() {
	local stands
	case $3:$2 in
	%*:-)
		if getent group "${3#%}" >/dev/null; then echo nobody; else echo unknown-user; fi
		return 0
		;;
	esac
	if [ "$2" = - ] || [ -z "$4" ]; then
		echo unknown-user
	elif is_changeable "$7"; then
		echo "$7"
	elif [ ! -x "${6%% *}" ]; then
		# It may come.
		echo no-such-command
	else
		stands=$1
		[ "$stands" != ask ] || stands=$(sudo_asked "$4" "$5" "$6" "$2")
		echo "${stands:-unasked}"
	fi
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

# The functions by which sudo_foreign writes what is foreign to one file of ours, by its users and programs.
# shellcheck disable=SC2016
FOREIGN='
	# By the path that others may run, whether the program is among what it means.
	function covers(path, program,  fixed, folder) {
		fixed = path
		sub(/[][*?\\].*/, "", fixed)
		folder = program
		sub(/[^\/]*$/, "", folder)
		return path == "ALL" || path == program || path == folder || (fixed != path && index(program, fixed) == 1)
	}
	function finish(  user, program, i) {
		for (user in users) {
			for (i = 1; i <= count[user]; i++) {
				if ((user, i) in always) { print name "\t" line[user, i]; continue }
				for (program in programs) if (covers(allowed[user, i], program)) print name "\t" line[user, i]
			}
		}
		split("", users)
		split("", programs)
	}'

# sudo_foreign DIR LISTED ARGUMENT…: to DIR/out/foreign/NAME, what the users of the file may by others' rules do with its programs, whatever the
# arguments; and whose password sudo asks for. The first fifty lines. From what awk reads by the arguments; of users who are not in LISTED, nothing.
sudo_foreign() {
	local dir listed found
	dir=$1 listed=$2
	shift 2
	found=$(awk -F '\t' -v listed="$listed" "$FOREIGN"'
		kind == "who" { split($0, word, " "); of[word[1]] = word[2]; next }
		kind == "ours" { ours[user, $1 "\t" $3]; next }
		kind == "all" && $1 == "asks" { line[user, ++count[user]] = "asks " user " " $3; always[user, count[user]]; next }
		kind == "all" && (((user, $1 "\t" $3) in ours) || $3 ~ /^!/) { next }
		kind == "all" {
			path = $3
			sub(/^(sha[0-9]+:[^ ]+,? *)+/, "", path)
			sub(/ .*/, "", path)
			split($1, as, ":")
			allowed[user, ++count[user]] = path
			line[user, count[user]] = "may " user " " $2 " " (as[1] == "" ? "root" : as[1]) " " path
			next
		}
		FNR == 1 { finish(); name = FILENAME; sub(/^.*\//, "", name) }
		/^# grants / {
			split($0, word, " ")
			programs[word[6]]
			if (index(listed, " " of[word[3]] " ") > 0) users[of[word[3]]]
		}
		END { finish() }' "$@") || return 1
	[ -n "$found" ] || return 0
	found=$(
		sort -u <<-FOUND
			$found
		FOUND
	) && [ -n "$found" ] || return 1
	awk -F '\t' -v to="$dir/out/foreign/" '
		$1 != name { if (name != "") close(to name); name = $1; n = 0 }
		++n <= 50 { print $2 >(to name) }' <<-FOUND
			$found
		FOUND
}

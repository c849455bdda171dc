# --- the transaction --------------------------------------------------------------------------------------------------
# Promises that whoever asks for a change gets one result, whatever ends the session, the process or the host meanwhile. Called by `apply`, `preflight`
# and `result` (90). Leaves the result of a day in RUN/results, the last changes in RUN/history, and while it works:
# $VAR/txn/ID holds: request, holder, manifest, files/ (what comes), old/ and absent (what was), undo.nft, this program, and two pipes: by `go` the worker is told its transaction, and
# the timer says its number; by `news` goes what the worker says.
# One of the empty files pending, confirmed, reverting says where it stands; each change of state is one rename.

# apply PEER OWN [preflight]: takes a transaction from stdin and does it, or only asks what would be refused of it. It is done in a process of its own, since the first stateful rule of a host may kill
# the very session that loads it. The outcome is read from a file, by us or by whoever asks for `result` later.
apply() {
	local incoming text id deadline way asked line name
	# Under the lock, or the last resource of somebody else might sweep the folder away between two of these.
	lock
	# Whoever had the lock before us may have swept the program away; the caller brings it again.
	[ -e "$PROGRAM" ] || exit 3
	# shellcheck disable=SC2015
	make_dir "$VAR/txn" && make_results && read -r name </proc/sys/kernel/random/uuid && incoming=$VAR/txn/.incoming.$name && mkdir "$incoming" "$incoming/old" &&
		true >"$incoming/alive" && hold "$incoming" && cp "$PROGRAM" "$incoming/drawbridge-host" && true >"$incoming/status" && mkfifo "$incoming/go" "$incoming/news" ||
		fail not-writable "cannot write below $VAR: $(df -h /var/lib | tail -n 1)"
	unlock
	[ "${3:-}" = preflight ] || start_worker "$incoming"
	step receive
	# The data may come later than the call (src/host/remote-host.ts, begin).
	ip -o route get "$1" >"$incoming/way" 2>/dev/null &
	asked=$!
	text=$(tar -xf - -C "$incoming" 2>&1) || {
		wait "$asked"
		rm -rf "$incoming"
		fail not-writable "cannot store the transaction below $VAR: $text"
	}
	wait "$asked" || true >"$incoming/way"
	read_line way "$incoming/way"
	read_asked id "$incoming/request" id
	is_id "$id" || fail bad-request "the transaction has no id"
	read_asked deadline "$incoming/request" deadline
	case $deadline in
	'' | *[!0-9]* | ??????*) fail bad-request "the transaction has no deadline" ;;
	esac
	sign_request "$incoming/request" "$1" "$2" "$way" || fail not-writable "cannot write below $VAR"
	step store
	mv -T "$incoming" "$VAR/txn/$id" || fail not-writable "cannot write below $VAR"
	if [ "${3:-}" = preflight ]; then
		preflight "$id"
		return
	fi
	step start
	# Where the worker is gone already, its result tells.
	trap '' PIPE
	echo "$id" 2>/dev/null >&5
	trap - PIPE
	exec 5>&- 6<&-
	while IFS= read -r line; do printf '%s\n' "$line" >&2; done <&7
	follow "$id"
}

# start_worker INCOMING: a process that waits for the number of a transaction at the pipe INCOMING/go, which is descriptor 5 here; it reads this program
# while we receive. Its news come by the pipe INCOMING/news, which ends with the worker, and is descriptor 7 here.
start_worker() {
	# All by descriptors, for the folder gets another name at any moment. Who opens both ends does not wait for the other one.
	{ command exec 3<"$1/drawbridge-host" && command exec 5<>"$1/go" && command exec 8<>"$1/news" && command exec 7<"$1/news"; } || fail not-writable "cannot open what is below $VAR"
	# A process in the background leads no group, so setsid makes none more. The last word is for whoever lists processes.
	setsid /bin/sh /proc/self/fd/3 work drawbridge-host </proc/self/fd/5 5>&- 7<&- 2>&8 >/dev/null &
	exec 3<&- 8>&-
}

# sign_request REQUEST PEER OWN WAY: what the host itself knows comes before the words of others, and so wins (see asked); WAY is ip's answer about PEER. Their
# control characters would go to a terminal by the history.
sign_request() {
	local device hop line text
	read_way_word device "$4" dev
	read_way_word hop "$4" via
	text=
	while IFS= read -r line || [ -n "$line" ]; do
		case $line in *[[:cntrl:]]*) line=$(printf '%s' "$line" | tr -d '\001-\037\177') || return 1 ;; esac
		text=$text$line$NEWLINE
	done <"$1" || return 1
	printf 'user %s\npeer %s\nown %s\ndevice %s\nhop %s\n%s' "${SUDO_USER:-root}" "$2" "$3" "$device" "$hop" "$text" >"$1"
}

# read_asked VARIABLE REQUEST WORD: what the request says behind the word, the first time: a name with a line feed in it cannot say more.
read_asked() {
	local asked_word asked_value
	give "$1" ''
	while read -r asked_word asked_value; do
		[ "$asked_word" = "$3" ] || continue
		give "$1" "$asked_value"
		return 0
	done <"$2"
}

# follow ID: prints the result; waits for the undo where the worker ended without one.
follow() {
	while [ ! -s "$RUN/results/$1" ]; do
		[ -d "$VAR/txn/$1" ] || [ -e "$RUN/results/.$1" ] || [ -e "$RUN/results/$1" ] || fail internal "the transaction ended without a result"
		sleep 0.1
		settle_if_free
	done
	show_result "$1"
}

# show_result ID: prints it, as the near side reads it.
show_result() {
	local line
	while IFS= read -r line; do printf '%s\n' "$line"; done <"$RUN/results/$1"
}

# result_of ID: what became of a transaction, for a controller that lost its session.
result_of() {
	if [ -s "$RUN/results/$1" ]; then show_result "$1"; elif [ -d "$VAR/txn/$1" ] || [ -e "$RUN/results/.$1" ]; then echo working; else echo unknown; fi
}

# finish ID STATE…: the result, complete or not at all. One line is written at once, and who sees the file before it has it goes on waiting.
finish() {
	[ $# -eq 2 ] || {
		draft "$@" && publish "$1"
		return
	}
	make_results && remember_result "$1" "$2" && printf '%s\n' "$2" >"$RUN/results/$1"
}

make_results() { [ -d "$RUN/results" ] || { private_dir "$RUN" && mkdir -p "$RUN/results"; }; }

# draft ID STATE…: a result that nobody sees before the host is clean again.
draft() {
	local hidden
	make_results && remember_result "$1" "$2" || return 1
	hidden=$RUN/results/.$1
	shift
	printf '%s\n' "$@" >"$hidden"
}

# remember_result ID STATE: as `remember`; but of what is confirmed, keep_confirmed sees to it.
remember_result() { case $2 in applied* | confirmed) ;; *) remember "$1" "$2" ;; esac }

# remember ID STATE: one line for the journal, and for `drawbridge-host status`: what became of whose change. The state's first word, or of
# a confirmed change what it did, where its controller says it.
remember() {
	local of outcome action first from holder user peer entry logging now
	of=$VAR/txn/$1
	[ -e "$of/request" ] || return 0
	outcome=${2%%[!a-z]*}
	read_asked action "$of/request" action
	case $outcome:$action in
	confirmed:created | confirmed:updated | confirmed:deleted | confirmed:changed) outcome=$action ;;
	esac
	first=
	[ ! -s "$of/manifest" ] || read -r _ _ _ first _ <"$of/manifest"
	read_header from "$of/files$first" from
	[ -n "$from" ] || read_header from "$VAR/confirmed$first" from
	read_asked holder "$of/request" holder
	read_asked user "$of/request" user
	read_asked peer "$of/request" peer
	entry="$outcome: $holder, of ${from%% *}, by $user from $peer"
	logger -t drawbridge -p daemon.notice -- "$entry" 2>/dev/null &
	logging=$!
	# The history is no longer than two files of some hundred changes; the journal has the rest. Results serve controllers that come back; a day is long enough.
	now=
	true >"$RUN/now" && now=$(find "$RUN/now" "$RUN/history" "$RUN/results" -name now -printf '%TFT%TT' -o -name history -size +31 -exec mv -f {} {}.before \; -o \
		-type f -path "$RUN/results/*" -mmin +1440 -delete 2>/dev/null)
	printf '%s %s\n' "${now%.*}Z" "$entry" >>"$RUN/history"
	wait "$logging"
}

# publish ID: shows the draft.
publish() { mv -fT "$RUN/results/.$1" "$RUN/results/$1"; }

# work ID: the worker.
work() {
	local said holder look stands
	T=$VAR/txn/$1 PROGRAM=$VAR/txn/$1/drawbridge-host
	command exec 2>>"$T/status" </dev/null 3<&- || exit 1
	# A pipe of which we have both ends, so that we never mind whether somebody still listens.
	NEWS=8
	# Whatever ends this process early, somebody waits for its result.
	trap '[ -s "$RUN/results/'"$1"'" ] || finish '"$1"' "failed internal" "text $(tail -n 4 "$T/status" | tr "\n" " ")"' EXIT
	read_asked holder "$T/request" holder
	# shellcheck disable=SC2015
	printf '%s\n' "$holder" >"$T/holder" && true >"$T/drops" || exit 1
	step wait
	wait_until_settled "$holder"
	# What does not depend on the checks goes beside them.
	look='' stands=1
	! is_standing_kept || {
		sha256sum --quiet -c "$VAR/standing" >/dev/null 2>&1 &
		look=$!
	}
	ask said prepare || said=$(unfinished "the check of this change")
	[ -z "$look" ] || { wait "$look" && stands=0; }
	if [ -n "$said" ]; then
		give_up "$1" "$said"
		return 0
	fi
	step arm
	if arm "$1"; then change "$1" "$stands"; else
		give_up "$1" "failed arm
text the undo could not be armed: $(tail -n 3 "$T/arm.log" | tr '\n' ' ')"
	fi
}

# change ID PROGRAM: what is armed is put in place (see put_in_place), or rolled back at once.
change() {
	local said count
	step armed
	read_line count "$T/count"
	say "applying $count changes"
	if ask said put_in_place "$2" && [ -z "$said" ]; then
		step report
		forget_neighbours &
		if applied "$1"; then
			step applied
			wait "$!"
			unlock
			return 0
		fi
		wait "$!"
	fi
	draft_failure "$1" "$said"
	/bin/sh "$T/drawbridge-host" undo "$1" held
	unlock
	publish "$1"
}

# draft_failure ID SAID: the result of a change that is rolled back, for what was said of it; nothing, where it died.
draft_failure() {
	case $2 in
	# Known by number whose fault it is.
	"refuse "*) draft "$1" refused "$2" ;;
	"not-writable "*) draft "$1" "failed not-writable" "text ${2#not-writable }" ;;
	"") draft "$1" "$(unfinished "this change")" ;;
	*) draft "$1" "failed apply" "text $(printf '%s' "$2" | tr '\n' ' ')" ;;
	esac
}

# applied ID: the result of a change that is in place, and that its controller is to confirm.
applied() {
	local machine notes
	notes=
	[ ! -s "$T/notes" ] || notes=$(sed 's/^/note /' "$T/notes") || return 1
	read_machine machine && finish "$1" "applied $machine" ${notes:+"$notes"}
}

# unfinished WHAT: the result where a step died, or failed without a word.
unfinished() {
	if has_room "$VAR" && has_room "$RUN"; then
		printf 'failed internal\ntext %s did not come to its end on the host: %s\n' "$1" "$(tail -n 4 "$T/status" | tr '\n' ' ')"
	else cannot_store; fi
}

# give_up ID RESULT: nothing was changed.
give_up() {
	draft "$1" "$2"
	clean_up "$T"
	publish "$1"
}

clean_up() {
	find "$VAR" -name '.drawbridge.*' -delete 2>/dev/null || :
	remove_transaction "$1"
	leave_no_trace
	unlock
}

# --- the way in -------------------------------------------------------------------------------------------------------
# Promises that a command that is not ours, or wants root and has not got it, does nothing. Called by sshd or sudo for Pulumi, by our units, by udev and by
# administrators. Leaves nothing of its own but the program, where a newer one comes.

usage() {
	cat <<-'TEXT'
		usage: drawbridge-host COMMAND
		  status     what stands here and whose it is, what is pending, the last changes and their outcome
		  leaks      what the fences have counted and logged
		  load       make the kernel follow /etc/drawbridge, as boot does
		  settle     after a crash: roll back what was not confirmed, and put back what a rollback could not write
		  undo [ID]  roll back what is pending now, instead of at its deadline
		  lift       take all rules of Drawbridge out of the kernel until the next boot or "unlift"; logged, and seen by refresh
		  unlift     put them back
		  version    print the version
		Called by pulumi-drawbridge, data on stdin: snapshot, survey, preflight, apply, result, confirm, report, upgrade
	TEXT
}

# hello: the first line of every answer, so that the other end knows whom it talks to.
hello() { printf 'drawbridge-host %s %s %s\n' "$LAYOUT" "$VERSION" "$DIGEST"; }

# serves_earlier LAYOUT VERSION: the caller is an earlier version that says and wants the same. So that two versions on one host do not
# put their programs in each other's place for ever. A pre-release comes before its release.
serves_earlier() {
	[ "$1" = "$LAYOUT" ] && [ -n "$2" ] && [ "$2" != "$VERSION" ] &&
		printf '%s\n' "$2" "$VERSION" | tr - '~' | sort -V -C
}

# receive: a program from stdin, which then puts itself in its place; one that was cut says nothing.
receive() {
	local temporary said
	temporary=$(mktemp "${SELF%/*}/$INCOMING.XXXXXXXXXX") || fail not-writable "cannot write $SELF"
	if cat >"$temporary" && said=$(/bin/sh "$temporary" install) && [ "$said" = installed ]; then return 0; fi
	rm -f "$temporary"
	fail not-writable "cannot write $SELF"
}

# install_myself: puts the file that runs in its place. Under the lock: a sweep that is at it would take the mark away and leave the program.
# Where somebody hangs with the lock, it is put there all the same, for whoever asks what has become of a change.
install_myself() {
	lock_within 10 || :
	# What an administrator has put there by hand is not marked, and stays.
	# shellcheck disable=SC2015
	private_dir "$VAR" && { [ -e "$SELF" ] || true >"$VAR/installed"; } && chmod 755 "$PROGRAM" && mv -fT "$PROGRAM" "$SELF" ||
		fail not-writable "cannot write $SELF or below $VAR"
	units_follow
	# What was cut while it came.
	find "${SELF%/*}" -maxdepth 1 -type f -name "$INCOMING.??????????" -mmin +60 -delete
	unlock
	echo installed
}

command=${1:-help}
# What the remote shell made of "$SSH_CONNECTION": the address that the session comes from.
connection=${2:-}
peer=${connection%% *}
# The address of this host that the session has.
own=${connection#* * }
own=${own%% *}
# Its port of this host; nothing where a console calls.
port=${connection##* }
case $command in
version) printf '%s\n' "$VERSION" ;;
snapshot | survey | preflight | apply | result | confirm | report | upgrade)
	hello
	is_root
	close_folders
	# Who brings a newer program sends "upgrade" instead of going on.
	[ "${3:-}" = "$DIGEST" ] || [ "$command" = upgrade ] || serves_earlier "${4:-}" "${5:-}" || exit 3
	case $command in
	snapshot) snapshot "$peer" "$port" ;;
	survey) survey "$peer" "$port" ;;
	preflight | apply) apply "$peer" "$own" "$command" ;;
	report)
		private_dir "$RUN"
		leaks
		standing || fail internal "what stands on this host could not be listed completely"
		lock
		leave_no_trace
		;;
	upgrade)
		receive
		echo upgraded
		;;
	*)
		read -r id
		is_id "$id" || fail bad-request "not the id of a transaction"
		make_results
		if [ "$command" = confirm ]; then confirm "$id"; else
			settle_if_free
			result_of "$id"
			# Where the undo has left no trace, the question has brought the program again. Whoever holds the lock sees to it else.
			! lock_within 0 || leave_no_trace
		fi
		;;
	esac
	;;
status)
	is_root
	status
	;;
install)
	is_root
	install_myself
	;;
leaks)
	is_root
	private_dir "$RUN"
	leaks
	;;
load | lift | unlift | around | settle | undo)
	is_root
	close_folders
	case $command in
	load) if [ "${2:-}" = flushed ]; then load_flushed; else load; fi ;;
	lift) lift ;;
	unlift) unlift ;;
	around)
		shift
		around "$@"
		;;
	settle) settle_after_crash ;;
	undo)
		# Without an id, the one that is pending: there is never a second one.
		pending=${2:-}
		[ -n "$pending" ] || for txn in "$VAR"/txn/*/pending; do
			[ ! -e "$txn" ] || pending=$(basename "${txn%/pending}")
		done
		[ -n "$pending" ] || fail bad-request "nothing is pending; to see the last changes: drawbridge-host status"
		is_id "$pending" || fail bad-request "not the id of a transaction"
		undo "$pending" "${3:-}"
		;;
	esac
	;;
# Steps of the above that need a process or a namespace of their own, called by nobody else; others are in 05.
work | sudo-namespace | sudo-listing)
	is_root
	# The worker is told its transaction when that is there; by nothing, that there is none.
	[ "$command" != work ] || { read -r id && set -- work "$id"; } || exit 0
	is_step_of "$@" || fail bad-request "a step of a transaction, which only drawbridge-host itself calls"
	shift
	case $command in
	work) work "$1" ;;
	sudo-namespace) sudo_namespace "$1" ;;
	sudo-listing) sudo_listing "$1" ;;
	esac
	;;
*) usage ;;
esac

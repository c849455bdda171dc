# --- the way in -------------------------------------------------------------------------------------------------------

usage() {
	cat <<-'TEXT'
		usage: drawbridge-host COMMAND
		  status     what stands here and whose it is, what is pending, the last changes and their outcome
		  leaks      what the fences have counted and logged
		  load       make the kernel follow /etc/drawbridge, as boot does
		  settle     after a crash: undo what was not confirmed, and put back what an undo could not write
		  undo [ID]  undo what is pending now, instead of at its deadline
		  lift       take all rules of ours out of the kernel until the next boot or "unlift"; logged, and seen by refresh
		  unlift     put them back
		  version    print the version
		Called by pulumi-drawbridge, data on stdin: snapshot, survey, apply, result, confirm, report, upgrade
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

is_root() { [ "$(id -u)" = 0 ] || fail not-root "drawbridge-host must run as root, or through sudo -n"; }

command=${1:-help}
# What the remote shell made of "$SSH_CONNECTION": the address that the session comes from.
connection=${2:-}
peer=${connection%% *}
# The address of this host that the session has.
own=${connection#* * }
own=${own%% *}
case $command in
version) printf '%s\n' "$VERSION" ;;
snapshot | survey | apply | result | confirm | report | upgrade)
	hello
	is_root
	# Who brings a newer program sends "upgrade" instead of going on.
	[ "${3:-}" = "$DIGEST" ] || [ "$command" = upgrade ] || serves_earlier "${4:-}" "${5:-}" || exit 3
	case $command in
	snapshot) snapshot "$peer" ;;
	survey) survey "$peer" ;;
	apply) apply "$peer" "$own" ;;
	report)
		mkdir -p "$RUN"
		leaks
		lock
		sweep
		;;
	upgrade)
		# shellcheck disable=SC2015
		temporary=$(mktemp "$SELF.XXXXXX") && cat >"$temporary" && chmod 755 "$temporary" && mv -fT "$temporary" "$SELF" ||
			fail not-writable "cannot write $SELF"
		echo upgraded
		;;
	*)
		read -r id
		is_id "$id" || fail bad-request "not the id of a transaction"
		mkdir -p "$RUN/results"
		if [ "$command" = confirm ]; then confirm "$id"; else
			settle_if_free
			result_of "$id"
			# Where the undo has left no trace, the question has brought the program again. Whoever holds the lock sees to it else.
			exec 9>>"$LOCK"
			! flock -n 9 || sweep
		fi
		;;
	esac
	;;
status) status ;;
leaks)
	is_root
	mkdir -p "$RUN"
	leaks
	;;
load | lift | unlift | around | settle | undo)
	is_root
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
# Steps of the above that need a process or a namespace of their own.
work | undo-later | nft-namespace | sudo-namespace)
	shift
	case $command in
	work) work "$1" ;;
	undo-later) undo_later "$1" "$2" ;;
	nft-namespace) nft_namespace "$1" ;;
	sudo-namespace) sudo_namespace "$1" ;;
	esac
	;;
*) usage ;;
esac

# --- steps that need a process of their own, and little of this program -------------------------------------------------
# Promises that who only waits, or only loads a text in a throw-away namespace, starts at once: the shell reads a program as it goes, and these end before
# the rest is read. Called by the transaction (51, 52) and the look (60), by nobody else. Leaves what nft_namespace writes into its folder.

is_root() {
	local word uid
	uid=
	# By the shell alone: /proc/self is who opens it.
	while read -r word _ uid _; do [ "$word" != Uid: ] || break; done </proc/self/status
	[ "$word:$uid" = Uid::0 ] || fail not-root "drawbridge-host must run as root, or through sudo -n"
}

# is_step_of COMMAND OF…: what an internal command works on is a transaction's, or a look's.
is_step_of() {
	local of
	of=${2:-}
	case $1 in
	work | undo-later) ;;
	*)
		case $of in
		"$RUN"/snapshot.*/dry | "$RUN"/snapshot.*/sudo) [ -d "$of" ] && return ;;
		esac
		of=${of#"$VAR/txn/"}
		;;
	esac
	[ "$1" != nft-namespace ] || of=${of%/dry}
	is_id "$of" && [ -d "$VAR/txn/$of" ]
}

# undo_later ID SECONDS: says its own number when it is ready. An undo that is killed is begun again, as systemd does it where it
# is: after a lock-out nobody else would come.
undo_later() {
	echo "$$" >"$VAR/txn/$1/timer" && echo "$$" || return 1
	exec >&2
	sleep "$2"
	until /bin/sh "$VAR/txn/$1/drawbridge-host" undo "$1"; do
		[ -d "$VAR/txn/$1" ] || break
		sleep 1
	done
}

# nft_list PREFIX FAMILY…: nft's text of our tables, by way of PREFIX.FAMILY. One process each, at the same time: of several `list` in
# one, nft 1.0.6 finds the tables of one only.
# A listing that is not whole fails; nft itself does not mind a disk that takes no more. What the kernel has learnt into a set (`flags dynamic`) is left out: it is
# neither ours nor anybody's, and another one at the next moment.
nft_list() {
	local prefix family
	prefix=$1
	shift
	nft_listings "$prefix" "$@" || return 1
	for family in "$@"; do
		set -- "$@" "$prefix.$family"
		shift
	done
	awk -v listings="$#" "$LISTING"'{ print }' reading=listing "$@"
}

# nft_listings PREFIX FAMILY…: what nft says, to PREFIX.FAMILY.
nft_listings() {
	local prefix family processes process
	prefix=$1 processes=
	shift
	for family in "$@"; do
		nft -s list table "$family" drawbridge >"$prefix.$family" &
		processes="$processes $!"
	done
	for process in $processes; do wait "$process" || return 1; done
}

# LISTING: for awk, the lines of such files behind reading=listing less what was learnt; fails where not as many as `listings` are whole.
# shellcheck disable=SC2016
LISTING='
	reading == "listing" {
		if (FNR == 1) whole += last == "}"
		last = $0
		if (/^\t[^\t]/) is_learnt = 0
		if (/^\t\tflags .*dynamic/) is_learnt = 1
		if (is_learnt && /^\t\telements = /) is_skipped = 1
		if (is_skipped) { if (/\}$/) is_skipped = 0; next }
	}
	END { if (whole + (last == "}") != listings) exit 1 }
'

# nft_namespace DIR: run inside a throw-away network namespace. Loads DIR/*.nft one after the other, and prints the tables of the families in DIR/listed to
# DIR/canonical after DIR/new.nft; where DIR/stub.nft is what a delta is tried on, to DIR/list.FAMILY as nft has them. netdev chains want their devices, so where there may be some (DIR/devices), stand-ins are made (veth: loading its
# module makes no device by itself).
nft_namespace() {
	local text family
	cd "$1" || exit 1
	[ ! -e devices ] || {
		awk '/ device "/ { split($0, part, "\""); if (part[2] != "lo" && !seen[part[2]]++) print "link add " part[2] " type veth peer name dbpeer" ++n }' ./*.nft >stand-ins
		[ ! -s stand-ins ] || ip -batch stand-ins || exit 1
	}
	for text in stub.nft new.nft undo.nft; do
		[ -e "$text" ] || continue
		nft -f "$text" 2>error.txt || {
			echo "$text" >failed
			exit 1
		}
		[ "$text" = new.nft ] || continue
		set --
		while read -r family; do set -- "$@" "$family"; done <listed || exit 1
		if [ -e stub.nft ]; then
			nft_listings list "$@" || exit 1
			continue
		fi
		# Of tables that all go nothing is listed.
		{ [ $# -eq 0 ] || nft_list list "$@"; } >canonical 2>error.txt || exit 1
	done
}

case ${1:-} in
undo-later | nft-namespace)
	is_root
	is_step_of "$@" || fail bad-request "a step of a transaction, which only drawbridge-host itself calls"
	case $1 in
	undo-later) undo_later "$2" "$3" ;;
	nft-namespace) nft_namespace "$2" ;;
	esac
	exit
	;;
esac

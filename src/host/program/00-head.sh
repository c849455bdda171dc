#!/bin/sh
# drawbridge-host: what pulumi-drawbridge calls on a host, what boot runs, what an administrator runs at the console.
# Data comes as a tar stream on stdin, never in a command line. `drawbridge-host help` says what it can do; where it all stands, docs/program.md.
# This file holds what all others use. What stands in capitals is set here and known everywhere; every other variable is local to its function. Leaves nothing.
set -u
umask 022
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C TZ=UTC
export PATH LC_ALL TZ

LAYOUT=1
VERSION=@VERSION@
DIGEST=@DIGEST@
SELF=/usr/local/sbin/drawbridge-host
# The file that this program is read from, and that it starts steps of its own from.
PROGRAM=$0
MAN_PAGE=/usr/local/share/man/man8/drawbridge-host.8
# What a program is called, beside it, until it is complete.
INCOMING=.drawbridge-host
ETC=/etc/drawbridge
VAR=/var/lib/drawbridge
RUN=/run/drawbridge
# The folder of the transaction at work; empty outside of one.
T=
# The folder of the look at work.
S=
# Where the devices, counters and accounts stand that a table's text is made with: LOOK.present, LOOK.counters, LOOK.accounts.
LOOK=
# In /run itself, for the folder comes and goes: two programs that lock different inodes of one name do not exclude each other.
LOCK=/run/drawbridge.lock

# say TEXT: news for whoever waits at the other end.
NEWS=2
say() { printf 'status %s\n' "$*" >&"$NEWS"; }

# fail CODE TEXT: the codes are those of src/core/errors.ts.
fail() {
	printf 'error %s\n' "$1" >&2
	shift
	printf '%s\n' "$*" >&2
	exit 1
}

# complain TEXT: loud, for boot, where nobody waits.
FAULTS=
complain() {
	[ -z "$FAULTS" ] || printf '%s\n' "$*" >>"$FAULTS"
	printf 'drawbridge: %s\n' "$*" >&2
	logger -t drawbridge -p daemon.crit -- "$*" 2>/dev/null || printf '<2>drawbridge: %s\n' "$*" >/dev/kmsg 2>/dev/null || :
}

# give VARIABLE VALUE: sets the variable, which is the caller's, as `read` does it. Where a function hands over a value so, its own variables have
# names that no caller's variable has, for they would hide it.
give() { eval "$1=\$2"; }

NEWLINE='
'

# step NAME: where a transaction may meet its end. Does nothing; the drills run a program in which it stops and waits to be hurt.
step() { :; }

# ask VARIABLE STEP…: what the step prints, into the variable, as `read` does it. Silence is no consent: a step that died, in $(…) of its own,
# prints nothing as one does that has nothing to say. So its status counts, and the word that stands behind what it prints.
ask() {
	local ask_into ask_answer ask_status
	ask_into=$1
	shift
	ask_answer=$("$@" && echo "$CAME_TO_ITS_END")
	ask_status=$?
	case $ask_answer in
	*"$CAME_TO_ITS_END") ask_answer=${ask_answer%"$CAME_TO_ITS_END"} ;;
	*) ask_status=1 ;;
	esac
	# The line feed before the word, as $(…) takes it away.
	give "$ask_into" "${ask_answer%"$NEWLINE"}"
	return "$ask_status"
}
CAME_TO_ITS_END=came-to-its-end

# read_line VARIABLE FILE: its first line, or nothing where there is none, into the variable.
read_line() {
	give "$1" ''
	[ ! -f "$2" ] || IFS= read -r "$1" <"$2" || :
}

# read_last_line VARIABLE FILE: likewise its last one.
read_last_line() {
	local last_line last_found
	last_found=
	[ ! -f "$2" ] || while IFS= read -r last_line || [ -n "$last_line" ]; do last_found=$last_line; done <"$2"
	give "$1" "$last_found"
}

have() { command -v "$1" >/dev/null 2>&1; }

# is_id TEXT: 32 hexadecimal digits, as every transaction is named.
is_id() {
	case $1 in
	*[!0-9a-f]*) return 1 ;;
	esac
	[ ${#1} -eq 32 ]
}

# needs TOOL PACKAGE
needs() { have "$1" || fail missing-tool "$1 is not installed on this host; install the package $2"; }

# --- who else than root can change what stands at a path ------------------------------------------------------------------
# Promises that nobody is asked about who could not be seen: where a place says nothing, the answer is no "fine". Called before anything that is not in
# a folder of our own is read, written or allowed to be run (37 to 41). Leaves nothing.

# others_on PATH [UID]: whether somebody else than root, and than the user with that number, can put something else where PATH leads: by the file itself,
# by any folder or by any link on the way, link after link. Prints "changeable PLACE can be changed by WHO", "absent PLACE" (the first place on the
# way that is not there), or "fine".
others_on() {
	local way hops answer link target
	way=$1 hops=0
	while :; do
		answer=$(others_on_way "$way" "${2:-0}") || return 1
		case $answer in
		"link "*) link=${answer#link } ;;
		*)
			printf '%s\n' "$answer"
			return 0
			;;
		esac
		hops=$((hops + 1))
		[ "$hops" -le 40 ] || {
			echo "changeable $link leads in a circle, and can be changed by nobody knows whom"
			return 0
		}
		target=$(readlink "$link") || return 1
		case $target in
		/*) way=$target${way#"$link"} ;;
		*) way=${link%/*}/$target${way#"$link"} ;;
		esac
	done
}

# others_on_way PATH UID: the same up to the first link: "link PLACE". One process, whatever the length.
others_on_way() {
	local left part place
	left=${1#/} place=''
	set -- "$2" /
	while [ -n "$left" ]; do
		part=${left%%/*}
		left=${left#"$part"} left=${left#/}
		[ -n "$part" ] || continue
		place=$place/$part
		set -- "$@" "$place"
	done
	others_listed "$@"
}

# others_listed UID PLACE…: the first of the places, each of which lies in the one before it, of which there is something to say.
others_listed() {
	local but listed bits uid gid who
	but=$1
	shift
	# In the order in which they are named; what is not there comes last.
	listed=$(ls -qldnU -- "$@" 2>/dev/null)
	# No answer at all is nobody's "root".
	while read -r bits _ uid gid _; do
		who=
		case $uid in 0 | "$but") ;; *) who="the user $(stat -c %U "$1" 2>/dev/null)" ;; esac
		case $bits in
		l*)
			[ -n "$who" ] || {
				echo "link $1"
				return 0
			}
			;;
		????????w*) who=everyone ;;
		?????w????+*) who="those in its access control list" ;;
		?????w*) [ "$gid" = 0 ] || who="the group $(stat -c %G "$1")" ;;
		esac
		[ -z "$who" ] || {
			echo "changeable $1 can be changed by $who"
			return 0
		}
		shift
	done <<-LISTED
		$listed
	LISTED
	if [ $# -gt 0 ]; then echo "absent $1"; else echo fine; fi
}

# is_changeable ANSWER: of others_on, whether it says who could.
is_changeable() { case $1 in "changeable "*) ;; *) return 1 ;; esac; }

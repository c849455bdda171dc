# --- who else than root can change what stands at a path ------------------------------------------------------------------

# others_on PATH [UID]: whether somebody else than root, and than the user with that number, can put something else where PATH leads:
# by the file itself, by any folder or by any link on the way, link after link. Into $others "PLACE can be changed by WHO", or nothing;
# into $absent the first place on the way that is not there, or nothing.
others_on() {
	way=$1 hops=0
	while :; do
		others='' absent='' link=''
		others_on_way "$way" "${2:-0}"
		[ -z "$others" ] && [ -n "$link" ] || return 0
		hops=$((hops + 1))
		[ "$hops" -le 40 ] || {
			others="$link leads in a circle, and can be changed by nobody knows whom"
			return 0
		}
		target=$(readlink "$link")
		case $target in
		/*) way=$target${way#"$link"} ;;
		*) way=${link%/*}/$target${way#"$link"} ;;
		esac
	done
}

# others_on_way PATH UID: the same up to the first link, which goes into $link. One process, whatever the length.
others_on_way() {
	left=${1#/} place='' but=$2
	set -- /
	while [ -n "$left" ]; do
		part=${left%%/*}
		left=${left#"$part"} left=${left#/}
		[ -n "$part" ] || continue
		place=$place/$part
		set -- "$@" "$place"
	done
	# In the order in which they were named; what is not there comes last.
	listed=$(ls -qldnU -- "$@" 2>/dev/null)
	# No answer at all is nobody's "root".
	while read -r bits _ uid gid _; do
		who=
		case $uid in 0 | "$but") ;; *) who="the user $(stat -c %U "$1" 2>/dev/null)" ;; esac
		case $bits in
		l*) link=$1 ;;
		????????w*) who=everyone ;;
		?????w????+*) who="those in its access control list" ;;
		?????w*) [ "$gid" = 0 ] || who="the group $(stat -c %G "$1")" ;;
		esac
		[ -z "$who" ] || others="$1 can be changed by $who"
		shift
		[ -z "$others$link" ] || return 0
	done <<-LISTED
		$listed
	LISTED
	absent=${1:-}
}

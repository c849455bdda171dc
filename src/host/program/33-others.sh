# --- who else than root can change what stands at a path ------------------------------------------------------------------
# Promises that nobody is asked about who could not be seen: where a place says nothing, the answer is no "fine". Called before anything that is not in
# a folder of our own is read, written or allowed to be run (37 to 41). Leaves nothing.

# read_others VARIABLE PATH [UID]: whether somebody else than root, and than the user with that number, can put something else where PATH leads: by the
# file itself, by any folder or by any link on the way, link after link. Into the variable comes "changeable PLACE can be changed by WHO",
# "absent PLACE" (the first place on the way that is not there), or "fine". Fails where it cannot be known.
read_others() {
	local others_way others_hops others_answer others_link others_target
	others_way=$2 others_hops=0
	while :; do
		read_others_way others_answer "$others_way" "${3:-0}" || return 1
		case $others_answer in
		"link "*) others_link=${others_answer#link } ;;
		*) break ;;
		esac
		others_hops=$((others_hops + 1))
		[ "$others_hops" -le 40 ] || {
			others_answer="changeable $others_link leads in a circle, and can be changed by nobody knows whom"
			break
		}
		others_target=$(readlink "$others_link") || return 1
		case $others_target in
		/*) others_way=$others_target${others_way#"$others_link"} ;;
		*) others_way=${others_link%/*}/$others_target${others_way#"$others_link"} ;;
		esac
	done
	give "$1" "$others_answer"
}

# read_others_way VARIABLE PATH UID: the same up to the first link: "link PLACE". One process, whatever the length.
read_others_way() {
	local way_into way_but way_left way_part way_place way_listed
	way_into=$1 way_but=$3 way_left=${2#/} way_place=''
	set -- /
	while [ -n "$way_left" ]; do
		way_part=${way_left%%/*}
		way_left=${way_left#"$way_part"} way_left=${way_left#/}
		[ -n "$way_part" ] || continue
		way_place=$way_place/$way_part
		set -- "$@" "$way_place"
	done
	# In the order in which they are named; what is not there comes last, and makes the status 2 or 1. There is always the first.
	way_listed=$(ls -qldnU -- "$@" 2>/dev/null)
	[ $? -le 2 ] && [ -n "$way_listed" ] || return 1
	read_others_listed "$way_into" "$way_but" "$way_listed" "$@"
}

# read_others_listed VARIABLE UID LISTED PLACE…: the first of the places, each of which lies in the one before it, of which there is something to say, by
# what `ls` has listed of them.
read_others_listed() {
	local listed_into listed_but listed_places listed_answer listed_bits listed_uid listed_gid listed_who
	listed_into=$1 listed_but=$2 listed_places=$3 listed_answer=
	shift 3
	while [ -z "$listed_answer" ] && read -r listed_bits _ listed_uid listed_gid _; do
		listed_who=
		case $listed_uid in 0 | "$listed_but") ;; *) listed_who="the user $(stat -c %U "$1" 2>/dev/null)" ;; esac
		case $listed_bits in
		l*) [ -n "$listed_who" ] || listed_answer="link $1" ;;
		????????w*) listed_who=everyone ;;
		?????w????+*) listed_who="those in its access control list" ;;
		?????w*) [ "$listed_gid" = 0 ] || listed_who="the group $(stat -c %G "$1")" ;;
		esac
		[ -z "$listed_who" ] || listed_answer="changeable $1 can be changed by $listed_who"
		shift
	done <<-LISTED
		$listed_places
	LISTED
	if [ -n "$listed_answer" ]; then :; elif [ $# -gt 0 ]; then listed_answer="absent $1"; else listed_answer=fine; fi
	give "$listed_into" "$listed_answer"
}

# read_plain VARIABLE PATH: of a file, what stat says of it, "SIZE UID GID MODE USER:GROUP", where by what the same stat says all folders on the way are plainly root's alone. Nothing where
# that is not so plain: a link, a folder that others may write in (with an access control list the group's bits are what it allows at most), no file. One process, for what is asked again and again.
read_plain() {
	local plain_into plain_path plain_left plain_part plain_place plain_said plain_bits plain_uid plain_rest
	plain_into=$1 plain_path=$2 plain_left=${2%/*} plain_place=''
	give "$1" ''
	plain_left=${plain_left#/}
	set -- /
	while [ -n "$plain_left" ]; do
		plain_part=${plain_left%%/*}
		plain_left=${plain_left#"$plain_part"} plain_left=${plain_left#/}
		[ -n "$plain_part" ] || continue
		plain_place=$plain_place/$plain_part
		set -- "$@" "$plain_place"
	done
	# Names come last: those of a directory service may have blanks.
	plain_said=$(stat -c '%A %u %s %u %g %a %U:%G' -- "$@" "$plain_path" 2>/dev/null) || return 0
	while read -r plain_bits plain_uid plain_rest; do
		case $#:$plain_bits:$plain_uid in
		0:-*) give "$plain_into" "$plain_rest" ;;
		0:*) break ;;
		*:d????-??-?:0) shift ;;
		*) break ;;
		esac
	done <<-SAID
		$plain_said
	SAID
}

# is_changeable ANSWER: of read_others, whether it says who could.
is_changeable() { case $1 in "changeable "*) ;; *) return 1 ;; esac; }

# read_folder_reason VARIABLE FOLDER: why no file in the folder may be touched: who else than root can put another in its place, or that there is no
# such folder. Nothing where it is root's alone.
read_folder_reason() {
	local reason_answer
	read_others reason_answer "${2:-/}" || return 1
	case $reason_answer in
	"changeable "*) reason_answer="path: ${reason_answer#changeable }, who could put another file in its place; choose a folder that is root's alone" ;;
	"absent "*) reason_answer="path: there is no folder ${reason_answer#absent } on this host" ;;
	*) reason_answer= ;;
	esac
	give "$1" "$reason_answer"
}

# listings.awk: whether two listings of a table of ours, as nft prints them, are the same. Objects, and elements of sets and maps, in any order, for nft lists them in the order in
# which they came. Fails where they are not the same.
#
# are_listed (31-delta) calls it:
#
#   awk "$LISTINGS_COMPARED" reading=remembered LISTING [PATCHES…] reading=listed LISTING
#
#   PATCHES     what has become of the remembered listing since: objects as they are listed, which take the place of former ones, and lines:
#     gone OBJECT     it is there no more; OBJECT is the line with which nft begins it
#     part OBJECT     of the set or map that follows, or of which elements leave, the others stay
#     less ELEMENT    which leaves it

/^gone / { forget(substr($0, 6)); next }
/^part / { part = substr($0, 6); next }
/^less / { delete element[reading, part, version[reading, part], substr($0, 6)]; next }
# What stands in the table by itself, such as its flags, is an object without lines.
/^\t[^\t}]/ {
	name = $0
	is_part = name == part
	part = ""
	if (!is_part) forget(name)
	text[reading, name] = text[reading, name] ""
	is_set = name ~ /^\t(set|map) /
	is_list = 0
	next
}
$0 == "" || $0 == "}" || $0 == "\t}" || /^table / { next }
is_set && (is_list || /^\t\telements = \{/) { is_list = 1; read_elements($0); next }
!is_part { text[reading, name] = text[reading, name] $0 "\n" }

END {
	for (key in text) {
		split(key, at, SUBSEP)
		twin = other(at[1]) SUBSEP at[2]
		if (!(twin in text) || text[key] != text[twin]) exit 1
	}
	for (key in element) {
		split(key, at, SUBSEP)
		if (at[3] != version[at[1], at[2]]) continue
		twin = other(at[1]) SUBSEP at[2] SUBSEP version[other(at[1]), at[2]] SUBSEP at[4]
		if (!(twin in element) || element[key] != element[twin]) exit 1
	}
}

function other(of) { return of == "listed" ? "remembered" : "listed" }

# forget OBJECT: with its elements, which are those of a former version.
function forget(of) {
	delete text[reading, of]
	version[reading, of]++
}

# read_elements LINE: nft ends a line behind an element only.
function read_elements(line, key, whole) {
	sub(/^\t\telements = \{/, "", line)
	sub(/ \}$/, "", line)
	while (match(line, /("[^"]*"|[^",])+/)) {
		whole = substr(line, RSTART, RLENGTH)
		line = substr(line, RSTART + RLENGTH)
		gsub(/^[ \t]+|[ \t]+$/, "", whole)
		if (whole == "") continue
		key = whole
		sub(/ comment ".*| : .*/, "", key)
		element[reading, name, version[reading, name], key] = whole
	}
}

# index.awk: of the fragments of one table what the rest of the table is made of: where their chains are attached, which sets they declare for others, what of theirs fails
# closed. With it a change reads only the fragments that it touches, however many stand.
#
# nft_index (31-delta) calls it; it prints the new index, by the names of the files:
#
#   awk -v gone="NAME…" [-v list=LIST] [-v accounts=FILE] "$INDEX_MAKER" reading=fragments [FRAGMENT…] reading=index INDEX
#
#   gone        the files that the former index has and the new one has not
#   list        a file of paths, a line each, of more fragments: there may be more than fit in a command line
#   accounts    a file for the lines of the new index that name accounts
#   fragments   those that come, or take the place of former ones, in the order of their names
#   index       the former one: fragments less most of their lines, each behind "# fragment NAME". Of elements it has those for sets that the fragment does not declare, which
#               others may give, too; for a set that it does declare, and others as well, "# gives SET OBJECT".
#
# table.awk reads an index as it reads fragments.

BEGIN {
	while (list != "" && (getline path < list) > 0) ARGV[ARGC++] = path
	count = split(gone, names, " ")
	for (i = 1; i <= count; i++) is_former[names[i]] = 1
}

reading == "fragments" && FNR == 1 {
	keep_elements()
	name = FILENAME
	sub(/.*\//, "", name)
	added[++added_count] = name
	is_former[name] = 1
	kept[name] = "# fragment " name "\n"
	object = ""
	is_inside = 0
}
reading == "fragments" && $1 == "#" {
	if ($2 == "object") object = $3
	if ($2 ~ /^(from|attach|lookup|account|uses|shut|pass|close)$/) keep($0)
	# The numbers of accounts may be others by now.
	if ($2 == "account") has_accounts[name, $5] = 1
	if ($2 == "element" && is_of_others($3)) given[++given_count] = $0
	next
}
reading == "fragments" {
	if ($1 ~ /^(set|map)$/ && (is_of_others($2) || ((name, $2) in has_accounts))) is_inside = declares[name, $2] = 1
	if (is_inside) keep($0)
	if ($0 == "}") is_inside = 0
	next
}

reading == "index" && FNR == 1 { keep_elements() }
$1 == "#" && $2 == "fragment" {
	print_added($3)
	is_shown = !($3 in is_former)
}
is_shown { show($0) }

END {
	keep_elements()
	print_added("")
}

function keep(line) { kept[name] = kept[name] line "\n" }

# keep_elements: of the fragment that has been read, for sets of others.
function keep_elements(i, part) {
	for (i = 1; i <= given_count; i++) {
		split(given[i], part, " ")
		if (!((name, part[3]) in declares)) keep(given[i])
		else if (!((name, part[3]) in gives)) { gives[name, part[3]] = 1; keep("# gives " part[3] " " object) }
	}
	given_count = 0
}

# is_of_others SET: its name does not begin with that of the object.
function is_of_others(set) { return index(set, object ".") != 1 }

# print_added NAME: those that come before it.
function print_added(name) {
	while (printed < added_count && (name == "" || added[printed + 1] < name)) show_all(kept[added[++printed]])
}

function show_all(text, lines, count, i) {
	count = split(text, lines, "\n")
	for (i = 1; i < count; i++) show(lines[i])
}

function show(line) {
	print line
	if (accounts != "" && line ~ /^# (attach|account) (users|groups) [A-Za-z_]/) print line >accounts
}

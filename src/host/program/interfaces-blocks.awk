# interfaces-blocks.awk: what a file of ifupdown has in the place of our blocks, and what it is without them. interfaces_blocks (39-interfaces), which says
# what is printed, calls it.
#
#   awk -v verb=compare|without -v bridge=BRIDGE -v nic=NIC "$INTERFACES_BLOCKS" at=made FILE at=marked FILE at=now FILE
#
#   made, marked   as interfaces-made.awk makes it of the file without our blocks
#   now            as it stands

function number() { return $1 == "#" && $2 == "pulumi-drawbridge" && $3 == bridge && $4 ~ /^[0-9]+:?$/ ? $4 + 0 : 0 }
function is_key(content) { return content ~ /^[ \t]*(auto|allow-[^ \t]*|iface|mapping|source|source-directory|rename|template|no-[^ \t]*)([ \t]|$)/ }
function does(content) { return content !~ /^[ \t]*(#|$)/ }
at != "now" {
	if (number()) { block = $5 == "ends" ? 0 : number(); if (block > blocks) blocks = block; next }
	if (!block) next
	text[at, block, ++lines[at, block]] = $0
	if (at == "made") { ours[block, $0]++; if (is_key($0)) key[block, $0] = 1 }
	next
}
index($0, "# Changed by pulumi-drawbridge: " bridge " has what " nic " had.") == 1 { next }
{ line[++n] = $0; mark[n] = number(); ends[n] = $5 == "ends" }

# Whose each line is: of a block between marks, a stanza of others is theirs.
function find_marked(  i, inside, of) {
	for (i = 1; i <= n; i++) {
		if (mark[i]) {
			inside = !ends[i] && mark[i] <= blocks ? mark[i] : 0
			of = inside
			owner[i] = -1
			if (inside && !(inside in place)) place[inside] = i
			continue
		}
		if (is_key(line[i])) of = (inside, line[i]) in key ? inside : 0
		owner[i] = of
	}
}
# Of a block without marks, the first stanza that begins as one of its lines, and those of its own that follow.
function find_unmarked(block,  i, last) {
	for (i = from; i <= n; i++) if (owner[i] == 0 && ((block, line[i]) in key)) break
	if (i > n) return
	place[block] = i
	unmarked = 1
	for (last = i; i <= n && owner[i] == 0 && (!is_key(line[i]) || ((block, line[i]) in key)); i++) if (does(line[i])) last = i
	for (i = place[block]; i <= last; i++) owner[i] = block
	from = last + 1
}
# What a block has too much, and what it lacks.
function judge(block,  i, have, order) {
	for (i = 1; i <= n; i++) {
		if (owner[i] != block || line[i] ~ /^[ \t]*$/) continue
		if (does(line[i])) order = order line[i] "\n"
		if (++have[line[i]] > ours[block, line[i]] + 0) extra[i] = 1
	}
	for (i = 1; i <= lines["made", block]; i++) {
		if (!does(text["made", block, i])) continue
		order_made[block] = order_made[block] text["made", block, i] "\n"
		if (have[text["made", block, i]]-- <= 0) lacks[block] = lacks[block] "missing " text["made", block, i] "\n"
	}
	in_order[block] = order == order_made[block]
}
function compare(  block, i, differs) {
	for (block = 1; block <= blocks; block++) {
		printf "%s", lacks[block]
		differs = lacks[block] != ""
		for (i = 1; i <= n; i++) if (owner[i] == block && extra[i] && does(line[i])) { print "added " line[i]; differs = 1 }
		if (!differs && !in_order[block]) print "order"
	}
	for (i = 1; i <= n; i++) if (owner[i] == 0 && names_nic(line[i])) print "uplink " line[i]
	if (unmarked) print "unmarked"
}
function names_nic(content,  words, count, i) {
	if (content !~ /^[ \t]*(iface|auto|allow-[^ \t]*)[ \t]/) return 0
	count = split(content, words)
	for (i = 2; i <= count; i++) if (words[i] == nic || index(words[i], nic ":") == 1) return 1
	return 0
}
function put_former(block,  i) {
	for (i = 1; i <= lines["marked", block]; i++) print text["marked", block, i]
	for (i = 1; i <= n; i++) if (owner[i] == block && extra[i]) { sub(/^[ \t]+/, "", line[i]); print (does(line[i]) ? "# taken out by pulumi-drawbridge: " : "") line[i] }
}
function without(  block, i) {
	for (i = 1; i <= n; i++) {
		for (block = 1; block <= blocks; block++) if ((block in place) && place[block] == i) put_former(block)
		if (owner[i] == 0) print line[i]
	}
	for (block = 1; block <= blocks; block++) if (!(block in place)) put_former(block)
}
END {
	find_marked()
	from = 1
	for (block = 1; block <= blocks; block++) if (!(block in place)) find_unmarked(block)
	for (block = 1; block <= blocks; block++) judge(block)
	if (verb == "compare") compare(); else without()
}

# table.awk: fragments in, the text of one table of ours out, for `nft -f`.
#
# What it promises: the text is a function of what it reads, so that the same fragments on the same host make the same text. It asks
# nobody. nft_text and nft_fail_closed (30-nft) call it; each `reading=` tells what the files behind it hold:
#
#   awk -v list=LIST "$TABLE_MAKER" family=FAMILY purpose=table|fail-closed layers="LAYER…" [fail_closed=FILE] reading=devices FILE \
#       reading=accounts FILE reading=fragments [FRAGMENT…|INDEX reading=bodies [FRAGMENT…]]
#
#   fail_closed a file for what guards in the table's place where it does not load; with purpose=fail-closed nothing else is made
#   list        a file of paths, a line each, of more fragments: there may be more than fit in a command line
#   devices     NAME                        the devices that are here; "* ibrname" where the kernel tells rules by which bridge a frame comes
#   INDEX       in the place of all fragments what index.awk keeps of them; then BODIES are those of which the text has all, and of the rest only what is made of the index: of
#               a set that others give elements to it has those of the bodies, and says so
#   accounts    users|groups NAME NUMBER    the users and groups that this host knows
#   fragments   the objects that one resource declares (chains, sets, helpers) as nft takes them, and lines for us:
#     # attach SLOT KEY CHAIN               packets of the slot run through the chain; KEY is a device, a user or group, a phase, or "*"; where each bridge has a slot of its own,
#                                           SLOT is NAME/BRIDGE
#     # lookup SLOT PHASE MAP TYPE = QUESTION   what the map has passes in that phase, and is counted by what the map leads it to; all resources share the map and its one rule
#     # counter NAME                        a counter that keeps its value when the table is made anew (nft_counted)
#     # element SET ELEMENT                 a member of a set that this fragment or another one declares, of a map with what it leads to
#     # account users|groups NAME SET       the number of the user or group is a member of the set, where the host knows one of that name
#     # uses SET none|all TYPE              a rule names the set; as long as nobody declares it, it holds nothing, or all addresses
#     # shut HOOK MATCHES                   dropped where the table does not load
#     # pass HOOK MATCHES, # close HOOK [MATCHES]   there, too: all of MATCHES is dropped but for what passes; of a deny whose set nobody declares, it
#                                           passes as well
#
# Base chains, and what leads from them to the chains of fragments, stand in no fragment. Where they may stand is said by the calls of
# slot() below, which the build writes from src/core/netfilter/slots.ts; no hook and no priority is written here.

BEGIN {
	while (list != "" && (getline path < list) > 0) ARGV[ARGC++] = path
	for (i = 1; i < ARGC; i++) if (ARGV[i] == "reading=bodies") is_narrow = 1; else if (is_narrow) has_body[base_name(ARGV[i])] = 1
# @SLOTS@
}

# slot FAMILY NAME HOOK PRIORITY BY PER_BRIDGE FAIL_CLOSED: one place where rules may stand.
function slot(of, name, its_hook, its_priority, by, per_bridge, fail_closed) {
	order[of, ++slots[of]] = name
	hook[of, name] = its_hook
	priority[of, name] = its_priority
	keyed_by[of, name] = by
	is_per_bridge[of, name] = per_bridge
	closes[of, name] = fail_closed
}

# phase NAME STANDS: the phases of a slot come in the order of these calls; one that stands makes the base chain.
function phase(name, stands) {
	phases[++phase_count] = name
	makes_base[name] = stands
}

FNR == 1 {
	fragment = base_name(FILENAME)
	object = ""
	# Numbers, for they are asked of thousands of lines: whether a line is of a fragment, and whether it may not be printed as it is read.
	is_of_fragment = reading == "fragments" || reading == "bodies"
	is_kept = purpose != "table" || (fragment in has_all)
	inside = ""
	if (is_of_fragment) begin_table()
}
# Most lines are rules, and most of them stand in the table as they stand here.
is_of_fragment && !/^#/ { if (!is_kept && !/^(set|map) /) print "\t" $0; else keep($0); next }
reading == "devices" && $2 == "ibrname" { knows_bridges = 1; next }
reading == "devices" { present[$1] = 1; next }
reading == "accounts" { number[$1, $2] = $3; next }

# Of what an index says of a fragment, the fragment itself says nothing new.
reading == "bodies" && $2 == "object" { object = $3; next }
reading == "bodies" && $2 != "counter" && $2 != "element" { next }
$2 == "fragment" { fragment = $3; is_index = 1; next }
is_index && reading != "bodies" && $2 == "gives" { if (!(fragment in has_body)) note_giver($3, $4); next }
is_index && reading != "bodies" && $2 == "element" { if (!(fragment in has_body)) note_given($3, rest(3)); next }

$2 == "from" { from_of[fragment] = rest(2); next }
$2 == "attach" { attach($3, $4, $5); next }
$2 == "lookup" { lookup($3, $4, $5, rest(5)); next }
$2 == "counter" { if (!($3 in has_counter)) print_counter($3); next }
$2 == "element" { element($3, rest(3)); next }
$2 == "account" { if (($3, $4) in number) element($5, number[$3, $4]); next }
$2 == "uses" { uses($3, $4, $5); next }
$2 == "shut" { shut[at_hook($3)] = shut[$3] "\t\t" rest(3) " drop comment \"what guards it did not load\"\n"; next }
$2 == "pass" { pass[$3] = pass[$3] "\t\t" rest(3) " accept\n"; if (rest(3) != "") spared[$3] = spared[$3] "\t\t" rest(3) " return\n"; next }
$2 == "close" { closed[at_hook($3)] = closed[$3] "\t\t" judged(rest(3)); has_close[fragment, $3] = 1; next }

END {
	if (purpose == "table") print_table()
	if (fail_closed != "") print_fail_closed(fail_closed)
}

# rest COUNT: the line behind its first COUNT words.
function rest(count, text) {
	text = $0
	while (count-- > 0) sub(/^[^ ]+ */, "", text)
	return text
}

# attach SLOT KEY CHAIN: remembers the order of the slot's keys, and the jumps of each.
function attach(to, key, chain) {
	if (!((to, key) in jumps)) keys[to, ++key_count[to]] = key
	jumps[to, key] = jumps[to, key] "\t\tjump " chain "\n"
	if (key == "deny") { denying[to, ++denying_count[to]] = chain; denying_from[to, denying_count[to]] = fragment }
	if (is_index) { attached[++attached_count] = chain; attached_from[attached_count] = fragment }
	used[to] = 1
	# What a later version of this program would know stands for nothing here: nft refuses such a line, and so the dry run does.
	if (!is_slot(to)) unknown = unknown "\tno slot is called " to "\n"
	else if (keyed_by[family, plain(to)] == "phase" && !(key in makes_base)) unknown = unknown "\tno phase is called " key "\n"
	else if (key == "final" && keyed_by[family, plain(to)] == "phase") final(to)
}

# plain SLOT: its name without the bridge.
function plain(to) {
	sub(/\/.*/, "", to)
	return to
}

# is_slot SLOT: there is such a place. Of those that each bridge has, it is remembered.
function is_slot(to, name) {
	name = plain(to)
	if (!((family, name) in keyed_by) || is_per_bridge[family, name] != (name != to)) return 0
	if (name != to && !(to in is_bridged)) { is_bridged[to] = 1; bridged[name, ++bridged_count[name]] = to }
	return 1
}

# lookup SLOT PHASE MAP "TYPE = QUESTION": remembers the map, and the rule that asks it.
function lookup(to, phase_of, map, text, at) {
	if (map in question) return
	at = index(text, " = ")
	lookups[to, ++lookup_count[to]] = map
	phase_of_map[map] = phase_of
	type_of_map[map] = substr(text, 1, at - 1)
	question[map] = substr(text, at + 3)
	used[to] = 1
	if (!is_slot(to)) unknown = unknown "\tno slot is called " to "\n"
	else if (!(phase_of in makes_base)) unknown = unknown "\tno phase is called " phase_of "\n"
}

# final SLOT: what nobody allows is dropped by one resource alone; of a second one, nft refuses the table by this line.
function final(to) {
	has_final[fragment, hook[family, plain(to)]] = 1
	if ((to in final_of) && final_of[to] != fragment) unknown = unknown "\t" to " has a default drop already: " from_of[final_of[to]] "\n"
	else final_of[to] = fragment
}

# element SET ELEMENT: a member that several give is one; the first giver's comment stands.
function element(set, text, key) {
	key = key_of(text)
	if ((set, key) in member) return
	# Whose comment stands, and who leaves it behind, only the whole text tells. What makes a delta of this one finds this line.
	if (((set, key) in given_by_others) || (set in giver) && giver[set] != object) unknown = unknown "\tothers may give " set " an element, too\n"
	member[set, key] = 1
	elements[set, ++element_count[set]] = text
}

# note_giver SET OBJECT: some other fragment of OBJECT gives elements to a set that it declares. Only fragments of one object surely give none twice.
function note_giver(set, of) {
	is_given_by_others[set] = 1
	if (!(set in giver)) giver[set] = of
	else if (giver[set] != of) giver[set] = "several"
}

# note_given SET ELEMENT: by a fragment that is no body.
function note_given(set, text) {
	is_given_by_others[set] = 1
	given_by_others[set, key_of(text)] = 1
}

# key_of ELEMENT: less its comment, and less what a map leads it to.
function key_of(text) {
	sub(/ comment ".*| : .*/, "", text)
	return text
}

function base_name(path) {
	sub(/.*\//, "", path)
	return path
}

# uses SET none|all TYPE: where two types are wanted of a set that nobody declares, the second use has its table refused by nft.
function uses(set, when_missing, type) {
	if (!(set in type_of)) { wanted_sets[++wanted_count] = set; type_of[set] = type }
	if (when_missing == "all") { wants_all[fragment, set] = 1; is_wanted_all[set] = 1; has_all[fragment] = 1; is_kept = 1 }
}

function judged(matches) { return matches (matches == "" ? "" : " ") "drop comment \"what judges it did not load\"\n" }

# at_hook HOOK: the same, and remembered in its order.
function at_hook(name) {
	if (!(name in is_hook)) { is_hook[name] = 1; hook_names[++hook_count] = name }
	return name
}

# keep LINE: for later. Of a set, since all fragments give it elements; of a fragment whose rules name a set that may have to hold everything, since a later
# one may declare it.
function keep(line) {
	if (purpose != "table") return
	if (inside != "") {
		if (line != "}") { set_text = set_text "\t" line "\n"; return }
		declare(inside, set_text)
		inside = ""
		is_kept = fragment in has_all
	} else if (line ~ /^(set|map) /) {
		inside = $2
		kind_of[inside] = $1
		set_text = ""
		is_kept = 1
	} else {
		lines[++line_count] = line
		line_from[line_count] = fragment
	}
}

# declare SET TEXT: what two fragments declare is one set where they agree; where they do not, nft refuses the table by this line.
function declare(name, text) {
	if (!(name in declared)) set_names[++set_count] = name
	else if (set_lines[name] != text) unknown = unknown "\tthe set " name " is declared otherwise by another resource\n"
	declared[name] = 1
	set_lines[name] = text
}

# --- purpose=table ---

function begin_table() { if (purpose == "table" && !is_begun++) print "table " family " drawbridge {" }

function print_counter(name) {
	has_counter[name] = 1
	if (purpose == "table") print "\tcounter " name " {\n\t}"
}

function print_table(i, name) {
	begin_table()
	print_sets()
	# For base chains to name.
	for (i = 1; i <= attached_count; i++) if (!(attached_from[i] in has_body) && !is_empty[attached[i]]++) print_chain(attached[i], "")
	for (i = 1; i <= line_count; i++) print "\t" with_all_addresses(line_from[i], lines[i])
	for (i = 1; i <= slots[family]; i++) {
		name = order[family, i]
		if (keyed_by[family, name] == "device") print_device_chains(name)
		else if (keyed_by[family, name] == "uid" || keyed_by[family, name] == "gid") print_accounts(name)
		else if (is_per_bridge[family, name]) print_bridges(name)
		else if (used[name] && keyed_by[family, name] == "phase") print_phases(name)
		else if (used[name]) print_hook(name)
	}
	printf "%s}\n", unknown
}

# print_sets: those that are declared, with the elements that all fragments give; then those that are only named.
function print_sets(i, set) {
	for (i = 1; i <= set_count; i++) print_set(kind_of[set_names[i]], set_names[i], set_lines[set_names[i]])
	for (i = 1; i <= wanted_count; i++) {
		set = wanted_sets[i]
		if (set in declared) continue
		element_count[set] = 0
		print_set("set", set, undeclared(set))
		if (!is_wanted_all[set]) continue
		element(set ".all", type_of[set] == "ipv6_addr" ? "::/0" : "0.0.0.0/0")
		print_set("set", set ".all", undeclared(set))
	}
}

# print_set set|map NAME TEXT: with its elements, one a line.
function print_set(kind, name, text, i) {
	printf "\t%s %s {\n%s", kind, name, text
	if (name in is_given_by_others) print "\t\t# others give elements, too"
	if (element_count[name] > 0) {
		print "\t\telements = {"
		for (i = 1; i <= element_count[name]; i++) print "\t\t\t" elements[name, i] ","
		print "\t\t}"
	}
	print "\t}"
}

function undeclared(set) { return "\t\ttype " type_of[set] "\n\t\tflags interval\n\t\tcomment \"nobody declares it\"\n" }

# with_all_addresses FRAGMENT LINE: a rule that denies fails closed where nobody declares its set.
function with_all_addresses(from, line, i, set, at) {
	for (i = 1; i <= wanted_count; i++) {
		set = wanted_sets[i]
		if ((set in declared) || !((from, set) in wants_all)) continue
		while ((at = index(line, "@" set " ")) > 0) line = substr(line, 1, at + length(set)) ".all" substr(line, at + length(set) + 1)
	}
	return line
}

# print_device_chains SLOT: a base chain for each device; one that is absent gets none, for nft refuses it.
function print_device_chains(name, i, key) {
	for (i = 1; i <= key_count[name]; i++) {
		key = keys[name, i]
		if (key in present) print_base(name, name "." key, " device \"" key "\"", jumps[name, key])
	}
}

function print_base(name, chain, device, text) {
	printf "\tchain %s {\n\t\ttype filter hook %s%s priority %d; policy accept;\n%s\t}\n", chain, hook[family, name], device, priority[family, name], text
}

function print_hook(name, i, key, map) {
	map = name "_" keyed_by[family, name]
	for (i = 1; i <= key_count[name]; i++) {
		key = keys[name, i]
		if (key == "*") continue
		print_chain(name "." key, jumps[name, key])
		element(map, "\"" key "\" : jump " name "." key)
	}
	if (element_count[map] > 0) print_verdict_map(map, "ifname")
	print_base(name, name, "", (element_count[map] > 0 ? "\t\t" keyed_by[family, name] " vmap @" map "\n" : "") jumps[name, "*"])
}

function print_phases(name, text) {
	text = phased(name)
	if (text != "") print_base(name, name, "", text)
}

# print_bridges SLOT: a chain for each bridge, and one that tells the frames of each. Where the kernel does not, there is one bridge (nft_unmet).
function print_bridges(name, i, to, chain, text) {
	for (i = 1; i <= bridged_count[name]; i++) {
		to = bridged[name, i]
		chain = phased(to)
		if (chain == "") continue
		print_chain(to, chain)
		text = text "\t\t" (knows_bridges ? "meta ibrname \"" substr(to, length(name) + 2) "\" " : "") "jump " to "\n"
	}
	if (text != "") print_base(name, name, "", text)
}

# phased SLOT: the jumps of its phases, in their order. Allows alone wait, for where nothing is denied there is nothing to allow.
function phased(name, i, text, stands) {
	for (i = 1; i <= phase_count; i++) if (makes_base[phases[i]] && jumps[name, phases[i]] != "") stands = 1
	if (!stands) return ""
	for (i = 1; i <= phase_count; i++) text = text asked_maps(name, phases[i]) (phases[i] == "deny" ? denies(name) : jumps[name, phases[i]])
	return text
}

# asked_maps SLOT PHASE: prints the maps that are asked in the phase, and a chain that asks them. Returns the jump to it, or nothing.
function asked_maps(name, its_phase, i, map, text) {
	for (i = 1; i <= lookup_count[name]; i++) {
		map = lookups[name, i]
		if (phase_of_map[map] != its_phase) continue
		print_set("map", map, "\t\ttype " type_of_map[map] " : counter\n")
		text = text "\t\tcounter name " question[map] " map @" map " accept comment \"" map "\"\n"
	}
	if (text == "") return ""
	print_chain(name "." its_phase, text)
	return "\t\tjump " name "." its_phase "\n"
}

# denies SLOT: the jumps of its phase deny. Who denies everybody, because nobody declares his set, has not meant the administrator: what passes where the table does not load
# passes these as well, in a chain of theirs, and goes on to what else is denied.
function denies(name, i, text, stopgaps) {
	if (spared[hook[family, plain(name)]] == "") return jumps[name, "deny"]
	for (i = 1; i <= denying_count[name]; i++) {
		if (denies_everybody(denying_from[name, i])) stopgaps = stopgaps "\t\tjump " denying[name, i] "\n"
		else text = text "\t\tjump " denying[name, i] "\n"
	}
	if (stopgaps == "") return text
	print_chain(name ".undeclared", spared[hook[family, plain(name)]] stopgaps)
	return text "\t\tjump " name ".undeclared\n"
}

# denies_everybody FRAGMENT: its rules deny by a set that nobody declares.
function denies_everybody(from, i) {
	for (i = 1; i <= wanted_count; i++) if (!(wanted_sets[i] in declared) && ((from, wanted_sets[i]) in wants_all)) return 1
	return 0
}

# print_accounts SLOT: by number, since the same one may have several names; who does not exist gets no element. The map stands as
# soon as anything may ask it.
function print_accounts(name, i, key, id, first, ids, id_count, text) {
	if (!used["output"] && !("drop.output" in final_of) && !used["users"] && !used["groups"]) return
	for (i = 1; i <= key_count[name]; i++) {
		key = keys[name, i]
		if (!((name, key) in number)) continue
		id = number[name, key]
		if (!(id in first)) { first[id] = key; ids[++id_count] = id }
		text[id] = text[id] jumps[name, key]
	}
	for (i = 1; i <= id_count; i++) {
		print_chain(name "." first[ids[i]], text[ids[i]])
		element(name, ids[i] " : jump " name "." first[ids[i]])
	}
	print_verdict_map(name, keyed_by[family, name])
}

function print_chain(name, text) { printf "\tchain %s {\n%s\t}\n", name, text }

function print_verdict_map(name, type) { print_set("map", name, "\t\ttype " type " : verdict\n") }

# --- purpose=fail-closed: what guards in the table's place where it does not load, in each family of LAYERS ---

function print_fail_closed(file, i, name, layer, count) {
	printf "" >file
	for (i = 1; i <= slots[family]; i++) {
		name = order[family, i]
		if (closes[family, name] == "forward-out") fence_out(name)
		if (closes[family, name] == "default-drop") close_all(hook[family, name])
	}
	if (devices != "") shut[at_hook("forward")] = "\t\toifname { " devices " } drop comment \"the fence did not load\"\n" shut["forward"]
	count = split(layers, layer, " ")
	for (name = 1; name <= count; name++) {
		printf "table %s drawbridge_shut_%s\ndelete table %s drawbridge_shut_%s\n", layer[name], family, layer[name], family >file
		for (i = 1; i <= hook_count; i++) print_shut(file, layer[name], hook_names[i])
	}
}

# close_all HOOK: where a fragment judges all and does not say what of it, everything that does not pass is dropped.
function close_all(at, each, part) {
	for (each in has_final) {
		split(each, part, SUBSEP)
		if (part[2] == at && !((part[1], at) in has_close)) { closed[at_hook(at)] = closed[at] "\t\t" judged(""); return }
	}
}

# fence_out SLOT: nothing is forwarded out of the devices that are attached.
function fence_out(name, i, key) {
	for (i = 1; i <= key_count[name]; i++) {
		key = keys[name, i]
		if (key == "*" || (key in fenced)) continue
		fenced[key] = 1
		devices = devices (devices == "" ? "" : ", ") "\"" key "\""
	}
}

# print_shut FILE LAYER HOOK: drops first, so that nothing that passes a default drop passes them.
function print_shut(file, layer, at, text) {
	text = shut[at] (closed[at] == "" ? "" : pass[at] closed[at])
	if (text == "") return
	printf "table %s drawbridge_shut_%s {\n\tchain %s {\n\t\ttype filter hook %s priority -300; policy accept;\n%s\t}\n}\n", layer, family, at, at, text >file
}

# delta.awk: two texts of each of some tables of ours in, what leads from one to the other out, for `nft -f`.
#
# What it promises: what stands the same in both texts is not touched, so that its counters, its limiters and what a set has learnt stay as they are;
# loaded where `before` stands, the delta makes what the whole text `after` makes, but for the order in which objects were declared. It asks
# nobody. nft_delta (31-delta) calls it:
#
#   awk -v forward=FILE -v backward=FILE -v stub=FILE -v try=FILE -v try_back=FILE -v touched=FILE "$DELTA_MAKER" \
#       reading=were FILE reading=are FILE reading=before TEXT… reading=after TEXT…
#
#   before, after   texts as table.awk makes them, one of each table: objects ("chain NAME {" … "}") behind one tab, their lines behind two
#   forward         from before to after
#   backward        from after to before: the rollback
#   stub            of before, only what the delta touches, what that names, and the way to it from the base chains, for the kernel judges a rule by
#                   the hook that it is reached from. Loaded alone it is what the delta can be tried on.
#   try, try_back   forward and backward for the stub: less the jumps that stand in both texts, of which a base chain may have one for each resource of the host
#   touched         "put FAMILY OBJECT" and "gone FAMILY OBJECT" a line, such as "put inet chain postrouting"; behind a chain that is less in the stub all its jumps, each behind a tab.
#                   "part FAMILY OBJECT" for a set or map that stays, and behind it what leaves it, likewise
#
#   were, are       "DEVICE INDEX" a line: the devices when `before` was loaded, and now. A base chain goes with its device, and the kernel tells nobody.
#
# Prints why there can be no delta, and writes nothing then: an object is declared otherwise, which only the whole text can do, or may have gone by itself;
# a packet could pass in the moment in which one object takes over from another; or the text has what nft is to refuse.

reading == "were" || reading == "are" { index_of[reading, $1] = $2; next }
/^table .* \{$/ { family = $2; name = ""; if (reading == "before") families[++family_count] = family; next }
# What the table-maker does not know, or refuses, stands in the text as a line for nft to refuse: it has to see the whole text.
/^\t[^\t}]/ && !/ \{$/ { unknown = substr($0, 2); name = ""; next }
# An object is known by its family and its name.
/^\t[^\t}]/ {
	name = family " " substr($0, 2, length($0) - 3)
	lines = gathered = ""
	next
}
name == "" { next }
# Most lines only stand in an object, and there are tens of thousands of them. Gathered by some hundred: whatever is put behind a long text copies all of it.
$0 != "\t}" {
	gathered = gathered $0 "\n"
	if (length(gathered) > 8192) { lines = lines gathered; gathered = "" }
	next
}
{
	lines = lines gathered
	if (reading == "before" || !(("before", name) in text)) names[++name_count] = name
	text[reading, name] = lines
	# Of very many fragments most have an empty chain in both texts, of which there is nothing to find.
	if (lines == "") { if (reading == "before") was_empty[name] = 1; else if (name in was_empty) is_empty[name] = 1 }
	name = ""
}

END {
	if (unknown != "") { print unknown; exit }
	for (i = 1; i <= name_count; i++) {
		name = names[i]
		if (name in is_empty) continue
		stood = ("before", name) in text
		stands = ("after", name) in text
		if (stood && is_of_gone_device(name)) { print "the device of " name " is not the one that it was"; exit }
		if (stood && stands && text["before", name] == text["after", name]) continue
		changed[++changed_count] = name
		is_changed[name] = 1
		if (stood && stands && declared("before", name) != declared("after", name)) { print name " is declared otherwise"; exit }
		if (stood != stands && body("before", name) body("after", name) ~ /\t# others give elements/) { print "others give elements to " name ", too"; exit }
		# Rules that name a set which nobody declares change with it, wherever they stand.
		if (name ~ /\.all$/ && kind(name) == "set") { print name " comes or goes"; exit }
		# What the kernel learns into a set stands in no text, and goes with its set.
		both = body("before", name) body("after", name)
		if (both ~ /\t\t\t/ && both ~ /timeout/) { print name " has elements that go by themselves"; exit }
	}
	find_takeovers()
	if (takeover != "") { print takeover; exit }
	print_delta("before", "after", forward)
	print_delta("after", "before", backward)
	is_trial = 1
	print_delta("before", "after", try)
	print_delta("after", "before", try_back)
	print_stub(stub)
	print_touched(touched)
}

# print_touched FILE: what changes, and of a chain of which the stub has less, what it has less.
function print_touched(file, i, name, lines, count, j) {
	printf "" >file
	for (i = 1; i <= changed_count; i++) {
		name = changed[i]
		if (stays(name)) { print_leaving(name, file); continue }
		print (("after", name) in text ? "put " : "gone ") name >file
		if (!has_kept_jumps(name)) continue
		count = split(text["after", name], lines, "\n")
		for (j = 1; j < count; j++) if (is_jump(lines[j])) print substr(lines[j], 2) >file
	}
}

# print_leaving NAME FILE: which elements a set or map has no more.
function print_leaving(name, file, old, new, old_count, new_count, i, will) {
	print "part " name >file
	old_count = read_elements("before", name, old)
	new_count = read_elements("after", name, new)
	for (i = 1; i <= new_count; i++) will[key_of(new[i])] = 1
	for (i = 1; i <= old_count; i++) if (!(key_of(old[i]) in will)) print "\t" key_of(old[i]) >file
}

# stays NAME: it is a set or map in both texts.
function stays(name) { return (kind(name) == "set" || kind(name) == "map") && ("before", name) in text && ("after", name) in text }

# Jumps stand behind everything else in a chain that leads to those of resources, and nft lists them as they are written.
function is_jump(line) { return line ~ /^\t\tjump [^ ]+$/ }

# is_kept_jump NAME LINE: it stands in both texts, of a chain that has such jumps.
function is_kept_jump(name, line) { return (name, line) in in_both }

function has_kept_jumps(name, lines, count, i, was) {
	if (name in kept_jumps) return kept_jumps[name]
	kept_jumps[name] = 0
	if (kind(name) != "chain") return 0
	count = split(body("before", name), lines, "\n")
	for (i = 1; i < count; i++) was[lines[i]] = 1
	count = split(body("after", name), lines, "\n")
	for (i = 1; i < count; i++) if ((lines[i] in was) && is_jump(lines[i])) { in_both[name, lines[i]] = 1; kept_jumps[name] = 1 }
	return kept_jumps[name]
}

# shown_in_stub NAME TEXT: less the jumps that stand in both.
function shown_in_stub(name, lines_of, lines, count, i, found) {
	if (!has_kept_jumps(name)) return lines_of
	count = split(lines_of, lines, "\n")
	for (i = 1; i < count; i++) if (!is_kept_jump(name, lines[i])) found = found lines[i] "\n"
	return found
}

# body OF NAME: to ask for what is not there would make it be there.
function body(of, name) { return (of, name) in text ? text[of, name] : "" }

# is_of_gone_device NAME: the base chain of a device that is gone, or was made anew.
function is_of_gone_device(name, line, device) {
	line = text["before", name]
	if (substr(line, 1, 7) != "\t\ttype " || !match(line, / device "[^"]*"/) || RSTART > index(line, "\n")) return 0
	device = substr(line, RSTART + 9, RLENGTH - 10)
	return index_of["were", device] == "" || index_of["were", device] != index_of["are", device]
}


# of_family NAME, kind NAME, bare NAME: "inet", "chain" and "postrouting" of "inet chain postrouting"; "ct helper" is a kind of two words.
function of_family(name) { return substr(name, 1, index(name, " ") - 1) }
function kind(name) { name = substr(name, index(name, " ") + 1); return substr(name, 1, length(name) - length(bare(name)) - 1) }
function bare(name) { sub(/^.* /, "", name); return name }

# The line of a base chain begins with its type; of sets and maps all lines but the elements declare them, and of the rest all.
function is_declaration(name, line) {
	if (kind(name) == "chain") return line ~ /^\t\ttype /
	return line !~ /^\t\t(\t|elements = |\})/
}

function declared(of, name, lines, count, i, found) {
	count = split(body(of, name), lines, "\n")
	for (i = 1; i < count; i++) if (is_declaration(name, lines[i])) found = found lines[i] "\n"
	return found
}

# read_elements OF NAME PARTS: what stands between the braces, an element a line with a comma behind it. Returns how many there are.
function read_elements(of, name, parts, lines, count, i, found) {
	for (i in parts) delete parts[i]
	count = split(body(of, name), lines, "\n")
	for (i = 1; i < count; i++) if (lines[i] ~ /^\t\t\t/) parts[++found] = substr(lines[i], 4, length(lines[i]) - 4)
	return found + 0
}

# --- takeovers ---

# find_takeovers: a packet is judged by the rules as they were when it came, and by the elements as they are at the moment. So where one object has less than before and another one more,
# one of them a set or map, what passes neither could pass both. Asked are the rules of a resource about its sets that come or go, and sets for the same addresses about each other.
function find_takeovers(i, name, of) {
	for (i = 1; i <= changed_count; i++) if (kind(changed[i]) == "set" || kind(changed[i]) == "map") {
		name = changed[i]
		if (!(("before", name) in text)) comes[owner(name), version(name)] = name
		if (!(("after", name) in text)) goes[owner(name), version(name)] = name
		of = group(name)
		changed_sets[of]++
		if (changed_sets[of] == 2) takes_over[of] = 1
		if (kind(name) == "map") compare_verdicts(name)
	}
	for (i = 1; i <= changed_count; i++) {
		name = changed[i]
		of = group(name)
		if (kind(name) == "chain") { compare_rules(name, "ip"); compare_rules(name, "ip6") }
		else if (of in takes_over) compare_sets(name, of)
	}
}

# owner NAME: "inet OBJECT" of "inet map OBJECT.to.ipv4.24"; group NAME: "inet OBJECT.to.ipv4"; version NAME: "ip" or "ip6", as rules say it.
function owner(name) { sub(/ .* /, " ", name); sub(/\..*/, "", name); return name }
function group(name) { sub(/ .* /, " ", name); if (match(name, /\.ipv[46]/)) name = substr(name, 1, RSTART + RLENGTH - 1); return name }
function version(name) { return name ~ /\.ipv4/ ? "ip" : name ~ /\.ipv6/ ? "ip6" : "" }

# compare_rules CHAIN VERSION: whether it has less rules for this version where a set comes, or more where one goes.
function compare_rules(chain, of_version, key) {
	key = owner(chain) SUBSEP of_version
	if ((key in comes) && has_more("before", "after", chain, of_version " ")) takeover = comes[key] " takes over from " chain
	if ((key in goes) && has_more("after", "before", chain, of_version " ")) takeover = chain " takes over from " goes[key]
}

# compare_sets SET GROUP: whether it has less than before and another one of the group has more, or the other way round.
function compare_sets(set, of, less, more) {
	less = has_more("before", "after", set, "")
	more = has_more("after", "before", set, "")
	if (less && (of in gainer) || more && (of in loser)) takeover = set " and another set for the same addresses change"
	if (less) loser[of] = set
	if (more) gainer[of] = set
}

# compare_verdicts MAP: whether an element that stays leads to another chain.
function compare_verdicts(map, parts, count, i, was) {
	if (declared("before", map) !~ / : verdict/) return
	count = read_elements("before", map, parts)
	for (i = 1; i <= count; i++) was[key_of(parts[i])] = verdict_of(parts[i])
	count = read_elements("after", map, parts)
	for (i = 1; i <= count; i++) if ((key_of(parts[i]) in was) && was[key_of(parts[i])] != verdict_of(parts[i])) takeover = "an element of " map " leads to another chain"
}
function verdict_of(element) { sub(/.* : /, "", element); return element }

# has_more OF THAN NAME WORD: whether it has lines with the word that it has not in the other texts.
function has_more(of, than, name, word, lines, count, i, has) {
	count = split(body(than, name), lines, "\n")
	for (i = 1; i < count; i++) has[lines[i]] = 1
	count = split(body(of, name), lines, "\n")
	for (i = 1; i < count; i++) if (!(lines[i] in has) && (word == "" || index(lines[i], word))) return 1
	return 0
}

# --- the delta ---

# print_delta FROM TO FILE. First all that is empty or goes, in the order in which nothing is named any more; then what comes.
function print_delta(from, to, file, i, f, name, text_of_new) {
	printf "" >file
	for (i = 1; i <= changed_count; i++) if (is_there(from, changed[i], "chain")) print "flush chain " path(changed[i]) >file
	for (i = 1; i <= changed_count; i++) print_elements(from, to, changed[i], "delete", file)
	for (i = 1; i <= changed_count; i++) if (is_there(from, changed[i], "chain") && !((to, changed[i]) in text)) print "delete chain " path(changed[i]) >file
	for (i = 1; i <= changed_count; i++) if (((from, changed[i]) in text) && kind(changed[i]) != "chain" && !((to, changed[i]) in text)) {
		name = changed[i]
		print "delete " kind(name) " " path(name) >file
	}
	for (f = 1; f <= family_count; f++) {
		text_of_new = ""
		for (i = 1; i <= changed_count; i++) if (of_family(changed[i]) == families[f] && !((from, changed[i]) in text)) text_of_new = text_of_new block(changed[i], text[to, changed[i]])
		if (text_of_new != "") printf "table %s drawbridge {\n%s}\n", families[f], text_of_new >file
	}
	for (i = 1; i <= changed_count; i++) if (is_there(from, changed[i], "chain") && ((to, changed[i]) in text)) print_rules(to, changed[i], file)
	for (i = 1; i <= changed_count; i++) print_elements(from, to, changed[i], "add", file)
}

function is_there(of, name, its_kind) { return kind(name) == its_kind && ((of, name) in text) }
function path(name) { return of_family(name) " drawbridge " bare(name) }
function block(name, lines) { return "\t" kind(name) " " bare(name) " {\n" lines "\t}\n" }

function print_rules(of, name, file, lines, count, i, begin, is_less) {
	count = split(body(of, name), lines, "\n")
	begin = "add rule " path(name) " "
	is_less = is_trial && has_kept_jumps(name)
	for (i = 1; i < count; i++) {
		if (is_less && is_kept_jump(name, lines[i])) continue
		if (lines[i] !~ /^\t\ttype /) print begin substr(lines[i], 3) >file
	}
}

# print_elements FROM TO NAME delete|add FILE: of a set or map that stays. An element with another comment is another one.
function print_elements(from, to, name, verb, file, old, new, old_count, new_count, i, was, will, listed) {
	if (!stays(name)) {
		# A map that goes names chains until it is empty.
		if (verb == "delete" && kind(name) == "map" && ((from, name) in text)) print "flush map " path(name) >file
		return
	}
	old_count = read_elements(from, name, old)
	new_count = read_elements(to, name, new)
	for (i = 1; i <= old_count; i++) was[old[i]] = 1
	for (i = 1; i <= new_count; i++) will[new[i]] = 1
	if (verb == "delete") for (i = 1; i <= old_count; i++) if (!(old[i] in will)) print_element(verb, name, key_of(old[i]), listed++, file)
	if (verb == "add") for (i = 1; i <= new_count; i++) if (!(new[i] in was)) print_element(verb, name, new[i], listed++, file)
	if (listed) print "}" >file
}

function print_element(verb, name, element, listed, file) {
	if (!listed) print verb " element " path(name) " {" >file
	print "\t" element "," >file
}

# key_of ELEMENT: less its comment, and less what a map leads it to.
function key_of(element) {
	sub(/ comment ".*| : .*/, "", element)
	return element
}

# --- the stub ---

# print_stub FILE: the way up from all that is touched, then what the printed lines name, without anything in it.
function print_stub(file, i, f, name, done) {
	for (i = 1; i <= name_count; i++) if (!(names[i] in is_empty) && !(names[i] in is_changed)) find_edges(names[i])
	for (i = 1; i <= changed_count; i++) { reached[++reached_count] = changed[i]; is_reached[changed[i]] = 1 }
	for (done = 1; done <= reached_count; done++) climb(reached[done])
	for (i = 1; i <= changed_count; i++) {
		name = changed[i]
		if (("before", name) in text) shown[name] = shown_in_stub(name, text["before", name])
		name_all(of_family(name), shown_in_stub(name, body("before", name)) shown_in_stub(name, body("after", name)))
	}
	for (f = 1; f <= family_count; f++) {
		printf "table %s drawbridge {\n", families[f] >file
		for (i = 1; i <= name_count; i++) {
			name = names[i]
			if (((name in shown) || (name in is_named) && ("before", name) in text) && of_family(name) == families[f])
				printf "%s", block(name, name in shown ? shown[name] : kind(name) == "chain" ? "" : declared("before", name)) >file
		}
		print "}" >file
	}
}

# find_edges NAME: which of its lines lead to which chains and maps.
function find_edges(name, lines, count, i, line, target) {
	# Of those that do not stand yet there is nothing to find.
	if (body("before", name) !~ /jump |goto |vmap @/) return
	count = split(body("before", name), lines, "\n")
	for (i = 1; i < count; i++) {
		line = lines[i]
		while (match(line, /(jump|goto) [^ ,}]+|vmap @[^ ]+/)) {
			target = substr(line, RSTART, RLENGTH)
			line = substr(line, RSTART + RLENGTH)
			if (sub(/^vmap @/, "map ", target) == 0) sub(/^(jump|goto) /, "chain ", target)
			target = of_family(name) " " target
			if (!((target, name) in way)) callers[target, ++caller_count[target]] = name
			# Of a map, the one element.
			if (kind(name) == "chain") way[target, name] = way[target, name] lines[i] "\n"
			else way[target, name] = element_to(name, target)
		}
	}
}

function element_to(map, chain, parts, count, i) {
	count = read_elements("before", map, parts)
	for (i = 1; i <= count; i++) if (parts[i] ~ / : / && substr(parts[i], length(parts[i]) - length(bare(chain))) == " " bare(chain)) return parts[i]
	return ""
}

# climb NAME: who leads to it stands in the stub with the lines that do.
function climb(name, i, caller) {
	for (i = 1; i <= caller_count[name]; i++) {
		caller = callers[name, i]
		if (kind(caller) == "map") climbed[caller] = climbed[caller] "\t\t\t" way[name, caller] ",\n"
		else climbed[caller] = climbed[caller] way[name, caller]
		shown[caller] = declared("before", caller) (kind(caller) == "map" ? "\t\telements = {\n" climbed[caller] "\t\t}\n" : climbed[caller])
		name_all(of_family(caller), way[name, caller])
		if (!is_reached[caller]) { reached[++reached_count] = caller; is_reached[caller] = 1 }
	}
}

# name_all FAMILY TEXT: what its rules and elements name has to be there.
function name_all(family, text_of_lines, lines, count, i) {
	count = split(text_of_lines, lines, "\n")
	for (i = 1; i <= count; i++) name_in(family, lines[i])
}

# name_in FAMILY LINE: a map of counters names them behind a colon.
function name_in(family, line, target) {
	while (match(line, /(jump|goto) [^ ,}]+|@[^ ]+|(counter name|ct helper set|:) "[^"]+"/)) {
		target = substr(line, RSTART, RLENGTH)
		line = substr(line, RSTART + RLENGTH)
		if (target ~ /^@/) { is_named[family " set " substr(target, 2)] = 1; is_named[family " map " substr(target, 2)] = 1 }
		else if (sub(/^(jump|goto) /, "", target)) is_named[family " chain " target] = 1
		else {
			sub(/"$/, "", target)
			if (sub(/^(counter name|:) "/, "", target)) is_named[family " counter " target] = 1
			else { sub(/^ct helper set "/, "", target); is_named[family " ct helper " target] = 1 }
		}
	}
}

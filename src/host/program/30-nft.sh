# --- netfilter: fragments make tables ---------------------------------------------------------------------------------
# Promises that the text of a table is made of confirmed files only, and that nothing is loaded that a throw-away namespace has not taken. Called by
# the transaction (51, 52), the look (60) and the loader (70). Leaves what its callers have it write into their folders.

FAMILIES='inet bridge netdev'

# devices_present FILE…: "NAME INDEX" a line, to each file; one that is made anew under its name has another index.
devices_present() {
	local device index file devices
	devices=
	for device in /sys/class/net/*; do
		# Beside them stand files of drivers.
		[ -e "$device/ifindex" ] || continue
		if read -r index <"$device/ifindex"; then devices="$devices${device##*/} $index$NEWLINE"; elif [ -e "$device" ]; then return 1; fi
	done
	for file in "$@"; do printf '%s' "$devices" >"$file" || return 1; done
}

# nft_fragments FAMILY [TXN]: the files that make the table, in the order of their names. What a transaction writes comes from
# it; the rest from its last confirmed copy, so that tampering with one file does not spread; from /etc only where all copies are
# lost: a file that merely looks like ours was never confirmed, and one that an undo could not take away is not either.
nft_fragments() {
	local dir txn dropped place kept names added file name
	dir=$ETC/nft/$1-drawbridge
	txn=${2:-/nonexistent}
	dropped=
	[ ! -s "$txn/drops" ] || dropped=$(cat "$txn/drops") || return 1
	place=$dir
	for kept in "$VAR/confirmed" "$VAR"/not-undone-*; do [ ! -d "$kept" ] || place=$VAR/confirmed$dir; done
	names='' added=''
	for file in "$place"/*.nft; do [ ! -e "$file" ] || names="$names ${file##*/}"; done
	for file in "$txn/files$dir"/*.nft; do [ ! -e "$file" ] || [ -e "$place/${file##*/}" ] || added="$added ${file##*/}"; done
	# Names of fragments are ours and carry no blank.
	# shellcheck disable=SC2086
	[ -z "$added" ] || names=$(printf '%s\n' $names $added | sort) || return 1
	for name in $names; do
		case $NEWLINE$dropped$NEWLINE in *"$NEWLINE$dir/$name$NEWLINE"*) continue ;; esac
		for file in "$txn/files$dir/$name" "$place/$name"; do
			if is_ours "$file"; then
				printf '%s\n' "$file" || return 1
				break
			fi
		done
	done
}

# nft_is_empty FAMILY: nothing of ours makes the table, by its confirmed copies.
nft_is_empty() {
	local place file
	place=$VAR/confirmed
	[ -d "$place" ] || place=
	for file in "$place$ETC/nft/$1-drawbridge"/*.nft; do ! is_ours "$file" || return 1; done
}

# nft_facts PATH [FILE]: the devices that are here, and whether the kernel tells rules by which bridge a frame goes, for nft_text; in the file, too.
nft_facts() {
	local file
	LOOK=$1
	shift
	# There is always lo.
	devices_present "$LOOK.present" "$@" && [ -s "$LOOK.present" ] || return 1
	# To ask may load a module, which a host without rules on bridges need not have.
	[ -d "$ETC/nft/bridge-drawbridge" ] || [ -d "$VAR/confirmed$ETC/nft/bridge-drawbridge" ] || [ -d "$T/files$ETC/nft/bridge-drawbridge" ] || return 0
	bridge_takes ibrname || return 0
	for file in "$LOOK.present" "$@"; do echo '* ibrname' >>"$file" || return 1; done
}

# bridge_takes ibrname|ct: whether the kernel has what a rule at the hook forward of bridges asks by. It is asked once per boot, for that may load a module.
bridge_takes() {
	local known rule
	read_line known "$RUN/bridge.$1"
	[ -n "$known" ] || {
		rule='meta ibrname "br0"'
		[ "$1" = ibrname ] || rule='ct state established'
		known=no
		printf 'table bridge drawbridge_asked {\n\tchain forward {\n\t\ttype filter hook forward priority 0;\n\t\t%s accept\n\t}\n}\n' "$rule" | nft -c -f - >/dev/null 2>&1 && known=yes
		[ ! -d "$RUN" ] || ! have nft || echo "$known" >"$RUN/bridge.$1" || return 1
	}
	[ "$known" = yes ]
}

# nft_look LIST…: what the fragments in these files want known beside: the accounts that they name and the host has, in LOOK.accounts; the lines by which
# they name sets that others may declare, in LOOK.uses.
nft_look() {
	local fragments said
	fragments=$(cat "$@") || return 1
	said=
	# Most have none. Paths of fragments are ours and carry no blank.
	# shellcheck disable=SC2086
	[ -z "$fragments" ] || said=$(grep -hE '^# ((attach|account) (users|groups) [A-Za-z_]|uses )' $fragments) || [ $? -eq 1 ] || return 1
	nft_look_said "$said"
}

# nft_look_said LINES: the same of these lines of fragments.
nft_look_said() {
	true >"$LOOK.accounts" && true >"$LOOK.uses" || return 1
	[ -n "$1" ] || return 0
	printf '%s\n' "$1" | awk '$2 == "uses"' >"$LOOK.uses" && printf '%s\n' "$1" | nft_accounts >"$LOOK.accounts"
}

# nft_accounts: of lines "# attach|account users|groups NAME …" from stdin, "users NAME UID" and "groups NAME GID" a line for whom the host knows.
nft_accounts() {
	local lines class named database found
	lines=$(cat) || return 1
	for class in users groups; do
		named=$(printf '%s\n' "$lines" | awk -v class="$class" '($2 == "attach" || $2 == "account") && $3 == class && !seen[$4]++ { print $4 }') || return 1
		[ -n "$named" ] || continue
		database=passwd
		[ "$class" = users ] || database=group
		# Names of accounts carry no blank, and no pattern either.
		# shellcheck disable=SC2086
		found=$(getent "$database" $named)
		# Some of them may not be there; an answer that was not given is none.
		case $? in 0 | 2) ;; *) return 1 ;; esac
		printf '%s\n' "$found" | awk -F: -v class="$class" 'NF > 2 { print class, $1, $3 }' || return 1
	done
}

# nft_count: "family name packets bytes" a line, as they stand in the kernel at this moment, to LOOK.counters.
nft_count() {
	local state
	read_state_counted state
}

# read_state_counted VARIABLE: the kernel's state (read_nft_state) into the variable, and its counters to LOOK.counters. Where only nft can tell those, which takes it ten times as long, no state.
read_state_counted() {
	read_nft_state "$1" "$LOOK.counters" || nft list counters 2>/dev/null | awk '
		$1 == "table" { family = $2; ours = $3 == "drawbridge" }
		$1 == "counter" { name = $2 }
		ours && $1 == "packets" { print family, name, $2, $4 }' >"$LOOK.counters"
}

# read_nft_state VARIABLE [COUNTERS]: "BOOT NAMESPACE GENERATION FAMILY:HANDLE…" into the variable, the tables being ours; with " shut:FAMILY" behind it where something fails closed in the
# place of one. The generation is one further after each commit of anybody, and as it was after each look (NFT_MSG_GETGEN). It begins anew with the module and in each
# network namespace, and all namespaces of a machine share one boot id, so all of them count. Fails, and gives nothing, where there is no perl that can ask the kernel. COUNTERS: a file for
# the counters of our tables.
read_nft_state() {
	local state_said
	give "$1" ''
	have perl || return 1
	if [ -n "${2:-}" ]; then state_said=$(perl -e "$KERNEL_ASKED" "$2" 2>/dev/null); else state_said=$(perl -e "$KERNEL_ASKED" 2>/dev/null); fi || return 1
	is_state "$state_said" && give "$1" "$state_said"
}

# is_state TEXT: begins with this boot, which nobody has to be asked for: another perl might say anything.
is_state() {
	local boot
	read -r boot </proc/sys/kernel/random/boot_id || return 1
	case $1 in "$boot "[0-9]*) ;; *) return 1 ;; esac
}

# KERNEL_ASKED: a program for perl that asks the kernel by netlink for what nft does not tell, or takes long for: its state (see read_nft_state), which it prints, and
# the counters of our tables, to the file that it is given; with a list of paths, and the folder below which they stand, behind that file, of the counters those only that these fragments
# have, for there may be tens of thousands of others. It fails where the kernel does not answer.
# shellcheck disable=SC2016
KERNEL_ASKED='
	# Numbers are those of linux/netlink.h and linux/netfilter/nf_tables.h.
	alarm 5;
	my %family = (1 => "inet", 7 => "bridge", 5 => "netdev");
	my %number = reverse %family;
	sub attributes {
		my ($data) = @_;
		my %found;
		while (length $data >= 4) {
			my ($length, $type) = unpack("SS", $data);
			exit 1 if $length < 4 || $length > length $data;
			$found{$type & 0x3fff} = substr($data, 4, $length - 4);
			my $next = ($length + 3) & ~3;
			$data = $next < length $data ? substr($data, $next) : "";
		}
		return %found;
	}
	my $kernel;
	# asked TYPE DUMP ATTRIBUTES [FAMILY]: what the kernel says, for each message its family and its attributes; nothing where it has no such thing.
	sub asked {
		my ($type, $dump, $attributes, $of) = @_;
		my @said;
		send($kernel, pack("LSSLLCCna*", 20 + length $attributes, 0x0a00 | $type, 1 | $dump, 1, 0, $of // 0, 0, 0, $attributes), 0) or exit 1;
		while (1) {
			defined recv($kernel, my $data, 1 << 17, 0) or exit 1;
			while (length $data >= 16) {
				my ($length, $is, $flags) = unpack("LSS", $data);
				exit 1 if $length < 20 || $length > length $data;
				return () if $is == 2 && unpack("l", substr($data, 16, 4)) == -2;
				exit 1 if $is == 2;
				die "interrupted\n" if $flags & 0x10;
				return @said if $is == 3;
				push @said, [$family{unpack("C", substr($data, 16, 1))}, {attributes(substr($data, 20, $length - 20))}];
				return @said if !$dump;
				my $next = ($length + 3) & ~3;
				$data = $next < length $data ? substr($data, $next) : "";
			}
		}
	}
	sub text { return unpack("Z*", $_[0]) }
	sub state_of_ruleset {
		open(my $boot, "<", "/proc/sys/kernel/random/boot_id") or exit 1;
		chomp(my $id = <$boot>);
		my $namespace = (stat "/proc/self/ns/net")[1] or exit 1;
		my ($generation) = asked(16, 0, "");
		my @state = ($id, $namespace, unpack("N", $generation->[1]{1}));
		for my $table (asked(1, 0x300, "")) {
			my ($family, $of) = @$table;
			push @state, "$family:" . unpack("H*", $of->{4}) if $family && text($of->{1}) eq "drawbridge";
			push @state, "shut:$1" if text($of->{1}) =~ /^drawbridge_shut_(\w+)$/;
		}
		return "@state\n";
	}
	# attribute NUMBER TEXT: as the kernel takes it.
	sub attribute { return pack("SSZ*x!4", 5 + length $_[1], @_) }
	# objects_of LIST FOLDER: the counters of the fragments that the list names; of those that go, or are changed, since nobody knows any of those that come.
	sub objects_of {
		my ($list, $folder) = @_;
		my @objects;
		open(my $paths, "<", $list) or exit 1;
		while (my $path = <$paths>) {
			chomp($path);
			next if $path !~ m{/nft/(\w+)-drawbridge/} || !open(my $fragment, "<", "$folder$path");
			my $of = $number{$1};
			while (<$fragment>) { push @objects, asked(19, 0, attribute(1, "drawbridge") . attribute(2, $1) . pack("SSN", 8, 3, 1), $of) if /^# counter (\S+)$/ }
		}
		return @objects;
	}
	sub counters {
		my ($file, @fragments) = @_;
		my $counters = "";
		for my $object (@fragments ? objects_of(@fragments) : asked(19, 0x300, pack("SSN", 8, 3, 1))) {
			my ($family, $of) = @$object;
			next if !$family || text($of->{1}) ne "drawbridge" || unpack("N", $of->{3}) != 1;
			my %data = attributes($of->{4});
			$counters .= join(" ", $family, text($of->{2}), unpack("Q>", $data{2}), unpack("Q>", $data{1})) . "\n";
		}
		return $counters;
	}
	# Where somebody commits while it is told, it is told again.
	my ($state, $counters);
	for my $tries (1 .. 10) {
		socket($kernel, 16, 3, 12) or exit 1;
		last if eval { ($state, $counters) = (state_of_ruleset(), @ARGV ? counters(@ARGV) : ""); 1 };
		exit 1 if $@ ne "interrupted\n" || $tries == 10;
	}
	if (@ARGV) {
		open(my $file, ">", $ARGV[0]) or exit 1;
		print $file $counters;
		close($file) or exit 1;
	}
	print $state or exit 1;
	close(STDOUT) or exit 1;'

# nft_counted TEXT…: prints the texts, with their counters as nft_count has found them.
nft_counted() {
	awk '
		reading == "counters" { counted[$1, $2] = "packets " $3 " bytes " $4; next }
		$1 == "table" { family = $2 }
		$1 == "counter" && $3 == "{" && (family, $2) in counted { $0 = "\tcounter " $2 " { " counted[family, $2] }
		{ print }' reading=counters "$LOOK.counters" reading=texts "$@"
}

# TABLE_MAKER: the text of table.awk, where the build has written the slots of src/core/netfilter/slots.ts into it.
# shellcheck disable=SC2016
TABLE_MAKER='@table.awk@'

# nft_text FAMILY LIST [FAIL_CLOSED]: the text of the whole table that the fragments in the file LIST make, all counters at 0. What failed closed in its
# place before goes. FAIL_CLOSED: a file for the text of nft_fail_closed, which the same reading makes.
nft_text() {
	local layers
	[ -r "$2" ] && nft_deletion "$1" || return 1
	[ -s "$2" ] || {
		# What was adopted comes back when the last of ours has gone.
		[ ! -e "$VAR/found/nft/$1" ] || cat "$VAR/found/nft/$1" || return 1
		[ -z "${3:-}" ] || nft_fail_closed "$1" "$3" "$2"
		return
	}
	read_layers layers "$1"
	awk -v list="$2" "$TABLE_MAKER" family="$1" purpose=table layers="$layers" fail_closed="${3:-}" reading=devices "$LOOK.present" reading=accounts "$LOOK.accounts" reading=fragments
}

# nft_deletion FAMILY: text that takes the table away, and what failed closed in its place. Each is declared first, for nft deletes only what is there.
nft_deletion() {
	local layers layer
	printf 'table %s drawbridge\ndelete table %s drawbridge\n' "$1" "$1" || return 1
	read_layers layers "$1"
	for layer in $layers; do
		printf 'table %s drawbridge_shut_%s\ndelete table %s drawbridge_shut_%s\n' "$layer" "$1" "$layer" "$1" || return 1
	done
}

# nft_needy PATH…: which fragments among these files, and in these folders, need something that a host may not have (nft_unmet).
nft_needy() { grep -rlE "$NFT_NEEDS" /dev/null "$@" || [ $? -eq 1 ]; }

# NFT_NEEDS: for grep, the lines of a fragment that say what it needs.
NFT_NEEDS='^# (needs|(attach|account) (users|groups)) '

# nft_unmet PREFIX LINES: what a fragment needs, by such lines of it, and the host does not have, one reason a line, behind the prefix.
nft_unmet() {
	local word need name zone other
	while read -r _ word need name; do
		name=${name%% *}
		# Users and groups may stand there by their numbers, too, and by "*".
		case $word:$name in needs:* | *:[A-Za-z_]*) ;; *) continue ;; esac
		case $need in
		users) getent passwd "$name" >/dev/null || echo "$1 user: there is no user $name on this host$(did_you_mean passwd "$name")" || return 1 ;;
		groups) getent group "$name" >/dev/null || echo "$1 group: there is no group $name on this host$(did_you_mean group "$name"); where a SystemGroup of this program makes it, give its output \`name\`, so that it comes first" || return 1 ;;
		# Without it every packet would be found without a policy.
		xfrm) ip xfrm state >/dev/null 2>&1 || echo "$1 this kernel has no IPsec (\`ip xfrm state\` fails; the module is xfrm_user), so everything would be dropped" || return 1 ;;
		bridge-conntrack) bridge_takes ct || echo "$1 bridge: this kernel does not follow connections of bridges (its module is nf_conntrack_bridge), so that answers are not known as such; with \`established: false\` each direction is an entry of its own, and whoever sends from the port of an answer passes" || return 1 ;;
		bridge-names)
			bridge_takes ibrname || for other in /sys/class/net/*/bridge; do
				[ -d "$other" ] || continue
				other=${other%/bridge} other=${other##*/}
				[ "$other" = "$name" ] || echo "$1 bridge: this kernel does not tell rules by which bridge a frame goes (its module is nft_meta_bridge), so that those of $other would be judged, too; with \`force: true\` they are" || return 1
			done
			;;
		# \`meta day\` counts in the kernel's own zone, \`meta hour\` in UTC: net/netfilter/nft_meta.c.
		utc)
			zone=$(kernel_zone)
			[ "${zone:-0}" = 0 ] || echo "$1 days: this kernel's own time zone lies $zone minutes west of UTC (timedatectl set-timezone sets it), which moves weekdays but not hours; a reboot sets it back, or as root: hwclock --systz --utc" || return 1
			;;
		esac
	done <<-LINES
		$2
	LINES
}

# kernel_zone: minutes west of UTC in the kernel's own mind; nothing where no tool can ask for it.
kernel_zone() {
	local number
	have perl || return 0
	case $(uname -m) in
	x86_64) number=96 ;;
	aarch64 | riscv64) number=169 ;;
	*) return 0 ;;
	esac
	perl -e 'my ($time, $zone) = ("\0" x 16, "\0" x 8); syscall($ARGV[0], $time, $zone) == 0 and print unpack("l", $zone)' "$number"
}

# read_nft_needs VARIABLE: "FILE:LINE" a line, what the fragments that the transaction puts need; most need nothing.
read_nft_needs() {
	local needs_said
	needs_said=
	[ ! -d "$T/files$ETC/nft" ] || needs_said=$(grep -rE "$NFT_NEEDS" /dev/null "$T/files$ETC/nft") || [ $? -eq 1 ] || return 1
	give "$1" "$needs_said"
}

# nft_needs NEEDS: prints "refuse NUMBER rejected TEXT" for every fragment that needs (read_nft_needs) what is not here.
nft_needs() {
	local needs number verb path lines line
	needs=$1
	[ -n "$needs" ] || return 0
	while read -r number verb _ path _; do
		[ "$verb" = put ] || continue
		case $NEWLINE$needs in *"$NEWLINE$T/files$path:"*) ;; *) continue ;; esac
		lines=
		while IFS= read -r line; do
			case $line in "$T/files$path:"*) lines=$lines${line#"$T/files$path:"}$NEWLINE ;; esac
		done <<-NEEDS
			$needs
		NEEDS
		nft_unmet "refuse $number rejected" "$lines" || return 1
	done <"$T/manifest"
}

# read_layers VARIABLE FAMILY: the tables' families that guard in its place.
read_layers() {
	case $2 in
	netdev) give "$1" 'inet bridge' ;;
	*) give "$1" "$2" ;;
	esac
}

# nft_fail_closed FAMILY OUT LIST: writes what boot loads when the table that the fragments in the file LIST make does not load.
nft_fail_closed() {
	local layers
	[ -r "$3" ] || return 1
	read_layers layers "$1"
	# Without any file, awk would read what it has no end of.
	awk -v list="$3" "$TABLE_MAKER" family="$1" purpose=fail-closed layers="$layers" fail_closed="$2" reading=fragments /dev/null
}

# nft_second_try FAMILY OUT LIST: writes the table that the fragments in the file LIST make without those that only open, for where it does not
# load with them; their objects to OUT.left-out. Writes nothing where there are none.
nft_second_try() {
	local fragments opening file
	rm -f "$2" "$2.left-out" || return 1
	fragments=$(cat "$3") || return 1
	[ -n "$fragments" ] || return 0
	# Paths of fragments are ours and carry no blank.
	# shellcheck disable=SC2086
	opening=$(grep -lx '# opens' $fragments) || [ $? -eq 1 ] || return 1
	[ -n "$opening" ] || return 0
	printf '%s\n' "$opening" >"$2.fragments" || return 1
	grep -vxF -f "$2.fragments" "$3" >"$2.list" || [ $? -eq 1 ] || return 1
	nft_text "$1" "$2.list" >"$2.uncounted" && nft_counted "$2.uncounted" >"$2" || return 1
	for file in $opening; do header "$file" object || return 1; done >"$2.left-out"
}

# nft_sets_missed FAMILY BEFORE AFTER: "PATH TEXT" for every set that a fragment of the file BEFORE declares and none of the file AFTER, where one
# of AFTER has a rule that names it; PATH is that of the fragment that declared it.
nft_sets_missed() {
	local before after
	before=$(cat "$2") && after=$(cat "$3") || return 1
	[ -n "$before" ] && [ -n "$after" ] || return 0
	# Paths of fragments are ours and carry no blank.
	# shellcheck disable=SC2086
	awk '
		FNR == 1 { object = "" }
		$1 == "#" && $2 == "object" { object = $3 }
		reading == "before" && $1 == "set" && $3 == "{" { path[$2] = FILENAME; sub(/.*\/etc\/drawbridge\//, "/etc/drawbridge/", path[$2]) }
		reading == "after" && $1 == "set" && $3 == "{" { declared[$2] = 1 }
		reading == "after" && $1 == "#" && $2 == "uses" && !((object, $3) in seen) {
			seen[object, $3] = 1
			users[$3] = users[$3] (users[$3] == "" ? "" : ", ") object
		}
		END { for (set in path) if (!(set in declared) && (set in users)) print path[set], "the set " set " is still named by rules of " users[set] }
	' reading=before $before reading=after $after
}

# nft_try DIR: loads what is in DIR in throw-away namespaces, and has the new tables listed there (nft_namespace). What fails closed, shut.nft, takes nothing
# from the others, and is tried at the same time. Where something does not load, DIR/failed says which, and DIR/error.txt why.
nft_try() {
	local process status
	process=
	[ ! -e "$1/shut.nft" ] || {
		unshare -n nft -f "$1/shut.nft" >"$1/shut.log" 2>&1 &
		process=$!
	}
	unshare -n /bin/sh "$PROGRAM" nft-namespace "$1" >"$1/log" 2>&1
	status=$?
	[ -z "$process" ] || wait "$process" || [ "$status" -ne 0 ] || {
		status=1
		echo shut.nft >"$1/failed"
		mv "$1/shut.log" "$1/error.txt"
	}
	return "$status"
}

# nft_split PREFIX: a listing of several tables from stdin, each to the file of its family, whose path begins with PREFIX.
nft_split() { awk -v prefix="$1" '/^table / { family = $2 } { print >(prefix family) }'; }

# nft_live FAMILY…: the kernel's text of our tables, less the base chains of devices that are gone (some kernels keep them).
nft_live() {
	[ $# -gt 0 ] || return 0
	nft_list "$LOOK.list" "$@" >"$LOOK.listed" && nft_here "$LOOK.present" <"$LOOK.listed"
}

# nft_here PRESENT: a text or a listing from stdin, less the base chains of devices that are not in the file PRESENT; of an empty one,
# which could not be written, nothing is left out.
nft_here() {
	awk -v present="$1" '
		BEGIN { while ((getline line < present) > 0) { sub(/ .*/, "", line); here["egress." line] = 1; known = 1 } }
		$1 == "table" { netdev = $2 == "netdev" }
		known && netdev && $1 == "chain" && $2 ~ /^egress\./ && !($2 in here) { skipping = 1 }
		!skipping { lines[++n] = $0 }
		skipping && $0 == "\t}" { skipping = 0; if (lines[n] == "") n-- }
		END { for (i = 1; i <= n; i++) print lines[i] }'
}

# nft_load TEXT: loads whole texts. In the moment of a commit a packet finds nothing in a set of intervals that is new (Linux 6.18), nor in a map that goes. So where tables of ours
# stand, those of TEXT first stand beside them, and go when the commit has ended.
nft_load() {
	local tables status
	tables=$(nft list tables) || return 1
	case $tables$NEWLINE in *" drawbridge$NEWLINE"*) ;; *)
		nft -f "$1"
		return
		;;
	esac
	{ nft_beside_gone && nft_beside <"$1" || echo "cut off"; } | nft -f - || return 1
	nft -f "$1"
	status=$?
	nft_beside_gone | nft -f - || return 1
	return "$status"
}

# nft_beside: of whole texts from stdin the tables, under another name. A packet meets them last, so that who counts and logs is the table itself.
nft_beside() {
	awk '
		/^(delete table|table [^{]*$)/ { next }
		/^table / { sub(/ drawbridge /, " drawbridge_beside ") }
		/^\t\ttype filter hook / && match($0, / priority -?[0-9]+;/) {
			$0 = substr($0, 1, RSTART + 9) (substr($0, RSTART + 10, RLENGTH - 11) + 1) substr($0, RSTART + RLENGTH - 1)
		}
		{ print }'
}

# nft_beside_gone: text that takes those tables away.
nft_beside_gone() {
	local family
	for family in $FAMILIES; do printf 'table %s drawbridge_beside\ndelete table %s drawbridge_beside\n' "$family" "$family" || return 1; done
}

import type { LabHost } from "../../tools/lab";
import { standing } from "./drill";

/** A plain user with a shell, who wants to be root, to keep others from their work, or to read what only root may read. */
export const mallory = "mallory";

/** What he may do with as he likes. */
const HIS_PLACES = "/tmp /var/tmp /dev/shm /run/user/$uid /home/mallory /opt/his";

/** A folder that is his, above guarded files that were put there before it was. */
export const hisFolder = "/opt/his";
/** A guarded file that the program gives to him, in a folder of root's. */
export const hisFile = "/srv/guarded/his-own";

/** What is looked for; by themselves these words tell who may see them: "marker-hidden-…", "marker-open-…". */
const MARKER = "marker-[a-z0-9-]+";

/**
 * In the place of each tool that the program calls: keeps the command line, which everybody could have read. Behind one that changes something
 * where he can look, it waits until he has done so: what can be seen for a moment only, he does see.
 */
const TOOL = `#!/bin/sh
name=\${0##*/}
echo "$name $*" 2>/dev/null >>/run/observed/words
real=/usr/sbin/$name
[ -x "$real" ] || real=/usr/bin/$name
where=
case $name:$1 in
chgrp:* | chmod:* | chown:* | cp:* | dpkg-statoverride:--quiet | gpasswd:* | group*:* | install:* | ln:* | mkdir:* | mktemp:* | mv:* | rm:* | setcap:* | tar:*)
	for word; do
		case $word in /var/lib/drawbridge/* | /run/drawbridge/*) ;; /*) where=$word ;; esac
	done
	;;
esac
[ -n "$where" ] || exec "$real" "$@"
"$real" "$@"
code=$?
read -r from </run/observed/looks
echo >/run/observed/wanted
left=300
until read -r now </run/observed/looks && [ "\${now:-0}" -ge $((from + 2)) ]; do
	left=$((left - 1))
	[ "$left" -gt 0 ] || { echo "nobody has looked after $name $where" >>/run/observed/waits; break; }
	/usr/bin/sleep 0.01
done
exit "$code"
`;

/** Reads all that he can, again and again, and keeps it open and locked. A line for each place and marker that he has found there. */
const WATCHER = `
use strict;
use Fcntl qw(:DEFAULT :flock :mode);
use Time::HiRes qw(lstat stat);
my (%seen, %held, %told);
open(my $learned, ">>", "$ENV{HOME}/learned") or die;
$learned->autoflush(1);
sysopen(my $looks, "/run/observed/looks", O_WRONLY) or die;
sub tell_of {
	my ($text, $where) = @_;
	while ($text =~ /(${MARKER})/g) { print $learned "$where: $1\\n" unless $told{"$1 $where"}++ }
}
sub text_of { my ($file) = @_; sysseek($file, 0, 0); sysread($file, my $text, 65536); return $text // "" }
sub look_at {
	my ($path, @is) = @_;
	my $key = join ":", @is[0, 1, 2, 4, 5, 7, 9, 10];
	return if ($seen{$path} // "") eq $key;
	$seen{$path} = $key;
	return if $is[4] == $> || !S_ISREG($is[2]);
	sysopen(my $file, $path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW) or return;
	@is = stat $file;
	tell_of(text_of($file), sprintf "%s, mode %04o", $path, $is[2] & 07777);
	flock($file, LOCK_EX | LOCK_NB);
	my $lock = pack("s s x4 q q i x4", F_RDLCK, 0, 0, 0, 0);
	fcntl($file, F_SETLK, $lock);
	my $lease = F_RDLCK;
	fcntl($file, 1024, $lease);
	$held{"$is[0]:$is[1]"} = [$file, $path, "$is[7]:$is[9]"];
}
sub look_into {
	my ($folder, $deep) = @_;
	opendir(my $names, $folder) or return;
	unless ($seen{"$folder/"}++) {
		sysopen($held{$folder}[0], $folder, O_RDONLY | O_DIRECTORY);
		flock($held{$folder}[0], LOCK_EX | LOCK_NB);
	}
	for my $name (readdir $names) {
		next if $name eq "." || $name eq "..";
		my @is = lstat "$folder/$name" or next;
		if (S_ISDIR($is[2])) { look_into("$folder/$name", 1) if $deep } else { look_at("$folder/$name", @is) }
	}
}
sub look_at_processes {
	opendir(my $processes, "/proc") or die;
	for my $process (grep { /^\\d+$/ && (stat "/proc/$_")[4] != $> } readdir $processes) {
		for my $part ("cmdline", "environ") {
			open(my $file, "<", "/proc/$process/$part") or next;
			local $/;
			my $text = <$file> // next;
			$text =~ tr/\\0/ /;
			tell_of($text, "the $part of a process");
		}
		opendir(my $fds, "/proc/$process/fd") or next;
		for my $fd (readdir $fds) {
			sysopen(my $file, "/proc/$process/fd/$fd", O_RDONLY | O_NONBLOCK) or next;
			tell_of(text_of($file), "an open file of a process");
		}
	}
}
sysopen(my $wanted, "/run/observed/wanted", O_RDWR) or die;
my $again = 0;
for (my $round = 1; ; $round++) {
	look_into($_, 1) for qw(/etc/drawbridge /etc/sudoers.d /etc/network /srv/guarded /run/drawbridge /var/lib/drawbridge /root /tmp /var/tmp /dev/shm);
	look_into($_, 0) for qw(/etc /run /usr/local/sbin /usr/local/bin /var/lib /var/lib/dpkg /etc/systemd/system);
	look_at_processes();
	for my $kept (grep { $_->[1] } values %held) {
		my @is = stat $kept->[0];
		next if "$is[7]:$is[9]" eq $kept->[2];
		$kept->[2] = "$is[7]:$is[9]";
		tell_of(text_of($kept->[0]), "$kept->[1], which was kept open");
	}
	sysseek($looks, 0, 0);
	syswrite($looks, "$round\\n");
	# At once, and twice, where somebody waits for it: the second time has begun after he came.
	next if $again-- > 0;
	vec(my $ready = "", fileno($wanted), 1) = 1;
	$again = 1 if select($ready, undef, undef, 0.03) && sysread($wanted, my $asked, 4096);
}
`;

/** Puts links and pipes in the place of what the program may open or make, over and over, and leases on what is his. */
const RACER = `
use strict;
use Fcntl;
use POSIX qw(mkfifo);
use Time::HiRes qw(usleep);
my ($folder, $file, @places) = @ARGV;
$SIG{IO} = "IGNORE";
for my $place (@places) {
	symlink("/etc/precious", "$place/$_") for qw(drawbridge drawbridge-host .drawbridge .drawbridge-host sudoers sudoers.tmp nft.tmp look.tar units request);
	mkfifo("$place/$_", 0666) for qw(drawbridge.lock lock news status alive snapshot drawbridge-undo);
}
for my $process (1 .. 4000) { symlink("/etc/precious", "$folder/.drawbridge.$process.run"); symlink("/etc/precious", "$folder/.drawbridge.$process") }
symlink("/etc/precious", "$folder/.drawbridge.undo");
# Processes that are called as ours are, or as the host's own.
for my $name ("drawbridge-host undo-later 00000000000000000000000000000000 5", "drawbridge-host work 00000000000000000000000000000000", "dhclient eth0") {
	next if fork;
	$0 = $name;
	sleep 1 while 1;
}
my $leased;
for (my $round = 0; ; $round++) {
	# A lease on what is his: whoever opens the file waits until he gives it up, 45 s at most. A new file in its place gets one, too.
	if (!$leased || (stat $leased)[1] != ((stat $file)[1] // 0)) {
		if (sysopen($leased, $file, O_RDWR | O_NONBLOCK)) { my $lease = F_WRLCK; fcntl($leased, 1024, $lease) or undef $leased } else { undef $leased }
		if ($leased) { link($file, "$ENV{HOME}/another-name-$round"); chmod 0755, $file; syswrite($leased, "his\\n") }
	}
	my $new = "$ENV{HOME}/new";
	unlink $new;
	if ($round % 3 == 0) { symlink("/etc/precious", $new) } elsif ($round % 3 == 1) { mkfifo($new, 0666) } else { open(my $own, ">", $new); print $own "his\\n"; close $own; chmod 04755, $new }
	rename $new, "$folder/run";
	unlink "$folder/deep/run";
	rmdir "$folder/deep" or unlink "$folder/deep";
	if ($round % 2) { symlink("/etc", "$folder/deep") } else { mkdir "$folder/deep"; symlink("/etc/precious", "$folder/deep/run") }
	usleep(20_000);
}
`;

/** Looks, as root, whether a process of root's waits for something of the user's, or has it open. */
const SAMPLER = `
use strict;
use Time::HiRes qw(usleep);
my ($uid, @known) = @ARGV;
my %told;
open(my $found, ">>", "/run/observed/waits") or die;
$found->autoflush(1);
sub tell_of { my ($what) = @_; print $found "$what\\n" unless $told{$what}++ }
sub owner { return (stat "/proc/$_[0]")[4] // -1 }
sub first_line { open(my $file, "<", $_[0]) or return ""; my $line = <$file> // ""; $line =~ tr/\\0\\n/ /d; return $line }
while (1) {
	my %holder;
	open(my $locks, "<", "/proc/locks") or die;
	while (<$locks>) {
		my ($number, $waits, $kind, $process) = /^(\\d+): (-> )?(\\S+)\\s+\\S+\\s+\\S+\\s+(-?\\d+)/ or next;
		if (!$waits) { $holder{$number} = $process } elsif (owner($process) == 0 && owner($holder{$number}) == $uid) { tell_of("waits for a lock of his: " . first_line("/proc/$process/cmdline")) }
	}
	opendir(my $processes, "/proc") or die;
	for my $process (grep { /^\\d+$/ && owner($_) == 0 && $_ != $$ } readdir $processes) {
		next if first_line("/proc/$process/environ") =~ /OF_THE_TEST/;
		my $waits = first_line("/proc/$process/wchan");
		tell_of("waits in $waits: " . first_line("/proc/$process/cmdline")) if $waits =~ /lease|wait_for_partner|fifo_open/;
		opendir(my $fds, "/proc/$process/fd") or next;
		for my $fd (readdir $fds) {
			my @is = stat "/proc/$process/fd/$fd" or next;
			my $path = readlink "/proc/$process/fd/$fd";
			next if $is[4] != $uid || $path !~ m{^/} || $path =~ m{^/(proc|dev/(pts|null))} || grep { $path eq $_ } @known;
			tell_of("has open $path: " . first_line("/proc/$process/cmdline"));
		}
	}
	usleep(20_000);
}
`;

const TOOLS =
  "awk cat chgrp chmod chown cmp cp cut date dd df diff dpkg-query dpkg-statoverride du env find flock getcap getent gpasswd grep groupadd groupdel groupmod gzip head id install ip " +
  "ln logger ls mkdir mkfifo mktemp mv nft od readlink rm rmdir sed setcap setpriv setsid sha256sum sleep sort stat sudo sync tail tar touch tr uname unshare usermod visudo wc xargs";

/** He moves in. */
export async function letHimLive(host: LabHost): Promise<void> {
  const give = (path: string, text: string, mode: string) => host.run(`cat >${path}; chmod ${mode} ${path}`, { stdin: text });
  await host.run(`useradd -m -s /bin/sh ${mallory}; mkdir /run/user; install -d -m 700 -o ${mallory} /run/user/$(id -u ${mallory})
    mkdir -p /run/observed /srv/guarded ${hisFolder}/deep; mkfifo -m 666 /run/observed/wanted
    echo 0 >/run/observed/looks; chmod 666 /run/observed/looks; true >/run/observed/words; true >/run/observed/waits
    echo precious >/etc/precious; chmod 600 /etc/precious`);
  await give("/run/observed/tool", TOOL, "755");
  await give("/run/observed/watcher", WATCHER, "644");
  await give("/run/observed/racer", RACER, "644");
  await give("/run/observed/sampler", SAMPLER, "600");
}

/** He begins, and has his folder. */
export async function letHimWork(host: LabHost): Promise<void> {
  await host.run(`chown -R ${mallory} ${hisFolder}`);
  const behind = (script: string) => `setsid -f ${script} </dev/null >/dev/null 2>>/tmp/complaints-of-$(id -un)`;
  await host.run(behind(`perl /run/observed/sampler $(id -u ${mallory}) ${hisFile}`));
  const places = "/tmp /var/tmp /dev/shm /run/user/$(id -u) ~";
  await host.run(
    `cd /; ${behind("perl /run/observed/watcher")}; ${behind(`perl /run/observed/racer ${hisFolder} ${hisFile} ${places}`)}`,
    { user: mallory },
  );
  await host.run(
    `timeout 20 sh -c 'until read -r looks </run/observed/looks && [ $looks -ge 2 ]; do sleep 0.05; done' || { cat /tmp/complaints-*; exit 1; }
    for tool in ${TOOLS}; do [ ! -x /usr/bin/$tool ] && [ ! -x /usr/sbin/$tool ] || ln -s /run/observed/tool /usr/local/sbin/$tool; done`,
  );
}

/** The lines that a script prints as root; OF_THE_TEST keeps the sampler from taking it for a verb. */
const linesOf = async (host: LabHost, script: string): Promise<readonly string[]> =>
  (await host.run(`export OF_THE_TEST=yes PATH=/usr/sbin:/usr/bin; ${script}`)).stdout.split("\n").filter((line) => line !== "");

/** What he has learned so far: each marker behind the place where it stood. */
export const learned = (host: LabHost): Promise<readonly string[]> =>
  linesOf(
    host,
    `cat /home/${mallory}/learned; sed -n 's/^\\([^ ]*\\) .*\\(marker-[a-z0-9-]*\\).*/the words of \\1: \\2/p' /run/observed/words | sort -u`,
  );

/** What of root's has waited for something of his, or had it open, so far; and what of all this has failed. */
export const waited = (host: LabHost): Promise<readonly string[]> =>
  linesOf(host, "cat /run/observed/waits /tmp/complaints-of-*");

/** What he could have gained: files that give more rights than their caller's, what is his outside his places, what is root's in them, what his links lead to. */
export const gained = (host: LabHost): Promise<readonly string[]> =>
  linesOf(
    host,
    `uid=$(id -u ${mallory})
    find / /tmp /dev/shm /run -xdev -type f -perm /6000 ! -user ${mallory} -printf 'setuid %p %u:%g %m\\n' | sort -u
    getcap -r / 2>/dev/null | sed 's/^/capable /'
    find ${HIS_PLACES} -mindepth 1 -user root ! -name 'complaints-of-root' -printf 'of root, in a place of his: %p\\n' 2>/dev/null
    find / /run -xdev '(' -path /proc $(printf ' -o -path %s' ${HIS_PLACES}) ')' -prune -o -user ${mallory} -printf 'his: %p\\n' | sort -u
    stat -c '%n %a %U:%G %h' /etc/precious /etc/shadow; cat /etc/precious`,
  );

/** The rest of the host, without the tools that wait for him. */
export async function rest(host: LabHost): Promise<readonly string[]> {
  const guarded = await linesOf(
    host,
    `cd /srv/guarded; find . ! -user ${mallory} -printf '%p %m %u:%g %l\\n' -type f -exec sha256sum {} + | sort`,
  );
  return [...guarded, ...(await standing(host)).split("\n").filter((line) => !line.includes("/run/observed/"))];
}

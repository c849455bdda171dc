import type { RunOptions, RunResult } from "./process";

type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

// sudo keeps there whom it has lectured; conntrack counts what is open now; groupadd and dpkg leave a copy of what was before their last
// change, and dpkg an empty list of overrides, and what it could not write on a full disk.
const leftovers =
  "'(' -path /etc/group- -o -path /etc/gshadow- -o -path /etc/passwd- -o -path /etc/shadow- -o -path /var/lib/dpkg/statoverride-old -o -path /var/lib/dpkg/statoverride-new -o -path /var/lib/dpkg/statoverride -empty ')'";

const script = `
set -e
echo "== files"
find /etc /usr/local /var/lib -path /var/lib/sudo -prune -o -path /etc/mtab -prune -o ${leftovers} -prune -o -printf '%p %y %m %u:%g %l\\n'
find /etc /usr/local /var/lib -path /var/lib/sudo -prune -o ${leftovers} -prune -o -type f -print0 | xargs -0 -r sha256sum
echo "== settings"
grep -rs '' /proc/sys/net | grep -v '/nf_conntrack_count:'
echo "== objects"
echo "link $(ip -d -j address show)"
echo "route $(ip -d -j route show table all)"
echo "rule $(ip -j rule show)"
echo "rule6 $(ip -6 -j rule show)"
echo "== text"
nft -s list ruleset`;

/** Values that move by themselves, that say only in which order things were made, or that a bridge takes over from its ports. */
const volatile =
  /(_timer|_life_time)$|^(ifindex|link_index|link_netnsid|expires|tentative|topology_change|topology_change_detected|qlen|txqlen|[gt]so_max_\w+)$/;

/** The kernel adds these a second or two after their address, once it has found no duplicate. */
const linkLocalRoute = /^route \{"type":"(local|anycast)","dst":"fe80:/;

/** The state of a host as stable lines. */
export async function fingerprintOf(run: (script: string, options?: RunOptions) => Promise<RunResult>): Promise<string> {
  const { stdout } = await run(script);
  const sections = stdout.split(/^== /m).slice(1);
  return sections.map((section) => sectionText(section.split("\n"))).join("\n");
}

/** A listing by nft with our tables behind all others, and their objects, sorted: nft lists them in the order in which they were made, and that says nothing. */
export function ordered(listing: string): string {
  const tables = listing.split(/^(?=table )/m).map((table) => table.trimEnd());
  const isOurs = (table: string) => /^table \w+ drawbridge \{/.test(table);
  return [...tables.filter((table) => !isOurs(table)), ...tables.filter(isOurs).map(orderedTable).sort()].join("\n");
}

function orderedTable(table: string): string {
  return table.replace(/^(table \w+ drawbridge \{\n)([^]*?)^\}$/m, (_whole, head: string, body: string) => {
    const objects = body.split(/^(?=\t[^\t}\n])/m).map((object) => object.trimEnd());
    return `${head}${objects.sort().join("\n")}\n}`;
  });
}

function sectionText([title = "", ...lines]: string[]): string {
  const full = lines.filter((line) => line !== "");
  if (title === "text") return ["== nft", ordered(full.join("\n"))].join("\n");
  const stable = title === "objects" ? full.flatMap(objectLines) : full;
  return [`== ${title}`, ...stable.sort()].join("\n");
}

function objectLines(line: string): string[] {
  const space = line.indexOf(" ");
  const objects = JSON.parse(line.slice(space + 1) || "[]") as Json;
  return (Array.isArray(objects) ? objects : [objects])
    .map((found: Json) => `${line.slice(0, space)} ${JSON.stringify(withoutVolatile(found))}`)
    .filter((text) => !linkLocalRoute.test(text));
}

function withoutVolatile(value: Json): Json {
  if (Array.isArray(value)) return value.map(withoutVolatile);
  if (typeof value !== "object" || value === null) return value;
  const kept = Object.entries(value).filter(([key]) => !volatile.test(key));
  return Object.fromEntries(kept.map(([key, inner]) => [key, withoutVolatile(inner)]));
}

import { join } from "node:path";
import { kinds } from "../../src/providers/registry";
import type { Props } from "../lab/drive";

/** Something that somebody does on the host by hand, and what refresh must then say. */
export interface Tampering {
  readonly story: string;
  /** Runs as root on the host; OBJECT stands for the resource's name there. */
  readonly script: string;
  /** Ids of entries in `rules` that must differ, each matched by one expression. */
  readonly names: readonly RegExp[];
}

/** What the laws need to know of a kind. */
export interface Sample {
  readonly kind: string;
  /** What is special about it, where a kind has several samples. */
  readonly story?: string;
  readonly args: Props;
  /** What must be another for each of several resources on one host, by number; 0 is that of `args`. */
  readonly apart?: (n: number) => Props;
  /** How many of it one host can have; absent: as many as one likes. */
  readonly most?: number;
  /** What the host must have; runs as root. */
  readonly prepare?: string;
  /** Another valid value, for every key of the kind's schema in one of its samples. */
  readonly edits: Props;
  /** Where its files stand; OBJECT as above. */
  readonly files: readonly string[];
  readonly tamperings: readonly Tampering[];
}

/** What no law may touch. */
export const foreignTable =
  "nft 'add table ip foreign { chain input { type filter hook input priority 0; ip saddr 10.9.9.9 counter drop; }; }'";

const chain = (family: string, id: string, name = "OBJECT") =>
  `nft -a list chain ${family} drawbridge ${name} | sed -n 's/.*comment "${id.replaceAll("/", "\\/")}.* # handle //p'`;

const addresses = (file: string) => join(__dirname, "addresses", file);

const inetFile = "/etc/drawbridge/nft/inet-drawbridge/50-OBJECT.nft";
const netdevFile = "/etc/drawbridge/nft/netdev-drawbridge/50-OBJECT.nft";
const bridgeRules = "/etc/drawbridge/nft/bridge-drawbridge/50-OBJECT.nft";
const bridgeFile = "/etc/drawbridge/links/10-OBJECT";
const portFile = "/etc/drawbridge/links/50-OBJECT";
const sudoersFile = "/etc/sudoers.d/drawbridge-OBJECT";

const groupFile = "/etc/drawbridge/groups/50-OBJECT";
const guardFile = "/etc/drawbridge/files/50-OBJECT";

/** Programs of a package without setuid, to be guarded: guarded0 to guarded7. */
const programs = "for n in 0 1 2 3 4 5 6 7; do cp /usr/bin/id /usr/local/bin/guarded$n; done";

/** What the namespaces' kernel cannot do; text and refusal are tested elsewhere. */
export const NOT_IN_THE_LAB: Readonly<Record<string, readonly string[]>> = { BridgePort: ["pvid", "vids"] };

/** A kind without a sample breaks no law, so the suite wants one for each. */
export const samples: readonly Sample[] = [
  {
    kind: "AddressSet",
    args: { name: "pool0", addresses: ["192.0.2.1", "198.51.100.0/24", "2001:db8::1", "2001:db8:1::/48"] },
    apart: (n) => ({ name: `pool${n}` }),
    edits: { name: "others", addresses: ["192.0.2.1", "198.51.100.0/25", "2001:db8::2"], fences: true },
    files: [inetFile],
    tamperings: [
      {
        story: "an address is taken out",
        script: "nft delete element inet drawbridge set.pool0.ipv4.addresses '{ 192.0.2.1 }'",
        names: [/^inet element set\.pool0\.ipv4\.addresses 192\.0\.2\.1$/],
      },
      {
        story: "a prefix is slipped in",
        script: "nft add element inet drawbridge set.pool0.ipv4.prefixes '{ 203.0.113.0/24 }'",
        names: [/^inet element set\.pool0\.ipv4\.prefixes 203\.0\.113\.0\/24: not ours, in our set$/],
      },
      {
        story: "a set is deleted",
        script: "nft delete set inet drawbridge set.pool0.ipv6.addresses",
        names: [/^inet set set\.pool0\.ipv6\.addresses$/, /^inet element set\.pool0\.ipv6\.addresses 2001:db8::1$/],
      },
      { story: "the file is deleted", script: `rm ${inetFile}`, names: [/^file .*inet-drawbridge.*$/] },
    ],
  },
  {
    kind: "AddressSet",
    story: "from a file",
    args: { name: "pool0", file: addresses("some.txt") },
    apart: (n) => ({ name: `pool${n}` }),
    edits: { file: addresses("others.txt") },
    files: [inetFile],
    tamperings: [
      {
        story: "an address is taken out",
        script: "nft delete element inet drawbridge set.pool0.ipv4.addresses '{ 192.0.2.1 }'",
        names: [/^inet element set\.pool0\.ipv4\.addresses 192\.0\.2\.1$/],
      },
      { story: "the file is deleted", script: `rm ${inetFile}`, names: [/^file .*inet-drawbridge.*$/] },
    ],
  },
  {
    kind: "Allow",
    args: {
      hook: "input",
      protocol: "tcp",
      ports: ["8443-8444"],
      from: ["192.0.2.0/24", "198.51.100.7"],
      to: ["198.51.100.1"],
      in: "eth0",
    },
    edits: {
      hook: "forward",
      phase: "guest",
      protocol: "udp",
      ports: [8444, "9000-9010"],
      sourcePorts: ["1024-65535"],
      from: { set: "friends" },
      to: ["198.51.100.2"],
      in: "eth1",
      until: "2027-12-24T18:00:00+01:00",
      rate: { connections: 10, per: "minute" },
      mac: ["02:00:5e:00:53:01"],
      when: { days: ["Monday", "Tuesday"], hours: "22:00-02:00" },
      running: "cut",
      log: true,
      description: "the shop",
    },
    files: [inetFile],
    tamperings: [
      {
        story: "it is widened",
        script: "nft add element inet drawbridge OBJECT.allow.from.ipv4 '{ 203.0.113.0/24 }'",
        names: [/^inet element ….allow.from.ipv4 203\.0\.113\.0\/24: not ours, in our set$/],
      },
      {
        story: "its rule is deleted",
        script: "nft flush chain inet drawbridge OBJECT",
        names: [/^inet 20 allow$/],
      },
      { story: "the file is deleted", script: `rm ${inetFile}`, names: [/^file .*inet-drawbridge.*$/] },
    ],
  },
  {
    kind: "Allow",
    story: "of a service, which waits as an element of a map",
    args: { hook: "forward", service: "https", to: ["192.0.2.2", "2001:db8::2"], out: "eth0" },
    edits: { service: "dns", out: "eth1", fragments: true },
    files: [inetFile],
    // Without its file nothing of it would stand anywhere, and it would be gone.
    tamperings: [
      {
        story: "a line comes into its file",
        script: `echo '# mine' >>${inetFile}`,
        names: [/^file .*inet-drawbridge.*: added #1$/],
      },
    ],
  },
  {
    kind: "Allow",
    story: "of a user",
    args: { hook: "output", user: "myself", protocol: "tcp", ports: [20002], to: ["192.0.2.2"], when: { hours: "08:00-17:00" } },
    edits: { user: "mybro", utcOffset: "+01:00", when: { days: ["Monday"] } },
    files: [inetFile],
    tamperings: [
      {
        story: "somebody else is taken for him",
        script: "nft add element inet drawbridge OBJECT.allow.user '{ 4711 }'",
        names: [/^inet element ….allow.user 4711: not ours, in our set$/],
      },
      {
        story: "nobody is taken for him",
        script: "nft flush set inet drawbridge OBJECT.allow.user",
        names: [/^inet account ….allow.user user myself$/],
      },
    ],
  },
  {
    kind: "Allow",
    story: "of a group",
    args: { hook: "output", group: "spicegrp", service: "https" },
    edits: { group: "deploy" },
    files: [inetFile],
    tamperings: [{ story: "its rule is deleted", script: "nft flush chain inet drawbridge OBJECT", names: [/^inet 20 allow$/] }],
  },
  {
    kind: "Allow",
    story: "of ICMP",
    args: {
      hook: "input",
      protocol: "icmp",
      icmpTypes: [8, 13, 14],
      mac: ["02:00:5e:00:53:01"],
      until: "2200-01-01T00:00:00Z",
    },
    edits: { icmpTypes: [8] },
    files: [inetFile],
    tamperings: [
      {
        story: "its types are widened",
        script: `nft replace rule inet drawbridge OBJECT handle "$(${chain("inet", "20 allow.001")})" icmp type 0-40 accept comment '"20 allow.001"'`,
        names: [/^inet 20 allow\.001$/],
      },
    ],
  },
  {
    kind: "Bridge",
    args: { name: "br0", uplink: "nic0", mac: "02:00:5e:00:53:01", stp: false, ageingTimeSeconds: 60 },
    apart: (n) => ({ name: `br${n}`, uplink: `nic${n}` }),
    // Up once, since the kernel gives an interface its queue then and for good.
    prepare: "for n in 0 1 2 3 4 5; do ip tuntap add nic$n mode tap; ip link set nic$n up; ip link set nic$n down; done",
    edits: {
      name: "br7",
      uplink: "nic5",
      // The NIC has none; test/lab/move-addresses.test.ts moves some.
      moveAddresses: true,
      stp: true,
      forwardDelaySeconds: 4,
      helloTimeSeconds: 1,
      maxAgeSeconds: 10,
      ageingTimeSeconds: 0,
      priority: 4096,
      mac: "02:00:5e:00:53:02",
      // What the namespaces' kernel takes; test/lab/bridge.test.ts shows how the rest is refused.
      vlanFiltering: false,
      addresses: ["192.0.2.1/24", "2001:db8::1/64"],
      adopt: true,
    },
    files: [bridgeFile],
    tamperings: [
      { story: "an attribute", script: "ip link set br0 type bridge ageing_time 100", names: [/^14 ageing_time$/] },
      { story: "the MAC address", script: "ip link set br0 address 02:00:5e:00:53:99", names: [/^17 address$/] },
      { story: "an address is added", script: "ip address add 192.0.2.9/24 dev br0", names: [/^31 addresses$/] },
      { story: "a sysctl", script: "sysctl -qw net.ipv4.conf.br0.arp_ignore=0", names: [/^20 arp_ignore$/] },
      { story: "the uplink is taken out", script: "ip link set nic0 nomaster", names: [/^40 uplink$/] },
      { story: "it is switched off", script: "ip link set br0 down", names: [/^30 up$/] },
      { story: "the link is deleted", script: "ip link delete br0", names: [/^01 is$/, /^40 uplink$/] },
      { story: "the file is deleted", script: `rm ${bridgeFile}`, names: [/^file .*links.*$/] },
      {
        story: "file and kernel are edited alike, and the confirmed copy too",
        script: `sed -i 's/ageing_time 6000/ageing_time 100/' ${bridgeFile} /var/lib/drawbridge/confirmed${bridgeFile}; drawbridge-host load`,
        names: [/^14 ageing_time$/, /^file .*: added #1$/],
      },
      {
        story: "what boot and udev call is deleted",
        script: "rm /etc/udev/rules.d/90-drawbridge.rules",
        names: [/^damaged: .*90-drawbridge\.rules$/],
      },
    ],
  },
  {
    kind: "Bridge",
    story: "with addresses",
    prepare: "ip route delete default; ip -6 route delete default",
    args: { name: "br0", mac: "02:00:5e:00:53:01", addresses: ["192.0.2.1/24", "2001:db8::1/64"], gateway: "192.0.2.254" },
    apart: (n) => ({ name: `br${n}`, addresses: [`192.0.${n + 2}.1/24`, `2001:db8:${n}::1/64`], gateway: undefined }),
    edits: {
      addresses: ["192.0.2.1/25", "192.0.2.7/25"],
      gateway: "192.0.2.253",
      gateway6: "2001:db8::fe",
      mac: "02:00:5e:00:53:02",
    },
    files: ["/etc/network/interfaces.d/drawbridge-OBJECT"],
    tamperings: [
      { story: "an address is deleted", script: "ip address delete 192.0.2.1/24 dev br0", names: [/^31 addresses$/] },
      { story: "an address is added", script: "ip address add 192.0.2.9/24 dev br0", names: [/^31 addresses$/] },
      {
        story: "the file is edited",
        script: "sed -i 's,replace 192.0.2.1/24,replace 192.0.2.66/24,' /etc/network/interfaces.d/drawbridge-OBJECT",
        names: [/^file .*interfaces\.d.*: added #1$/],
      },
    ],
  },
  {
    kind: "Bridge",
    story: "with the addresses of its uplink",
    prepare: [
      "for n in 0 1 2 3 4 5; do ip link add card$n type veth peer name far$n; ip link set far$n up; ip link set card$n up; ip address add 192.0.2.$((n * 8 + 1))/29 dev card$n; ip address add 2001:db8:$n::1/64 dev card$n nodad",
      "ip route add 203.0.113.$((n * 8))/29 via 192.0.2.$((n * 8 + 2)) dev card$n",
      "printf 'auto card%s\\niface card%s inet static\\n\\taddress 192.0.2.%s/29\\n' $n $n $((n * 8 + 1)) >/etc/network/interfaces.d/card$n; done",
    ].join("; "),
    args: { name: "br0", uplink: "card0", moveAddresses: true },
    apart: (n) => ({ name: `br${n}`, uplink: `card${n}` }),
    edits: { mac: "02:00:5e:00:53:02", ageingTimeSeconds: 60 },
    files: [bridgeFile],
    tamperings: [
      { story: "an address is lost", script: "ip address delete 192.0.2.1/29 dev br0", names: [/^42 carries$/] },
      { story: "the route is lost", script: "ip route delete 203.0.113.0/29", names: [/^42 carries$/] },
      {
        story: "the NIC is taken out and has its address again",
        // The bridge without a port loses its carrier a moment later.
        script:
          "ip link set card0 nomaster; ip address add 192.0.2.1/29 dev card0; for i in $(seq 100); do grep -qx down /sys/class/net/br0/operstate && break; sleep 0.1; done",
        names: [/^40 uplink$/, /^42 carries$/],
      },
      { story: "the bridge is deleted", script: "ip link delete br0", names: [/^01 is$/, /^40 uplink$/, /^42 carries$/] },
      {
        story: "a line of ours in the host's own file is deleted",
        script: "sed -i '/master br0 up/d' /etc/network/interfaces.d/card0",
        names: [/^file \/etc\/network\/interfaces\.d\/card0: missing #1$/],
      },
    ],
  },
  {
    kind: "BridgePort",
    args: { bridge: "brx", interface: "tap0", isolated: true, learning: false },
    apart: (n) => ({ interface: `tap${n}` }),
    prepare: [
      "ip link add brx address 02:00:5e:00:53:0a type bridge && ip link add bry address 02:00:5e:00:53:0b type bridge",
      "for n in 0 1 2 3 4 5 7; do ip tuntap add tap$n mode tap; ip link set tap$n up; ip link set tap$n down; done",
    ].join("; "),
    edits: {
      bridge: "bry",
      interface: "tap7",
      isolated: false,
      learning: true,
      flood: false,
      hairpin: true,
      bpduGuard: true,
      cost: 7,
      priority: 1,
      waitSeconds: 1,
    },
    files: [portFile],
    tamperings: [
      { story: "an attribute", script: "bridge link set dev tap0 isolated off", names: [/^10 isolated$/] },
      { story: "it is taken out", script: "ip link set tap0 nomaster", names: [/^01 master$/, /^10 isolated$/] },
      { story: "it is put elsewhere", script: "ip link set tap0 master bry", names: [/^01 master$/] },
      { story: "it is switched off", script: "ip link set tap0 down", names: [/^20 up$/] },
      { story: "the file is deleted", script: `rm ${portFile}`, names: [/^file .*links.*$/] },
      {
        story: "the file is edited",
        script: `sed -i 's/isolated 1/isolated 0/' ${portFile}`,
        names: [/^10 isolated$/, /^file .*: added #1$/],
      },
    ],
  },
  {
    kind: "DefaultDrop",
    args: {
      hook: "input",
      management: { sources: ["198.18.0.0/15"] },
      allow: [
        { protocol: "tcp", ports: [8443], from: ["192.0.2.0/24", "203.0.113.7"], description: "the shop" },
        { service: "dns" },
      ],
    },
    apart: (n) => [{}, { hook: "output" }, { hook: "forward", management: undefined }][n % 3] ?? {},
    most: 3,
    edits: {
      hook: "output",
      management: { sources: ["198.18.0.0/15", "2001:db8::/32"] },
      allow: [{ protocol: "udp", ports: ["7000-7010"], in: "eth0", log: true, until: "2027-12-24T17:00:00Z" }],
      basics: { echo: false, neighbours: false },
      established: false,
      final: "reject",
      mode: "log",
      log: { nflogGroup: 5 },
      force: true,
    },
    files: [inetFile],
    tamperings: [
      {
        story: "its last rule is deleted",
        script: "nft flush chain inet drawbridge OBJECT.final",
        names: [/^inet 91 drop the rest$/, /^inet 90 log what nobody allows$/],
      },
      {
        story: "somebody lets himself in",
        script: "nft insert rule inet drawbridge OBJECT ip saddr 203.0.113.66 accept",
        names: [/^inet not ours, in our chain: #1$/],
      },
      {
        story: "somebody is taken for the administrator",
        script: "nft add element inet drawbridge OBJECT.management.ipv4 '{ 203.0.113.66 }'",
        names: [/^inet element ….management.ipv4 203\.0\.113\.66: not ours, in our set$/],
      },
      {
        story: "its jumps are deleted",
        script: "nft flush chain inet drawbridge drop.input",
        names: [/^inet damaged: chain drop\.input$/],
      },
      { story: "the file is deleted", script: `rm ${inetFile}`, names: [/^file .*inet-drawbridge.*$/] },
    ],
  },
  {
    kind: "DefaultDrop",
    story: "of a bridge that may come later",
    args: {
      hook: "forward",
      bridge: "drop0",
      established: false,
      // The lab's kernel does not tell frames of one bridge from those of another one.
      force: true,
      allow: [{ protocol: "tcp", ports: [22], inPort: "eth0", outPort: "eth1", to: ["192.0.2.16"] }],
    },
    apart: (n) => ({ bridge: `drop${n}` }),
    edits: { bridge: "drop7", basics: { arp: false, neighbours: false }, mode: "log" },
    files: [bridgeRules],
    tamperings: [
      {
        story: "it is asked no more",
        script: "nft flush chain bridge drawbridge drop.forward",
        names: [/^bridge damaged: chain drop\.forward$/],
      },
    ],
  },
  {
    kind: "Allow",
    story: "of a bridge",
    args: { hook: "forward", bridge: "drop0", protocol: "tcp", ports: [22], inPort: "eth0", outPort: "eth1" },
    edits: { bridge: "drop1", inPort: "eth2", outPort: "eth3" },
    files: [bridgeRules],
    tamperings: [
      { story: "its rule is deleted", script: "nft flush chain bridge drawbridge OBJECT", names: [/^bridge 20 allow$/] },
    ],
  },
  {
    kind: "Deny",
    story: "of a bridge",
    args: { hook: "forward", bridge: "drop0", force: true, mac: ["02:00:5e:00:53:01"], inPort: "eth1" },
    edits: { bridge: "drop1", inPort: "eth2", outPort: "eth3" },
    files: [bridgeRules],
    tamperings: [
      { story: "its rule is deleted", script: "nft flush chain bridge drawbridge OBJECT", names: [/^bridge 20 deny$/] },
    ],
  },
  {
    kind: "Deny",
    args: { hook: "forward", from: ["192.0.2.66", "2001:db8:bad::/48"], protocol: "tcp", ports: [25], log: true, out: "eth0" },
    edits: {
      mode: "log",
      force: true,
      protocol: "udp",
      ports: [26],
      sourcePorts: [1000],
      from: ["192.0.2.67"],
      to: ["198.51.100.0/24", "2001:db8:1::/48"],
      in: "eth0",
      out: "eth1",
      mac: ["02:00:5e:00:53:01", "02:00:5e:00:53:02"],
      until: "2027-12-24T17:00:00Z",
      log: false,
      description: "a suspicious one",
    },
    files: [inetFile],
    tamperings: [
      {
        story: "its rules are deleted",
        script: "nft flush chain inet drawbridge OBJECT",
        names: [/^deny tcp 25 from 192\.0\.2\.66, 2001:db8:bad::\/48 out eth0$/],
      },
      { story: "the file is deleted", script: `rm ${inetFile}`, names: [/^file .*inet-drawbridge.*$/] },
    ],
  },
  {
    kind: "Deny",
    story: "of a service",
    args: { hook: "output", service: "smtp" },
    edits: { hook: "input", service: "dns" },
    files: [inetFile],
    tamperings: [{ story: "its rule is deleted", script: "nft flush chain inet drawbridge OBJECT", names: [/^inet 20 deny$/] }],
  },
  {
    kind: "Deny",
    story: "of ICMP",
    args: { hook: "input", protocol: "icmpv6", icmpTypes: [137] },
    edits: { icmpTypes: [137, 138] },
    files: [inetFile],
    tamperings: [{ story: "its rule is deleted", script: "nft flush chain inet drawbridge OBJECT", names: [/^inet 20 deny$/] }],
  },
  {
    kind: "GuardedFile",
    args: { path: "/usr/local/bin/guarded0", owner: "mybro", group: "spicegrp", mode: "0750" },
    apart: (n) => ({ path: `/usr/local/bin/guarded${n}` }),
    prepare: programs,
    edits: { path: "/usr/local/bin/guarded7", owner: "root", group: "plain", mode: "4710", dropSetuid: true },
    files: [guardFile],
    tamperings: [
      { story: "the mode", script: "chmod 4755 /usr/local/bin/guarded0", names: [/^12 mode$/] },
      { story: "the owner", script: "chown root /usr/local/bin/guarded0", names: [/^10 owner$/] },
      { story: "the group", script: "chgrp 4711 /usr/local/bin/guarded0", names: [/^11 group$/] },
      {
        story: "a package's upgrade would bring its own mode",
        script: "dpkg-statoverride --remove /usr/local/bin/guarded0",
        names: [/^20 override$/],
      },
      {
        story: "another override",
        script:
          "dpkg-statoverride --remove /usr/local/bin/guarded0; dpkg-statoverride --add root root 4755 /usr/local/bin/guarded0",
        names: [/^20 override$/],
      },
      {
        story: "another file in its place",
        script: "cp /usr/local/bin/guarded7 /usr/local/bin/guarded0.new; mv /usr/local/bin/guarded0.new /usr/local/bin/guarded0",
        names: [/^10 owner$/, /^11 group$/, /^12 mode$/],
      },
      { story: "the file of ours is deleted", script: `rm ${guardFile}`, names: [/^file .*files.*$/] },
      { story: "the file of ours is edited", script: `sed -i 's/mode 0750/mode 0755/' ${guardFile}`, names: [/^12 mode$/] },
    ],
  },
  {
    kind: "GuardedFile",
    story: "with content",
    args: { path: "/usr/local/bin/launch0", mode: "0755", content: "#!/bin/sh\nexec id -g\n" },
    apart: (n) => ({ path: `/usr/local/bin/launch${n}` }),
    edits: {
      path: "/usr/local/bin/launch7",
      owner: "mybro",
      group: "spicegrp",
      mode: "0700",
      content: "#!/bin/sh\n# without an end",
    },
    files: [guardFile],
    tamperings: [
      { story: "a line more", script: "echo id >>/usr/local/bin/launch0", names: [/^01 content$/] },
      { story: "it is deleted", script: "rm /usr/local/bin/launch0", names: [/^01 content$/, /^12 mode$/] },
      { story: "it can be written by others", script: "chmod 0777 /usr/local/bin/launch0", names: [/^12 mode$/] },
      { story: "the file of ours is edited", script: `sed -i 's/^|exec .*/|sh/' ${guardFile}`, names: [/^file .*: added #1$/] },
    ],
  },
  {
    kind: "IpsecPolicyDrop",
    args: { networks: ["10.77.0.0/16", "fd77::/64"] },
    edits: {
      networks: ["10.77.0.0/16", "fd78::/64"],
      direction: "out",
      interface: "eth0",
      exceptions: [{ cidr: "10.77.0.1", direction: "from" }],
      reqid: 7,
      localEndpoint: "198.51.100.1",
      remoteEndpoint: "203.0.113.1",
      mode: "log",
    },
    files: [inetFile],
    tamperings: [
      {
        story: "the pass is widened",
        script: `nft replace rule inet drawbridge OBJECT.out handle "$(${chain("inet", "18 out pass what the tunnel wraps", "OBJECT.out")})" return comment '"18 out pass what the tunnel wraps"'`,
        names: [/^inet 18 out pass what the tunnel wraps$/],
      },
      {
        story: "the jump of one direction is deleted",
        script: "nft flush chain inet drawbridge prerouting",
        names: [/^inet damaged: chain prerouting$/],
      },
      {
        story: "nft flush ruleset",
        script: `nft flush ruleset; ${foreignTable}`,
        names: [/^deny 10\.77\.0\.0\/16$/, /^deny fd77::\/64$/, /^common$/],
      },
      { story: "the file is deleted", script: `rm ${inetFile}`, names: [/^file .*inet-drawbridge.*$/] },
    ],
  },
  {
    kind: "LeakFence",
    args: {
      uplink: "eth0",
      networks: ["rfc1918", "ula"],
      exceptions: [{ cidr: "10.0.5.1/32", direction: "to", description: "the provider's time server" }],
    },
    edits: {
      uplink: "wan0",
      networks: ["rfc1918", "ula", "100.64.0.0/10"],
      exceptions: [{ cidr: "10.0.5.2", direction: "from" }],
      mode: "log",
      egress: false,
    },
    files: [inetFile, netdevFile],
    tamperings: [
      {
        story: "nft flush ruleset",
        script: `nft flush ruleset; ${foreignTable}`,
        names: [/^deny rfc1918$/, /^deny ula$/, /^common$/, /^inet damaged: chain postrouting$/],
      },
      {
        story: "a rule is deleted",
        script: `nft delete rule inet drawbridge OBJECT handle "$(${chain("inet", "20 deny to the IPv4 networks")})"`,
        names: [/^inet 20 deny to the IPv4 networks$/],
      },
      {
        story: "a rule is edited and keeps its comment",
        script: `nft replace rule netdev drawbridge OBJECT.from handle "$(${chain("netdev", "50 deny from the IPv4 networks", "OBJECT.from")})" ip saddr 10.255.0.0/16 drop comment '"50 deny from the IPv4 networks"'`,
        names: [/^netdev 50 deny from the IPv4 networks$/],
      },
      {
        story: "a network is taken out of a map",
        script: "nft delete element inet drawbridge OBJECT.to.ipv4 '{ 192.168.0.0/16 }'",
        names: [/^inet 20 deny to 192\.168\.0\.0\/16$/],
      },
      {
        story: "a network is counted by another one's counter",
        script:
          "nft delete element netdev drawbridge OBJECT.from.ipv4 '{ 10.0.0.0/8 }'; nft add element netdev drawbridge OBJECT.from.ipv4 '{ 10.0.0.0/8 : \"OBJECT.from.172.16.0.0/12\" }'",
        names: [/^netdev 50 deny from 10\.0\.0\.0\/8$/],
      },
      {
        story: "an exception is taken away and another one is slipped in",
        script:
          "nft delete element inet drawbridge OBJECT.except-to.ipv4 '{ 10.0.5.1 }'; nft add element inet drawbridge OBJECT.except-to.ipv4 '{ 10.0.5.9 }'",
        names: [/^inet 10 except to 10\.0\.5\.1$/, /^inet element ….except-to.ipv4 10\.0\.5\.9: not ours, in our set$/],
      },
      {
        story: "a foreign rule is inserted in our chain",
        script: "nft insert rule inet drawbridge OBJECT ip daddr 10.0.0.9 accept",
        names: [/^inet not ours, in our chain: #1$/],
      },
      {
        story: "the drop is turned into an accept",
        script: "nft flush chain inet drawbridge OBJECT.leak",
        names: [/^inet 91 drop leaks$/, /^inet 90 log leaks$/],
      },
      {
        story: "the jump of the skeleton is deleted",
        script: "nft flush chain inet drawbridge postrouting",
        names: [/^inet damaged: chain postrouting$/],
      },
      {
        story: "an element of the skeleton's map is deleted",
        script: `nft delete element inet drawbridge postrouting_oifname '{ "eth0" }'`,
        names: [/^inet damaged: map postrouting_oifname$/],
      },
      {
        story: "a chain is added to our table",
        script: `nft add chain inet drawbridge mine '{ type filter hook postrouting priority 0; }'`,
        names: [/^inet not ours, in our table: chain mine$/],
      },
      {
        story: "a table is put to sleep",
        script: "nft add table inet drawbridge '{ flags dormant; }'",
        names: [/^inet not ours, in our table: flags dormant$/],
      },
      {
        story: "what boot and udev call is deleted",
        script: "rm /etc/systemd/system/sysinit.target.wants/drawbridge.service /etc/udev/rules.d/90-drawbridge.rules",
        names: [
          /^damaged: \/etc\/systemd\/system\/sysinit\.target\.wants\/drawbridge\.service$/,
          /^damaged: .*90-drawbridge\.rules$/,
        ],
      },
      {
        story: "a file with our header is put beside ours, and loaded",
        script:
          "printf '# drawbridge 1\\n# attach postrouting eth0 evil\\nchain evil {\\n\\taccept\\n}\\n' >/etc/drawbridge/nft/inet-drawbridge/00-evil.nft; drawbridge-host load; rm /etc/drawbridge/nft/inet-drawbridge/00-evil.nft",
        names: [/^inet not ours, in our table: chain evil$/],
      },
      {
        story: "one table is deleted",
        script: "nft delete table netdev drawbridge",
        names: [/^netdev 20 deny to 10\.0\.0\.0\/8$/, /^netdev 91 drop leaks$/],
      },
      { story: "the file is deleted", script: `rm ${inetFile}`, names: [/^file .*inet-drawbridge.*$/] },
      {
        story: "the file is edited",
        script: `sed -i 's,ipv4 10.0.0.0/8,ipv4 10.1.0.0/16,' ${netdevFile}`,
        names: [/^file .*netdev.*: missing #1$/, /^file .*netdev.*: added #1$/],
      },
      {
        story: "file and kernel are edited alike, and the confirmed copy too",
        script: [`sed -i '/to.ipv4 172.16/d' ${inetFile} /var/lib/drawbridge/confirmed${inetFile}`, "drawbridge-host load"].join(
          "; ",
        ),
        names: [/^inet 20 deny to 172\.16\.0\.0\/12$/, /^file .*inet.*: missing #1$/],
      },
    ],
  },
  {
    kind: "OutputGuard",
    args: { ports: ["20001-20010"], addresses: ["192.0.2.2", "2001:db8:5::2"] },
    edits: {
      ports: ["20001-20011"],
      protocol: "udp",
      addresses: ["192.0.2.2"],
      root: "drop",
      openConnections: "keep",
      mode: "log",
    },
    files: [inetFile],
    tamperings: [
      {
        story: "root's neighbour is let through",
        script: `nft replace rule inet drawbridge OBJECT.asked handle "$(${chain("inet", "42 pass root", "OBJECT.asked")})" meta skuid 0-4000 return comment '"42 pass root"'`,
        names: [/^inet 42 pass root$/],
      },
      {
        story: "somebody gives himself an element",
        script: "nft add element inet drawbridge users '{ 4242 : accept }'",
        names: [/^inet damaged: map users$/],
      },
      {
        story: "its jump is deleted",
        script: "nft flush chain inet drawbridge output",
        names: [/^inet damaged: chain output$/],
      },
      { story: "the file is deleted", script: `rm ${inetFile}`, names: [/^file .*inet-drawbridge.*$/] },
    ],
  },
  {
    kind: "SudoRule",
    args: {
      users: ["myself"],
      runAsUser: "myself",
      runAsGroup: "spicegrp",
      commands: [{ path: "/usr/bin/id", args: ["-u"] }],
      commandDefaults: { env_keep: ["DISPLAY"] },
    },
    edits: {
      users: ["mybro"],
      groups: ["spicegrp"],
      runAsUser: "mybro",
      runAsGroup: "deploy",
      commands: [{ path: "/usr/bin/id", args: ["-g"] }],
      nopasswd: true,
      noexec: true,
      setenv: true,
      commandDefaults: { env_keep: ["DISPLAY", "LANG"] },
    },
    files: [sudoersFile],
    tamperings: [
      {
        story: "the file is edited",
        script: `sed -i 's/id -u/id -g/' ${sudoersFile}`,
        names: [/^50 allow 001 \/usr\/bin\/id$/, /^file .*: added #1$/],
      },
      { story: "a line is added", script: `echo 'mybro ALL=(ALL) ALL' >>${sudoersFile}`, names: [/^file .*: added #1$/] },
      {
        story: "a line is deleted",
        script: `sed -i '/^Defaults/d' ${sudoersFile}`,
        names: [/^10 defaults \/usr\/bin\/id env_keep$/],
      },
      { story: "its mode is changed", script: `chmod 0666 ${sudoersFile}`, names: [/^file .*: mode$/] },
      { story: "its owner is changed", script: `chown myself ${sudoersFile}`, names: [/^file .*: owner$/] },
      {
        story: "it becomes a link",
        script: `cp ${sudoersFile} /root/copy; ln -sf /root/copy ${sudoersFile}`,
        names: [/^file .*$/],
      },
      {
        story: "another file overrides it",
        script: `echo 'myself ALL=(ALL:ALL) !/usr/bin/id' >/etc/sudoers.d/zz-other; chmod 440 /etc/sudoers.d/zz-other`,
        names: [/^overridden: myself: \/usr\/bin\/id -u$/],
      },
    ],
  },
  {
    kind: "SystemGroup",
    args: { name: "viewers0", members: ["myself", "mybro"] },
    apart: (n) => ({ name: `viewers${n}` }),
    // The first number that groupadd gives; another one than it has is refused.
    prepare: "sed -i -E 's/^#?(SYS_GID_MAX).*/\\1 779/' /etc/login.defs",
    edits: { name: "spectators", gid: 779, members: ["mybro", "plain"], exclusive: true },
    files: [groupFile],
    tamperings: [
      // The last one, so that it comes back in its place; test/lab/system-group.test.ts has the rest.
      { story: "a member is taken out", script: "gpasswd -d mybro viewers0", names: [/^10 member mybro$/] },
      { story: "the file is deleted", script: `rm ${groupFile}`, names: [/^file .*groups.*$/] },
      { story: "the file is edited", script: `sed -i '/mybro/d' ${groupFile}`, names: [/^10 member mybro$/] },
    ],
  },
  {
    kind: "UserOutputChain",
    args: {
      user: "myself",
      allow: [{ to: "192.0.2.2", ports: [20002], when: { days: ["Monday", "Tuesday"], hours: "08:00-17:00" } }],
    },
    edits: {
      user: "mybro",
      allow: [{ to: "192.0.2.2", ports: [20004], out: "eth0" }],
      utcOffset: "+01:00",
    },
    files: [inetFile],
    tamperings: [
      {
        story: "the hours are widened",
        script: `nft replace rule inet drawbridge OBJECT handle "$(${chain("inet", "20 allow 001")})" ip daddr 192.0.2.2 tcp dport 20002 accept comment '"20 allow 001 tcp 20002 on 192.0.2.2"'`,
        names: [/^inet 20 allow 001 tcp 20002 on 192\.0\.2\.2$/],
      },
      { story: "the file is deleted", script: `rm ${inetFile}`, names: [/^file .*inet-drawbridge.*$/] },
    ],
  },
  {
    kind: "UserOutputChain",
    story: "of a group",
    args: { group: "spicegrp", allow: [{ to: "192.0.2.2", ports: [20002] }] },
    edits: { group: "deploy", allow: [{ to: "192.0.2.2", ports: [20003] }] },
    files: [inetFile],
    tamperings: [
      {
        story: "its element is deleted",
        script: "nft flush map inet drawbridge groups",
        names: [/^inet damaged: map groups$/],
      },
    ],
  },
];

/** With the title of its tests. */
export const titled = samples.map((sample) => ({
  ...sample,
  title: `${sample.kind} ${sample.story ?? ""}`.trim(),
}));

const isOfRules = ({ kind }: Sample) => kinds.get(kind)?.domain === "nft";
/** Two halves, so that two workers share them. */
export const ofRules = titled.filter(isOfRules);
export const ofThings = titled.filter((sample) => !isOfRules(sample));

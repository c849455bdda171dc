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
  readonly args: Props;
  /** For every key of the kind's schema another valid value. */
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

const inetFile = "/etc/drawbridge/nft/inet-drawbridge/50-OBJECT.nft";
const netdevFile = "/etc/drawbridge/nft/netdev-drawbridge/50-OBJECT.nft";
const sudoersFile = "/etc/sudoers.d/drawbridge-OBJECT";

/** By kind; a kind without a sample breaks no law, so the suite wants one for each. */
export const samples: Readonly<Record<string, Sample>> = {
  LeakFence: {
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
        names: [/^inet 20 deny to 10\.0\.0\.0\/8$/, /^netdev 91 drop leaks$/, /^inet damaged: chain postrouting$/],
      },
      {
        story: "a rule is deleted",
        script: `nft delete rule inet drawbridge OBJECT handle "$(${chain("inet", "20 deny to 192.168.0.0/16")})"`,
        names: [/^inet 20 deny to 192\.168\.0\.0\/16$/],
      },
      {
        story: "a rule is edited and keeps its comment",
        script: `nft replace rule netdev drawbridge OBJECT.from handle "$(${chain("netdev", "50 deny from 10.0.0.0/8", "OBJECT.from")})" ip saddr 10.255.0.0/16 drop comment '"50 deny from 10.0.0.0/8"'`,
        names: [/^netdev 50 deny from 10\.0\.0\.0\/8$/],
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
        names: [/^netdev 20 deny to 10\.0\.0\.0\/8$/],
      },
      { story: "the file is deleted", script: `rm ${inetFile}`, names: [/^file .*inet-drawbridge.*$/] },
      {
        story: "the file is edited",
        script: `sed -i 's,daddr 10.0.0.0/8,daddr 10.1.0.0/16,' ${netdevFile}`,
        names: [/^file .*netdev.*: missing #1$/, /^file .*netdev.*: added #1$/],
      },
      {
        story: "file and kernel are edited alike, and the confirmed copy too",
        script: [`sed -i '/deny to 172.16/d' ${inetFile} /var/lib/drawbridge/confirmed${inetFile}`, "drawbridge-host load"].join(
          "; ",
        ),
        names: [/^inet 20 deny to 172\.16\.0\.0\/12$/, /^file .*inet.*: missing #1$/],
      },
    ],
  },
  SudoRule: {
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
};

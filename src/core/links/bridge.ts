import { z } from "zod";
import type { Drift } from "../files/drift";
import { type FileHeader, type HostFile, renderHeader } from "../files/host-file";
import { renderSetting } from "../files/settings";
import type { HostFacts, HostSurvey } from "../files/snapshot";
import { adopt } from "../values/connection";
import { macAddress } from "../values/mac";
import { interfaceName } from "../values/names";
import { contains, formatInterfaceAddress, interfaceAddress, networkOf, parseAddress, singleAddress } from "../values/prefix";
import type { Awaited } from "./awaited";
import { ifupdownLines, networkdLines } from "./host-configuration";
import { isGlobal, refusePort } from "./port";
import type { LinkAttribute } from "./attributes";
import type { LinkSetting } from "./settings";

const seconds = (min: number, max: number) =>
  z.number().int("must be whole seconds").min(min, `must be at least ${min}`).max(max, `must be at most ${max}`).optional();

/** Bridge's own arguments; see the class for their meaning. */
export const bridge = z.strictObject({
  name: interfaceName,
  uplink: interfaceName.optional(),
  moveAddresses: z.boolean().optional(),
  stp: z.boolean().optional(),
  forwardDelaySeconds: seconds(0, 30),
  helloTimeSeconds: seconds(1, 10),
  maxAgeSeconds: seconds(6, 40),
  ageingTimeSeconds: seconds(0, 1_000_000),
  priority: z
    .number()
    .int("must be a whole number")
    .min(0, "must be at least 0")
    .max(65535, "must be at most 65535: 65536 would silently become 0")
    .optional(),
  mac: macAddress.optional(),
  vlanFiltering: z.boolean().optional(),
  addresses: z.array(interfaceAddress).optional(),
  gateway: singleAddress(4).optional(),
  gateway6: singleAddress(6).optional(),
  adopt,
});
export type BridgeIntent = z.infer<typeof bridge>;

/** Who configures the host's addresses, where we can write for it. */
type NetworkConfiguration = "ifupdown" | "systemd-networkd";

/** What no single argument can tell. */
export function reviewBridge(intent: BridgeIntent): { property: string; reason: string }[] {
  const { stp, forwardDelaySeconds, addresses = [], gateway, gateway6, name, uplink } = intent;
  const problems: { property: string; reason: string }[] = [];
  if (stp === true && forwardDelaySeconds !== undefined && forwardDelaySeconds < 2)
    problems.push({ property: "forwardDelaySeconds", reason: "must be at least 2 with `stp: true`; the kernel refuses less" });
  if (uplink === name) problems.push({ property: "uplink", reason: "is the bridge itself" });
  if (intent.moveAddresses === true) problems.push(...reviewMove(intent));
  for (const [property, next] of [
    ["gateway", gateway],
    ["gateway6", gateway6],
  ] as const) {
    const hop = next === undefined ? undefined : parseAddress(next);
    if (!hop || (hop.bits === 128 && next?.toLowerCase().startsWith("fe80:"))) continue;
    if (!addresses.some((address) => contains(networkOf(address), hop)))
      problems.push({ property, reason: `${next} is in no network of \`addresses\`, so that the host could not reach it` });
  }
  const texts = addresses.map(formatInterfaceAddress);
  texts.forEach((text, index) => {
    if (texts.indexOf(text) < index) problems.push({ property: `addresses[${index}]`, reason: `${text} is there twice` });
  });
  return problems;
}

/** What does not go together with addresses that the bridge takes over as they are. */
function reviewMove(intent: BridgeIntent): { property: string; reason: string }[] {
  const said = (["addresses", "gateway", "gateway6"] as const).filter((property) => intent[property] !== undefined);
  return [
    ...(intent.uplink === undefined
      ? [{ property: "moveAddresses", reason: "needs `uplink`: the interface whose addresses are to move" }]
      : []),
    ...said.map((property) => ({
      property,
      reason: "the bridge takes over what the uplink has (`moveAddresses`); leave one of the two out",
    })),
    ...(intent.stp === true
      ? [
          {
            property: "stp",
            reason:
              "with `moveAddresses` the host itself would be silent for twice `forwardDelaySeconds` after each start of the uplink; leave it out",
          },
        ]
      : []),
    ...(intent.adopt === true
      ? [{ property: "adopt", reason: "with `moveAddresses` the bridge must be a new one; give it a name that is free" }]
      : []),
  ];
}

/**
 * What the bridge holds. Without addresses of its own it does not speak for the host: by default Linux answers ARP requests for
 * any of the host's addresses on every interface (ip-sysctl, arp_ignore), and gives every interface an IPv6 link-local address.
 */
export function compileBridge(intent: BridgeIntent): LinkSetting[] {
  const { name: subject, addresses, uplink } = intent;
  const setting = (id: string, attribute: LinkAttribute, value: string | undefined): LinkSetting[] =>
    value === undefined ? [] : [{ id: `${id} ${attribute}`, kind: "link", subject, attribute, value }];
  const centiseconds = (value: number | undefined) => (value === undefined ? undefined : String(value * 100));
  const flag = (value: boolean | undefined) => (value === undefined ? undefined : value ? "1" : "0");
  const moves = intent.moveAddresses === true && uplink !== undefined;
  const stp = setting("10", "stp_state", flag(intent.stp ?? (moves ? false : undefined)));
  const times = [
    ...setting("11", "forward_delay", centiseconds(intent.forwardDelaySeconds)),
    ...setting("12", "hello_time", centiseconds(intent.helloTimeSeconds)),
    ...setting("13", "max_age", centiseconds(intent.maxAgeSeconds)),
  ];
  const isMute = !moves && (addresses?.length === 0 || (addresses === undefined && intent.adopt !== true));
  const list = addresses?.map(formatInterfaceAddress).sort().join(",");
  return [
    ...setting("01", "is", "bridge"),
    // The kernel refuses a delay below two seconds while STP is on.
    ...(intent.stp === true ? [...times, ...stp] : [...stp, ...times]),
    ...setting("14", "ageing_time", centiseconds(intent.ageingTimeSeconds)),
    ...setting("15", "priority", intent.priority === undefined ? undefined : String(intent.priority)),
    ...setting("16", "vlan_filtering", flag(intent.vlanFiltering)),
    ...setting("17", "address", intent.mac?.toLowerCase()),
    // Leases, neighbours and switches know the host by this one.
    ...setting("17", "address_of", moves && intent.mac === undefined ? uplink : undefined),
    ...setting("20", "arp_ignore", isMute ? "1" : undefined),
    ...setting("21", "disable_ipv6", isMute ? "1" : list?.includes(":") ? "0" : undefined),
    ...setting("30", "up", "1"),
    ...setting("31", "addresses", isMute ? "none" : list),
    ...setting("32", "gateway", intent.gateway),
    ...setting("33", "gateway6", intent.gateway6),
    ...(uplink === undefined
      ? []
      : [
          { id: "40 uplink", kind: "link", subject: uplink, attribute: "master", value: subject } as const,
          { id: "41 uplink up", kind: "link", subject: uplink, attribute: "up", value: "1" } as const,
        ]),
    // The kernel first, then what boot makes of it: a configuration that is read again finds everything in its place.
    ...setting("42", "carries", moves ? uplink : undefined),
    ...setting("43", "configured_as", moves ? uplink : undefined),
  ];
}

const linksPath = (object: string) => `/etc/drawbridge/links/10-${object}`;
const ifupdownPath = (object: string) => `/etc/network/interfaces.d/drawbridge-${object}`;
const networkdPath = (object: string, kind: string) => `/etc/systemd/network/05-drawbridge-${object}${kind}`;

/** Where the files of any intent may stand. */
export function bridgePaths(object: string): string[] {
  const networkd = [".netdev", ".network", "-uplink.network"].map((kind) => networkdPath(object, kind));
  return [linksPath(object), ifupdownPath(object), ...networkd];
}

/**
 * One place: a bridge with addresses stands in the host's own network configuration, so that its tools know it; one without in
 * links/, which our loader reads at boot.
 */
export function renderBridge(header: FileHeader, intent: BridgeIntent, network: string): HostFile[] {
  const settings = compileBridge(intent).map(renderSetting);
  const file = (path: string, lines: readonly string[]): HostFile => ({
    path,
    text: `${[...renderHeader(header), ...lines].join("\n")}\n`,
    mode: "0644",
  });
  if (!isConfigured(intent)) return [file(linksPath(header.object), settings)];
  const comments = settings.map((line) => `# ${line}`);
  if (network !== "systemd-networkd")
    return [file(ifupdownPath(header.object), [...comments, ...ifupdownLines(intent, compileBridge(intent))])];
  const [netdev, ...networks] = networkdLines(intent);
  return [
    file(networkdPath(header.object, ".netdev"), [...comments, ...netdev]),
    ...networks.map((lines, index) => file(networkdPath(header.object, index === 0 ? ".network" : "-uplink.network"), lines)),
  ];
}

const isConfigured = ({ addresses = [] }: BridgeIntent) => addresses.length > 0;

/** Why this host would make the bridge useless or dangerous. */
export function refuseBridge(intent: BridgeIntent, { facts }: HostSurvey): { property: string; reason: string }[] {
  const { name, uplink } = intent;
  const moves = intent.moveAddresses === true;
  const problems = uplink === undefined ? [] : refusePort("uplink", uplink, name, facts, moves);
  const carried = facts.live.get(`${name} carries`)?.split(":")[0];
  if (!moves && carried === uplink && uplink !== undefined && facts.links.get(name)?.addresses.some(isGlobal) === true)
    problems.push({
      property: "moveAddresses",
      reason: `${name} carries the addresses of ${uplink}, which could not use them as a port of ${name}; leave \`uplink\` out as well, and ${uplink} gets them back`,
    });
  const place = facts.configured.get(name);
  if (place !== undefined && (isConfigured(intent) || intent.adopt !== true))
    problems.push({
      property: isConfigured(intent) ? "addresses" : "name",
      reason: `${name} is configured in ${place}; with \`adopt: true\` and without \`addresses\` that stays its one place`,
    });
  for (const [property, gateway, version] of [
    ["gateway", intent.gateway, 4],
    ["gateway6", intent.gateway6, 6],
  ] as const) {
    const other = facts.defaultRoutes.find((route) => route.version === version && route.device !== name);
    if (gateway === undefined || !other) continue;
    const reason = `the host has another default route already, via ${other.gateway} by ${other.device}; leave it out, or take that one away first`;
    problems.push({ property, reason });
  }
  if (isConfigured(intent) && facts.network !== "ifupdown" && facts.network !== "systemd-networkd")
    problems.push({ property: "addresses", reason: noConfiguration(facts.network) });
  return problems;
}

function noConfiguration(network: string): string {
  return network === "NetworkManager"
    ? "this host's addresses are configured by NetworkManager, which is not supported yet; leave `addresses` and `gateway` out, and give them to the bridge there"
    : "this host has neither systemd-networkd enabled nor ifupdown with a line `source /etc/network/interfaces.d/*` in /etc/network/interfaces, so that addresses would not survive a reboot; leave `addresses` and `gateway` out, or install one of them";
}

export const awaitedByBridge = ({ name, uplink }: BridgeIntent): Awaited[] =>
  uplink === undefined ? [] : [{ property: "uplink", what: "interface", name: uplink, until: `${name} goes without it` }];

/** What the user may want to know of a bridge that stands. */
export function noteBridge(object: string, intent: BridgeIntent, { network }: HostFacts): string | undefined {
  if (intent.moveAddresses === true && intent.uplink !== undefined)
    return `it has the addresses and routes of ${intent.uplink}, now and after a reboot`;
  if (!isConfigured(intent)) return undefined;
  const place: Record<NetworkConfiguration, string> = {
    ifupdown: ifupdownPath(object),
    "systemd-networkd": networkdPath(object, ".network"),
  };
  return network === "ifupdown" || network === "systemd-networkd"
    ? `its addresses persist in ${place[network]} (${network})`
    : undefined;
}

/** The lines of the host's own network configuration that are not as the move made them, as those of our own files. */
export function compareConfiguration({ name: bridge }: BridgeIntent, { configuration }: HostFacts): Drift {
  const drift = new Map<string, string>();
  const numbers = new Map<string, number>();
  for (const { path, is, line } of configuration.get(bridge) ?? []) {
    if (is === "gone") drift.set(`file ${path}`, "missing");
    else if (is === "order") drift.set(`file ${path}`, "lines in another order, or repeated");
    else {
      const id = `file ${path}: ${is === "uplink" ? "names the uplink" : is}`;
      const number = (numbers.get(id) ?? 0) + 1;
      numbers.set(id, number);
      drift.set(`${id} #${number}`, line.trim());
    }
  }
  return drift;
}

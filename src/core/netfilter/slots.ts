/**
 * Where rules stand. `ip`: packets of the IP layer, routed or the host's own. `bridge`: frames that leave through a port of a
 * bridge. `device`: everything that is handed to a device for sending, raw frames included.
 */
export type Layer = "ip" | "bridge" | "device";

/**
 * The parts of a slot that judges, in the order in which a packet meets them, whichever resource was applied first: what is denied is
 * denied before anything accepts, and only what nobody has accepted is dropped in the end. `ending`: allows with which their connections end; behind all others, so that
 * such a connection is one that nobody else allows.
 */
export const PHASES = ["deny", "established", "guest", "border", "host", "ending", "final"] as const;
export type Phase = (typeof PHASES)[number];

/** Phases that make the base chain of their slot stand. Where nothing is denied there is nothing to allow, so allows alone wait. */
export const JUDGING_PHASES: readonly Phase[] = ["deny", "final"];

/**
 * What a host does where the table does not load. `forward-out`: what is forwarded out of the attached devices is dropped.
 * `default-drop`: at the hook only what the fragment lets pass passes (`Fragment.failClosed`), and nothing where it says nothing.
 * `as-declared`: what the fragment says is dropped. `none`: nothing stands in its place, for without the table nobody asks it.
 * What a fragment says is dropped in every case.
 */
export type FailClosed = "forward-out" | "default-drop" | "as-declared" | "none";

/** How a slot tells packets apart: by the device they come or go by, in a base chain of each device, by who has sent them, or not at all but by phase. */
export type SlotKey = "iifname" | "oifname" | "device" | "uid" | "gid" | "phase";

/** A place in a table where rules of resources may stand. */
export interface Slot {
  readonly layer: Layer;
  /** The name in `# attach SLOT KEY CHAIN`, and of the base chain. Stands on hosts. */
  readonly name: string;
  /** netfilter's hook. Absent: rules of ours ask the slot by a map of its name. */
  readonly hook?: string;
  /** After everybody else, where it is late: past what NAT has made of packets. */
  readonly priority?: number;
  readonly by: SlotKey;
  /** There is one for the frames of each bridge, which attachments call NAME/BRIDGE. */
  readonly perBridge?: true;
  readonly failClosed: FailClosed;
}

/** All slots. What others ask comes before who asks. The build renders them into the host's table-maker (src/host/program/table.awk). */
export const SLOTS = [
  { layer: "ip", name: "users", by: "uid", failClosed: "none" },
  { layer: "ip", name: "groups", by: "gid", failClosed: "none" },
  { layer: "ip", name: "drop.input", hook: "input", priority: -1, by: "phase", failClosed: "default-drop" },
  { layer: "ip", name: "drop.forward", hook: "forward", priority: -1, by: "phase", failClosed: "default-drop" },
  { layer: "ip", name: "drop.output", hook: "output", priority: -1, by: "phase", failClosed: "default-drop" },
  { layer: "ip", name: "prerouting", hook: "prerouting", priority: -140, by: "iifname", failClosed: "as-declared" },
  { layer: "ip", name: "output", hook: "output", priority: 10, by: "oifname", failClosed: "as-declared" },
  { layer: "ip", name: "postrouting", hook: "postrouting", priority: 110, by: "oifname", failClosed: "forward-out" },
  // Frames of one bridge, before br_netfilter hands them to the IP layer.
  {
    layer: "bridge",
    name: "drop.forward",
    hook: "forward",
    priority: -20,
    by: "phase",
    perBridge: true,
    failClosed: "default-drop",
  },
  // Before and behind the place, -1, where br_netfilter hands what is bridged to the IP layer.
  { layer: "bridge", name: "forward.begin", hook: "forward", priority: -10, by: "oifname", failClosed: "none" },
  { layer: "bridge", name: "forward.end", hook: "forward", priority: 10, by: "oifname", failClosed: "none" },
  { layer: "bridge", name: "postrouting", hook: "postrouting", priority: 310, by: "oifname", failClosed: "forward-out" },
  { layer: "device", name: "egress", hook: "egress", priority: 0, by: "device", failClosed: "forward-out" },
] as const satisfies readonly Slot[];

type PlainName = (typeof SLOTS)[number]["name"];
export type SlotName = PlainName | `drop.forward/${string}`;

/** A bridge's own part of a slot that each bridge has one of. */
export const slotOfBridge = (bridge: string): SlotName => `drop.forward/${bridge}`;

/** The slot of a layer. @throws Error where the layer has none of this name: a fault of the kind that attaches there */
export function slotOf(layer: Layer, name: SlotName): Slot {
  const [plain, bridge] = name.split("/");
  const slot = SLOTS.find(
    (one: Slot) => one.layer === layer && one.name === plain && (one.perBridge ?? false) === (bridge !== undefined),
  );
  if (!slot) throw new Error(`the layer ${layer} has no slot ${name}`);
  return slot;
}

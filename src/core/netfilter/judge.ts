import { contains, parsePrefix, type Prefix } from "../values/prefix";
import { holdsFor } from "./matches";
import { all, type Answer } from "./matches/answer";
import { usesDevice } from "./matches/interface";
import type { Sets } from "./matches/spec";
import type { Attachment, Fragment, Rule } from "./model";
import { usesOfSets } from "./nft";
import type { Packet } from "./packet";
import { JUDGING_PHASES, PHASES, type Slot, SLOTS } from "./slots";

/** What a packet meets, without asking any host. Where something cannot be known and would matter, the answer is "unknown", never a guess. */

/** What one resource adds. */
export interface Compiled {
  readonly object: string;
  readonly fragments: readonly Fragment[];
}

export interface Judgement {
  readonly verdict: "accept" | "drop" | "reject" | "unknown";
  /** The rule that says so, and whose it is; absent where no rule says anything, and where it is not known. */
  readonly rule?: { readonly object: string; readonly id: string };
}

/**
 * What becomes of a packet in the rules of these resources at the hooks of the IP layer; "accept": they let it pass, whatever others' rules do.
 * @param others which resources there may be beside them: none, or some that nobody knows here, which may declare sets and fill them
 */
export function judge(compiled: readonly Compiled[], packet: Packet, others: "none" | "unknown" = "none"): Judgement {
  const resources = compiled.map(({ object, fragments }) => ({
    object,
    fragments: fragments.filter(({ layer }) => layer === "ip"),
  }));
  const sets: Known = { ...setsOf(resources, others), asked: (map, asking) => askedOf(map, resources, asking, sets, others) };
  const slots = SLOTS.filter((slot: Slot) => slot.layer === "ip" && slot.hook === packet.hook);
  let judged: Judgement = PASSES;
  // Who is accepted in one slot is judged in the next one, too; who is dropped is not.
  for (const slot of slots.toSorted((a: Slot, b: Slot) => (a.priority ?? 0) - (b.priority ?? 0))) {
    const next = judgeSlot(slot, resources, packet, sets);
    if (next.verdict === "drop" || next.verdict === "reject") return next;
    if (next.verdict === "unknown") judged = next;
    else if (judged.verdict === "accept" && next.rule) judged = next;
  }
  return judged;
}

const PASSES: Judgement = { verdict: "accept" };

/** A packet's way through rules. */
interface Way {
  /** Where it may have ended. */
  readonly ends: readonly Judgement[];
  /** What is known of it where it goes on; absent: it has surely ended. */
  readonly on?: Packet;
}

/** What is known beside the packet: who is in sets, and what may become of it in the chains of its user or group. */
interface Known extends Sets {
  asked(map: "users" | "groups", packet: Packet): readonly Judgement[];
}

/** Only the host knows whose number it is that has sent the packet, so that whatever any of these chains does with it may happen. */
function askedOf(
  map: "users" | "groups",
  resources: readonly Compiled[],
  packet: Packet,
  sets: Known,
  others: "none" | "unknown",
): Judgement[] {
  if (packet.uid === "nobody") return [];
  const ends = resources.flatMap((from) =>
    from.fragments.flatMap(({ attachments }) =>
      attachments.flatMap(({ to, chain }) => (to === map ? throughRules(from, rulesOf(from, chain), packet, sets).ends : [])),
    ),
  );
  return [...ends, ...(others === "unknown" ? [{ verdict: "unknown" } as const] : [])];
}

function judgeSlot(slot: Slot, resources: readonly Compiled[], packet: Packet, sets: Known): Judgement {
  const ends: Judgement[] = [];
  let on: Packet | undefined = packet;
  for (const { from, rules, asked } of attachedTo(slot, resources, packet, sets)) {
    const way: Way = throughRules(from, rules, on, sets);
    ends.push(...way.ends);
    if (asked) on = way.on;
    // Perhaps nobody has asked the chain.
    else if (way.on !== on) on = forgetting(on);
    if (on === undefined) return together(ends);
  }
  return together([...ends, PASSES]);
}

/** All are possible. The last is what becomes of the packet where nothing holds that is not known to hold. */
function together(ends: readonly Judgement[]): Judgement {
  const last = ends.at(-1) ?? PASSES;
  return ends.every(({ verdict }) => verdict === last.verdict) ? last : { verdict: "unknown" };
}

interface Attached {
  readonly from: Compiled;
  readonly rules: readonly Rule[];
  /** Whether the packet gets there. */
  readonly asked: Answer;
}

/** The chains that a slot asks of the packet, in its order. */
function attachedTo(slot: Slot, resources: readonly Compiled[], packet: Packet, sets: Sets): Attached[] {
  const attached = resources.flatMap((from) =>
    from.fragments.flatMap((fragment) =>
      fragment.attachments.flatMap((attachment) => (attachment.to === slot.name ? [{ from, fragment, attachment }] : [])),
    ),
  );
  if (slot.by === "phase") {
    const ofPhase = (phase: string) => attached.filter(({ attachment: { key } }) => key === phase);
    // Where nothing is denied there is nothing to allow.
    if (!JUDGING_PHASES.some((phase) => ofPhase(phase).length > 0)) return [];
    return PHASES.flatMap((phase): Attached[] => [
      ...resources.map((from) => ({ from, rules: passagesOf(from, slot, phase), asked: true as const })),
      ...ofPhase(phase).map(({ from, fragment, attachment }) => ({
        from,
        rules: rulesOf(from, attachment.chain),
        asked: isStopgap(fragment, resources) ? isAskedByStopgaps(packet, resources, sets) : true,
      })),
    ]).filter(({ asked }) => asked !== false);
  }
  const direction = slot.by === "iifname" ? "in" : "out";
  return (
    attached
      // What is for one device is asked before what is for all.
      .toSorted((a, b) => Number(isForAll(a.attachment)) - Number(isForAll(b.attachment)))
      .map((one) => {
        const { key = "*" } = one.attachment;
        return {
          from: one.from,
          rules: rulesOf(one.from, one.attachment.chain),
          asked: isForAll(one.attachment) ? true : usesDevice(packet, direction, key),
        };
      })
      .filter(({ asked }) => asked !== false)
  );
}

/** Whether a deny holds for everybody, because nobody declares its set. */
const isStopgap = (fragment: Fragment, resources: readonly Compiled[]) =>
  usesOfSets(fragment).some(
    ({ set, whenMissing }) =>
      whenMissing === "all" &&
      !resources.some(({ fragments }) => fragments.some(({ sets = [] }) => sets.some(({ name }) => name === set))),
  );

/** Whether such a deny is asked of the packet: not of what passes where the table does not load. */
function isAskedByStopgaps(packet: Packet, resources: readonly Compiled[], sets: Sets): Answer {
  const answers = resources
    .flatMap(({ fragments }) => fragments.flatMap(({ failClosed = [] }) => failClosed))
    .filter(({ hook, verdict, matches }) => hook === packet.hook && verdict === "pass" && matches.length > 0)
    .map(({ matches }) => all(...matches.map((match) => holdsFor(match, packet, sets))));
  if (answers.includes(true)) return false;
  return answers.includes(undefined) ? undefined : true;
}

const isForAll = ({ key = "*" }: Attachment) => key === "*";

/** What of a resource passes in a phase by maps, as the rules that it stands for. */
const passagesOf = (from: Compiled, { name }: Slot, phase: string): Rule[] =>
  from.fragments
    .flatMap(({ passages = [] }) => passages)
    .flatMap((one) => (one.to === name && one.key === phase ? [{ ...one, verdict: { is: "accept" } as const }] : []));

function rulesOf(from: Compiled, name: string): readonly Rule[] {
  const chain = from.fragments.flatMap(({ chains }) => chains).find((one) => one.name === name);
  if (!chain) throw new Error(`${from.object} has no chain ${name}`);
  return chain.rules;
}

function throughRules(from: Compiled, rules: readonly Rule[], packet: Packet, sets: Known): Way {
  const ends: Judgement[] = [];
  let now = packet;
  // It may have gone back to whoever asked this chain, by a rule of which it is not known whether it holds.
  let mayBeBack = false;
  const ended = (): Way => ({ ends, ...(mayBeBack ? { on: now } : {}) });
  for (const { id, matches, verdict } of rules) {
    const holds = all(...matches.map((match) => holdsFor(match, now, sets)));
    if (holds === false) continue;
    switch (verdict.is) {
      case "log":
      case "mark-bridged":
      case "unmark-bridged":
        break;
      case "remember":
        now = holds && !mayBeBack ? { ...now, remembered: { ...now.remembered, [verdict.label]: true } } : forgetting(now);
        break;
      case "return":
        if (holds) return { ends, on: now };
        mayBeBack = true;
        break;
      case "goto": {
        // A chain that ends does not come back here, but to whoever asked this one.
        const way = throughRules(from, rulesOf(from, verdict.chain), now, sets);
        ends.push(...way.ends);
        if (holds) {
          if (way.on) return { ends, on: mayBeBack && way.on !== now ? forgetting(now) : way.on };
          return ended();
        }
        mayBeBack ||= way.on !== undefined;
        if (way.on !== undefined && way.on !== now) now = forgetting(now);
        break;
      }
      case "ask":
        ends.push(...sets.asked(verdict.map, now));
        break;
      default:
        ends.push({ verdict: verdict.is, rule: { object: from.object, id } });
        if (holds) return ended();
    }
  }
  return { ends, on: now };
}

/** The packet, where rules may have remembered something of its connection or not. */
const forgetting = (packet: Packet): Packet => ({ ...packet, remembered: undefined });

/** Who is in the sets that these resources declare; elements of a set that nobody declares wait. */
function setsOf(resources: readonly Compiled[], others: "none" | "unknown"): Sets {
  const fragments = resources.flatMap((one) => one.fragments);
  const declared = new Set(fragments.flatMap(({ sets = [] }) => sets.map(({ name }) => name)));
  const given = new Map<string, string[]>();
  for (const { set, element } of fragments.flatMap(({ elements = [] }) => elements)) {
    const known = given.get(set);
    if (known) known.push(element);
    else given.set(set, [element]);
  }
  // Read where a packet is asked about: a set may be long.
  const read = new Map<string, readonly Prefix[]>();
  const membersOf = (set: string) => {
    const known = read.get(set) ?? (given.get(set) ?? []).map(parsePrefix).filter((one) => typeof one !== "string");
    read.set(set, known);
    return known;
  };
  return {
    has: (set, address, whenMissing) => {
      if (declared.has(set) && membersOf(set).some((member) => contains(member, address))) return true;
      // A set that rules of others name, too, has what others give it.
      if (whenMissing !== undefined && others === "unknown") return undefined;
      if (declared.has(set)) return false;
      return whenMissing === undefined ? undefined : whenMissing === "all";
    },
  };
}

import type { z } from "zod";
import type { FileHeader, HostFile } from "../core/files/host-file";
import type { Domain, HostFacts, HostSnapshot, HostSurvey } from "../core/files/snapshot";
import type { Drift, Line } from "../core/files/drift";
import type { Awaited } from "../core/links/awaited";
import type { Compiled } from "../core/netfilter/judge";
import type { Fragment } from "../core/netfilter/model";
import type { Wanted } from "../core/netfilter/wanted-allows";
import type { Props } from "./wire";

/** Why an argument cannot be: one entry of Pulumi's check failures. */
export interface Problem {
  readonly property: string;
  readonly reason: string;
}

/** How a kind is wired. Everything here is pure; the one lifecycle does the rest. */
export interface KindSpec<Intent> {
  /** Frozen: part of the type token and of file names in users' states. */
  readonly kind: string;
  /** Whose tools the kind needs; a host without them fails its kinds only. */
  readonly domain: Domain;
  /** The kind's own arguments. Reads stored states too, so it must accept what every past version wrote. */
  readonly schema: z.ZodObject;
  /**
   * What check writes into the arguments that are known, beside what the user has said: what depends on when he first said it. `kept` are the arguments as
   * check left them before; what it completes once, it takes as it is.
   */
  complete?(known: Partial<Intent>, kept: Props, now: Date): Props;
  /** The file beside the program from which it takes content that is too large for a state. */
  readonly beside?: {
    readonly property: string;
    path(intent: Intent): string | undefined;
    /** What check keeps of it in the arguments, and what else of the intent is in it; or what is wrong with it, a sentence each. */
    read(intent: Intent, text: string): { readonly kept: Props; readonly content: Props } | readonly string[];
  };
  /** What no single property can tell, once all are known. */
  review(intent: Intent): Problem[];
  /** What will stand on the host, for states and previews: an entry for each line, or for each decision that several lines carry out. */
  rules(object: string, intent: Intent): Record<string, string>;
  /** Each line that will stand on the host. */
  lines(object: string, intent: Intent): Line[];
  /** "family counter" on the host to the id of the line that counts there. */
  counters?(object: string, intent: Intent): Record<string, string>;
  /** What a kind of rules adds to the host's tables. */
  fragments?(object: string, intent: Intent): readonly Fragment[];
  /**
   * What of the lines of a host's kernel log an entry of its `allow` would let pass; only a kind with such entries tells it. `beside` are other resources of rules on
   * this host, as far as they are known.
   */
  wanted?(object: string, intent: Intent, log: readonly string[], beside: readonly Compiled[]): Wanted[];
  /** The files that make it stand, also after a reboot; `network` says who configures the host's addresses. */
  files(header: FileHeader, intent: Intent, network: string): HostFile[];
  /** Paths that the files of any intent of this object may have. */
  paths(object: string): string[];
  /** Why this host would make it inert or dangerous. */
  refuse(intent: Intent, survey: HostSurvey): Problem[];
  /** The interfaces that it names and lets forwarded packets come in or go out by. */
  forwards?(intent: Intent): readonly string[];
  /**
   * What others on this host lose by it, which is no reason to refuse; said before it is applied. `forwarded` are the interfaces that other resources of the program
   * name on this host in what they let pass.
   */
  warn?(intent: Intent, survey: HostSurvey, forwarded: ReadonlySet<string>): string[];
  /** The interfaces that it names and others make; those that are not there are waited for. */
  awaits?(intent: Intent): readonly Awaited[];
  /**
   * What the user may want to know of what now stands; `before` is the look that came before the change, `declared` the kinds that the
   * program declares on this host.
   */
  note?(object: string, intent: Intent, before: HostSurvey, declared: ReadonlySet<string>): string | undefined;
  /** What of it has ended by itself, for a preview, an update and a refresh; `facts` of the host where it was looked at. */
  expired?(intent: Intent, now: Date, facts?: HostFacts): string | undefined;
  /**
   * What stands otherwise than confirmed, beside the files; `present` when anything of it stands at all; `warnings` of what is not ours,
   * which no `up` would mend.
   */
  drift(
    object: string,
    intent: Intent,
    snapshot: HostSnapshot,
  ): { drift: Drift; present: () => boolean; warnings?: readonly string[] };
}

/** Whether boot loads it; the rest outlives a reboot by itself. */
export const isLoaded = ({ domain }: Pick<AnyKind, "domain">) => domain === "nft" || domain === "links";

/** The lines of a kind whose `rules` are its lines, each with what it is for. */
export const linesOfRules = (rules: Readonly<Record<string, string>>, why: Readonly<Record<string, string>>): Line[] =>
  Object.entries(rules).map(([id, text]) => ({ id, text, why: why[id] ?? "", rule: id }));

/** Keeps a spec's own type of intent while it is written. */
export function defineKind<Schema extends z.ZodObject>(schema: Schema, spec: Omit<KindSpec<z.infer<Schema>>, "schema">): AnyKind {
  // The lifecycle hands each spec only what its own schema has parsed.
  return { ...spec, schema };
}

/** A kind whose intent only its own spec knows. */
export type AnyKind = KindSpec<Record<string, unknown>>;

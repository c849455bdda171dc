import { setTimeout as sleep } from "node:timers/promises";
import type { HostFile } from "../core/files/host-file";
import type {
  ConfigurationDifference,
  Flow,
  FoundFile,
  HostFacts,
  HostSnapshot,
  HostSurvey,
  Service,
} from "../core/files/snapshot";
import { FAMILY, type Family } from "../core/netfilter/nft";
import { printableLine } from "../core/values/printable";
import { addressesJson, BadAnswer, linksJson, shapedJson } from "./protocol";
import type { RemoteHost } from "./remote-host";
import { packFiles, type TarFile, unpackFiles } from "./tar";

/**
 * Reads share a look, unless something was written since, as long as none comes later than this after the one before: a refresh
 * of very many resources is one look.
 */
const SHARED_FOR_MS = 1000;
/** But at most so long. */
const SHARED_AT_MOST_MS = 30_000;
/** Facts about interfaces and servers in use change seldom within a run. */
const FACTS_FOR_MS = 60_000;

/** Looks at a host, and lets everyone who asks at about the same time share the look. */
export class Snapshots {
  readonly #host: RemoteHost;
  #facts: { readonly at: number; readonly survey: Promise<HostSurvey> } | undefined;
  #shared: { readonly since: number; used: number; readonly snapshot: Promise<HostSnapshot> } | undefined;

  #leaving: Promise<HostSnapshot> | undefined;

  constructor(host: RemoteHost) {
    this.#host = host;
  }

  /** The host as it is now, or was when those who ask without a pause began to. */
  look(onStatus?: (text: string) => void): Promise<HostSnapshot> {
    const now = Date.now();
    if (this.#shared && now - this.#shared.used < SHARED_FOR_MS && now - this.#shared.since < SHARED_AT_MOST_MS) {
      this.#shared.used = Math.max(this.#shared.used, now);
      return this.#shared.snapshot;
    }
    const snapshot = this.#ask("snapshot", [], onStatus);
    const shared = { since: Infinity, used: Infinity, snapshot };
    this.#shared = shared;
    snapshot.then(
      () => this.#shared === shared && (this.#shared = { snapshot, since: Date.now(), used: Date.now() }),
      () => this.#shared === shared && this.forget(),
    );
    return snapshot;
  }

  /** What a change wants to know beforehand; our own writes do not make it old. */
  lookForFacts(onStatus?: (text: string) => void): Promise<HostSurvey> {
    if (this.#facts && Date.now() - this.#facts.at < FACTS_FOR_MS) return this.#facts.survey;
    const facts = { at: Date.now(), survey: this.#ask("survey", [], onStatus) };
    this.#facts = facts;
    facts.survey.catch(() => this.#facts === facts && (this.#facts = undefined));
    return facts.survey;
  }

  /** New facts after a pause, for whoever waits for something to appear. */
  async lookForFactsIn(milliseconds: number, onStatus?: (text: string) => void): Promise<HostSurvey> {
    await sleep(milliseconds);
    this.forget(true);
    return this.lookForFacts(onStatus);
  }

  /** A look of one's own, in which `files` stand for confirmed copies that were lost or tampered with. */
  async lookWith(files: readonly HostFile[], onStatus?: (text: string) => void): Promise<HostSnapshot> {
    return this.#ask("snapshot", files, onStatus);
  }

  /** After a change that was given up: a bare host loses the program again, which the look before the change has left there. */
  async leaveNoTrace(): Promise<void> {
    const survey = await this.#facts?.survey;
    if (survey && survey.confirmedPaths.size > 0) return;
    this.#leaving ??= this.lookWith([]).finally(() => (this.#leaving = undefined));
    await this.#leaving;
  }

  async #ask(
    command: "snapshot" | "survey",
    files: readonly HostFile[],
    onStatus?: (text: string) => void,
  ): Promise<HostSnapshot> {
    const request = await packFiles(new Map(files.map(({ path, text }) => [`files${path}`, text])));
    const options = { step: "read the host", ...(onStatus ? { onStatus } : {}) };
    return this.#host.ask(command, request, async (archive) => parseSnapshot(await unpackFiles(archive)), options);
  }

  /** After a write; `alsoFacts` where it changed interfaces. */
  forget(alsoFacts = false): void {
    this.#shared = undefined;
    if (alsoFacts) this.#facts = undefined;
  }
}

function parseSnapshot(entries: ReadonlyMap<string, TarFile>): HostSnapshot {
  const text = (path: string) => entries.get(path)?.text;
  const below = <T>(folder: string, pick: (file: TarFile) => T) =>
    new Map(
      [...entries].flatMap(([path, file]) => (path.startsWith(folder) ? [[path.slice(folder.length), pick(file)] as const] : [])),
    );
  const listings = (folder: string): Partial<Record<Family, string>> => Object.fromEntries(below(folder, (file) => file.text));
  const errors = below("errors/", (file) => printableLine(file.text));
  for (const fact of ["facts/host", "facts/live", "facts/links.json"])
    if (!entries.has(fact)) throw new BadAnswer(`a look without ${fact}`);
  const lines = (path: string) => (text(path) ?? "").split("\n").filter((line) => line !== "");
  const confirmedPaths = new Set(lines("facts/confirmed"));
  const files = new Map([...below("etc/", (file): FoundFile => file)].map(([path, file]) => [`/etc/${path}`, file]));
  // What is the same twice is sent once.
  const asFile = [...confirmedPaths].flatMap((path) => {
    const file = files.get(path);
    return file === undefined ? [] : [[path, file.text] as const];
  });
  const live = listings("live/");
  const asMade = Object.values(FAMILY).filter((family) => lines("facts/as-made").includes(family));
  return {
    facts: parseFacts((name) => text(`facts/${name}`) ?? ""),
    confirmedPaths,
    files,
    confirmed: new Map([
      ...asFile,
      ...[...below("confirmed/etc/", (file) => file.text)].map(([path, content]) => [`/etc/${path}`, content] as const),
    ]),
    live,
    canonical: { ...listings("canonical/"), ...Object.fromEntries(asMade.map((family) => [family, live[family]])) },
    effect: below("effect/", (file) => file.text.split("\n").filter((line) => line !== "")),
    foreign: below("foreign/", (file) => file.text.split("\n").filter((line) => line !== "")),
    errors: Object.fromEntries(errors),
  };
}

function parseFacts(text: (name: string) => string): HostFacts {
  const lines = (name: string) =>
    text(name)
      .split("\n")
      .filter((line) => line !== "");
  const byName = new Map<string, string[]>();
  for (const { ifname, addr_info } of shapedJson(addressesJson, text("addresses.json"), "its list of addresses")) {
    if (ifname !== undefined)
      byName.set(
        ifname,
        addr_info.flatMap(({ local }) => (local === undefined ? [] : [local])),
      );
  }
  return {
    links: new Map(
      shapedJson(linksJson, text("links.json"), "its list of interfaces").map(({ ifname, master, linkinfo }) => [
        ifname,
        { master, isBridge: linkinfo?.info_kind === "bridge", addresses: byName.get(ifname) ?? [] },
      ]),
    ),
    services: lines("host").flatMap(parseService),
    sshPort: lines("host").flatMap((line) => /^ssh-port (\d+)$/.exec(line)?.slice(1).map(Number) ?? [])[0],
    network: lines("host").flatMap((line) => /^network (.*)$/.exec(line)?.slice(1) ?? [])[0] ?? "unknown",
    configured: new Map(
      lines("host").flatMap((line) => {
        const [, device, file] = /^configured (\S+) (.*)$/.exec(line) ?? [];
        return device === undefined || file === undefined ? [] : [[device, file] as const];
      }),
    ),
    configuration: groupedBy(lines("configuration").flatMap(parseDifference)),
    defaultRoutes: lines("host").flatMap((line) => {
      const [, version, device, gateway] = /^default ([46]) (\S+) (\S+)$/.exec(line) ?? [];
      return device === undefined || gateway === undefined ? [] : [{ version: Number(version), device, gateway }];
    }),
    live: new Map(
      lines("live").map((line) => {
        const [device = "", word = "", value = "-"] = line.split(" ");
        return [`${device} ${word}`, value] as const;
      }),
    ),
    unmet: groupedBy(lines("unmet").map(pathAndText)),
    damaged: lines("damaged"),
    atBoot: new Map(lines("boot").map(pathAndText)),
    shut: lines("shut"),
    ...parseFlows(lines("flows")),
  };
}

function parseFlows(lines: readonly string[]): Pick<HostFacts, "flows"> {
  if (lines.length === 0) return {};
  if (lines.includes("unknown")) return { flows: "unknown" };
  return { flows: { running: lines.flatMap(parseFlow), isCut: lines.includes("more") } };
}

function parseFlow(line: string): Flow[] {
  const [, protocol = "", source = "", destination = "", ...ports] =
    /^([a-z0-9-]{1,20}) ([0-9a-f.:]{2,45}) ([0-9a-f.:]{2,45}) (\d{1,5}|-) (\d{1,5}|-)$/.exec(line) ?? [];
  if (protocol === "") return [];
  const [sourcePort, destinationPort] = ports.map(Number);
  return [
    {
      protocol,
      source,
      destination,
      ...(isPort(sourcePort) ? { sourcePort } : {}),
      ...(isPort(destinationPort) ? { destinationPort } : {}),
    },
  ];
}

const isPort = (number: number | undefined): number is number => number !== undefined && Number.isInteger(number);

function pathAndText(line: string): readonly [string, string] {
  const end = line.indexOf(" ");
  return [line.slice(0, end), line.slice(end + 1)];
}

function groupedBy<T>(pairs: readonly (readonly [string, T])[]): Map<string, T[]> {
  const grouped = new Map<string, T[]>();
  for (const [key, value] of pairs) grouped.set(key, [...(grouped.get(key) ?? []), value]);
  return grouped;
}

function parseDifference(line: string): [string, ConfigurationDifference][] {
  const [, bridge = "", path = "", is, text = ""] = /^(\S+) (\S+) (\S+) ?(.*)$/.exec(line) ?? [];
  if (is !== "missing" && is !== "added" && is !== "uplink" && is !== "order" && is !== "gone") return [];
  return [[bridge, { path, is, line: printableLine(text) }]];
}

function parseService(line: string): Service[] {
  const [, device = "", source = "-", address = "", what] = /^service (\S+) (\S+) (\S+) (.*)$/.exec(line) ?? [];
  if (what !== "peer" && what !== "resolver" && what !== "time server" && what !== "DHCP server") return [];
  return [{ what, address, device, source: source === "-" ? undefined : source }];
}

// The text of what runs on a host, out of src/host/program and of what core knows as data. After tsc: the data comes out of dist/.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const parts = `${root}src/host/program/`;
const compiled = createRequire(`${root}dist/`);

/** The table-maker with the slots in it: a program for awk. */
export function tableMaker() {
  const { SLOTS, PHASES, JUDGING_PHASES } = compiled("./core/netfilter/slots.js");
  const { FAMILY } = compiled("./core/netfilter/nft.js");
  const text = (value) => JSON.stringify(value);
  const calls = [
    ...PHASES.map((phase) => `phase(${text(phase)}, ${JUDGING_PHASES.includes(phase) ? 1 : 0})`),
    ...SLOTS.map(
      ({ layer, name, hook = "", priority = 0, by, perBridge = false, failClosed }) =>
        `slot(${[FAMILY[layer], name, hook, priority, by, perBridge ? 1 : 0, failClosed].map(text).join(", ")})`,
    ),
  ];
  return replaced(readFileSync(`${parts}table.awk`, "utf8"), "# @SLOTS@", calls.map((call) => `\t${call}`).join("\n"));
}

/** The lines of `case` that tell the file of each attribute of a link, what the kernel begins with, and which of them a port loses with its bridge. */
function linkAttributes() {
  const { LINK_ATTRIBUTES } = compiled("./core/links/attributes.js");
  const all = Object.entries(LINK_ATTRIBUTES);
  return {
    files: all
      .filter(([, { file }]) => file !== undefined)
      .map(([name, { file }]) => `\t${name}) set -- "$1" "${file.replace("DEVICE", "$2")}" ;;`)
      .join("\n"),
    first: all
      .filter(([, { first }]) => first !== "-")
      .map(([name, { first }]) => `\t${name}) set -- "$1" ${first} ;;`)
      .join("\n"),
    ofPort: `\t${all.flatMap(([name, { ofPort }]) => (ofPort ? [name] : [])).join(" | ")}) ;;`,
  };
}

/** The host's program, version and digest included. */
export function hostProgram() {
  const source = readdirSync(parts)
    .filter((name) => name.endsWith(".sh"))
    .sort()
    .map((name) => readFileSync(parts + name, "utf8"))
    .join("\n");
  const { files, first, ofPort } = linkAttributes();
  const whole = [
    // Programs for awk, each as the value of one variable.
    ...readdirSync(parts)
      .filter((name) => name.endsWith(".awk"))
      .map((name) => [`@${name}@`, quoted(name === "table.awk" ? tableMaker() : readFileSync(parts + name, "utf8"))]),
    ["\t# @LINK_FILES@", files],
    ["\t# @LINK_FIRST@", first],
    ["\t# @PORT_ATTRIBUTES@", ofPort],
  ].reduce((text, [place, value]) => replaced(text, place, value), source);
  const { version } = JSON.parse(readFileSync(`${root}package.json`, "utf8"));
  const digest = createHash("sha256").update(version).update(whole).digest("hex");
  return replaced(replaced(whole, "@VERSION@", version), "@DIGEST@", digest);
}

/** As the shell takes it between single quotes. */
const quoted = (text) => text.replaceAll("'", "'\\''");

/** @throws Error where the place is not there, or there twice */
function replaced(text, place, value) {
  const [before, after, ...more] = text.split(place);
  if (after === undefined || more.length > 0) throw new Error(`the host's program wants ${place} once`);
  return before + value + after;
}

// `npm run docs` writes docs/reference out of the docstrings in src/resources; with `--check` it only says what differs.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runInThisContext } from "node:vm";
import * as ts from "typescript";
import { objectName } from "../src/core/values/names";
import { kinds } from "../src/providers/registry";
import type { AnyKind } from "../src/providers/spec";

const root = join(__dirname, "..");
const resources = join(root, "src", "resources");
const folder = join(root, "docs", "reference");
const head = "<!-- Written by `npm run docs` out of src/resources; edit the docstrings there. -->\n";

/** File name to text, for every kind and for what all kinds take. */
export function referencePages(): Map<string, string> {
  const sources = readdirSync(resources)
    .map((name) => ts.createSourceFile(name, readFileSync(join(resources, name), "utf8"), ts.ScriptTarget.ES2022, true))
    .flatMap((file) => [...file.statements]);
  const classes = sources.filter(ts.isClassDeclaration);
  const interfaces = new Map(sources.filter(ts.isInterfaceDeclaration).map((found) => [found.name.text, found]));
  const common = classes.find(({ name }) => name?.text === "HostResource");
  const pages = [...kinds].map(([kind, spec]): [string, string] => {
    const found = classes.find(({ name }) => name?.text === kind);
    const args = interfaces.get(`${kind}Args`);
    if (!found || !args || !common) throw new Error(`src/resources has no ${kind} or no ${kind}Args`);
    return [`${kind}.md`, kindPage(spec, found, args, common, interfaces)];
  });
  const host = interfaces.get("HostArgs");
  if (!host) throw new Error("src/resources has no HostArgs");
  return new Map([...pages, ["HostArgs.md", hostPage(host, interfaces)]]);
}

type Interfaces = ReadonlyMap<string, ts.InterfaceDeclaration>;

function kindPage(
  spec: AnyKind,
  found: ts.ClassDeclaration,
  args: ts.InterfaceDeclaration,
  common: ts.ClassDeclaration,
  interfaces: Interfaces,
): string {
  const example = tagOf(found, "example");
  if (example === undefined) throw new Error(`${spec.kind} has no @example`);
  const outputs = found.members.filter(ts.isPropertyDeclaration).map((member) => `\`${member.name.getText()}\``);
  return [
    head,
    `# ${spec.kind}\n`,
    `${textOf(found)}\n`,
    `## Example\n\n\`\`\`ts\n${example}\n\`\`\`\n`,
    "`host` is what leads to the machine: see [HostArgs](HostArgs.md).\n",
    `## Arguments\n\n${membersOf(args)}`,
    ...partsOf(args, interfaces),
    "## Outputs\n",
    `The arguments with their defaults filled in: ${outputs.join(", ")}. And\n`,
    common.members.filter(ts.isPropertyDeclaration).map(itemOf).join(""),
    "## What stands on the host\n",
    "The files of the example. Its `owner` is a random number made at create.\n",
    ...standing(spec, example),
  ].join("\n");
}

function hostPage(host: ts.InterfaceDeclaration, interfaces: Interfaces): string {
  const parts = partsOf(host, interfaces);
  return [head, "# HostArgs\n", `${textOf(host)} [How it works](../connection.md).\n`, membersOf(host), ...parts].join("\n");
}

/** A section for each interface of ours that this one names, and that those name; HostArgs has a page of its own. */
function partsOf(from: ts.InterfaceDeclaration, interfaces: Interfaces, seen = new Set(["HostArgs"])): string[] {
  const code = [...(from.heritageClauses ?? []), ...from.members].map((node) => node.getText()).join("\n");
  return [...interfaces].flatMap(([name, part]) => {
    if (seen.has(name) || !new RegExp(`\\b${name}\\b`).test(code)) return [];
    seen.add(name);
    const parents = (part.heritageClauses ?? []).flatMap(({ types }) => types.map((type) => `\`${type.getText()}\``));
    const more = parents.length > 0 ? `All of ${parents.join(", ")}, and\n\n` : "";
    return [`## ${name}\n\n${textOf(part)}\n\n${more}${membersOf(part)}`, ...partsOf(part, interfaces, seen)];
  });
}

const membersOf = (found: ts.InterfaceDeclaration) => found.members.filter(ts.isPropertySignature).map(itemOf).join("");

function itemOf(member: ts.PropertySignature | ts.PropertyDeclaration): string {
  const standard = tagOf(member, "default");
  const isRequired = ts.isPropertySignature(member) && member.questionToken === undefined;
  const remark = standard === undefined ? (isRequired ? ", required" : "") : `, default ${standardText(standard)}`;
  const type = member.type ? `: \`${typeText(member.type)}\`` : "";
  return `* **\`${member.name.getText()}\`**${type}${remark}. ${textOf(member).replaceAll("\n", " ")}\n`.replace(". \n", "\n");
}

/** A value stands as code, what is said behind it as text. */
function standardText(text: string): string {
  const [, value, more = ""] = /^("[^"]*"|\[\]|\{\}|-?\d+|true|false)(?:\s+(.*))?$/.exec(text) ?? [];
  return value === undefined ? text : `\`${value}\`${more === "" ? "" : ` (${more})`}`;
}

/** The type as a user thinks of it: every value may be an output, so that is not said each time. */
function typeText(node: ts.TypeNode): string {
  if (ts.isTypeReferenceNode(node)) {
    const [first] = node.typeArguments ?? [];
    if (first && /^pulumi\.(Input|Output)$/.test(node.typeName.getText())) return typeText(first);
    const inner = node.typeArguments?.map(typeText).join(", ");
    return `${node.typeName.getText()}${inner === undefined ? "" : `<${inner}>`}`;
  }
  if (ts.isUnionTypeNode(node)) return node.types.map(typeText).join(" | ");
  if (ts.isArrayTypeNode(node)) {
    const element = typeText(node.elementType);
    return element.includes("|") ? `(${element})[]` : `${element}[]`;
  }
  if (ts.isParenthesizedTypeNode(node)) return typeText(node.type);
  // `string & {}` keeps the editor's completion of the words beside it.
  if (ts.isIntersectionTypeNode(node))
    return node.types
      .map(typeText)
      .filter((text) => text !== "{}")
      .join(" & ");
  return node.getText();
}

/** A docstring's text, under "", and its tags. TypeScript's own reader takes every `@pulumi/…` for a tag. */
function docOf(node: ts.Node): Map<string, string> {
  const [comment] = ts.getJSDocCommentsAndTags(node).filter(ts.isJSDoc);
  const lines = (comment?.getText() ?? "").replace(/^\/\*\*\s*|\s*\*\/$/g, "").split("\n");
  const found = new Map<string, string>();
  let tag = "";
  for (const line of lines.map((text) => text.replace(/^\s*\* ?/, ""))) {
    const [, name, rest = ""] = /^@(\w+)(?: (.*))?$/.exec(line) ?? [];
    tag = name ?? tag;
    found.set(tag, `${found.get(tag) ?? ""}${name === undefined ? line : rest}\n`);
  }
  return found;
}

/** Markdown: what an editor shows as a link to a kind is one to its page. */
const textOf = (node: ts.Node) =>
  (docOf(node).get("") ?? "")
    .trim()
    .replace(/\{@link (\w+)\}/g, (_link, name: string) => (kinds.has(name) ? `[${name}](${name}.md)` : `\`${name}\``));
const tagOf = (node: ts.Node, name: string) => docOf(node).get(name)?.trim();

/** Compiles the example itself, so that the page cannot say something else than the package does. */
function standing(spec: AnyKind, example: string): string[] {
  const { name, args } = argumentsOf(spec.kind, example);
  const object = objectName(spec.kind, { project: "example", stack: "dev", name });
  const header = { object, owner: "00112233445566778899aabbccddeeff", from: `example/dev ${spec.kind} ${name}` };
  return spec
    .files(header, spec.schema.parse(args), "ifupdown")
    .map(({ path, mode, text }) => `\`${path}\` (root:root, ${mode})\n\n\`\`\`\n${text.trimEnd()}\n\`\`\`\n`);
}

type RecordExample = (name: string, args: unknown) => void;

function argumentsOf(kind: string, example: string): { name: string; args: unknown } {
  let found: { name: string; args: unknown } | undefined;
  const program = `class ${kind} { constructor(name, args) { record(name, args); } } ${example}`;
  const run = runInThisContext(`(record, host) => { ${program} }`) as (record: RecordExample, host: object) => void;
  run((name, args) => (found = { name, args }), {});
  if (found === undefined) throw new Error(`the example of ${kind} makes no ${kind}`);
  return found;
}

/** Names of pages whose file is missing, differs, or should not be there. */
export function stalePages(): string[] {
  const pages = referencePages();
  const files = readdirSync(folder, { withFileTypes: true }).map(({ name }) => name);
  const differs = (name: string) => !files.includes(name) || readFileSync(join(folder, name), "utf8") !== pages.get(name);
  return [...new Set([...pages.keys(), ...files])].filter(differs);
}

function main(isCheck: boolean): void {
  mkdirSync(folder, { recursive: true });
  const stale = stalePages();
  if (isCheck && stale.length > 0) {
    console.error(`not as the docstrings say: ${stale.map((name) => `docs/reference/${name}`).join(", ")}; run npm run docs`);
    process.exitCode = 1;
  }
  if (isCheck) return;
  const pages = referencePages();
  for (const name of stale) {
    const text = pages.get(name);
    if (text === undefined) rmSync(join(folder, name));
    else writeFileSync(join(folder, name), text);
  }
}

if (require.main === module) main(process.argv.includes("--check"));

#!/usr/bin/env node
import { Command, InvalidArgumentError } from "commander";
import { closePool } from "../host/pool";
import { hostProgram } from "../host/program";
import { explainResource, renderExplained, renderSummary } from "./explain";
import { collectLeaks, renderLeaks } from "./leaks";
import { collectStatus, renderStatus } from "./status";
import type { AnyKind } from "../providers/spec";
import { deployedResources, programResources, type Where } from "./stack";

interface Options extends Where {
  readonly json?: boolean;
}

const say = (text: string) => void process.stdout.write(`${text}\n`);

/** Those that carry one of the names; all without a name. */
function named<Resource extends { readonly spec: AnyKind }>(
  resources: readonly Resource[],
  names: readonly string[],
  nameOf: (resource: Resource) => string,
): readonly Resource[] {
  const missing = names.filter((name) => !resources.some((resource) => nameOf(resource) === name));
  const known = resources.map((resource) => `${resource.spec.kind} ${nameOf(resource)}`).join(", ") || "none";
  if (missing.length > 0) throw new Error(`no resource of Drawbridge is called ${missing.join(", ")}; there are: ${known}`);
  return names.length === 0 ? resources : resources.filter((resource) => names.includes(nameOf(resource)));
}

function count(text: string): number {
  if (/^\d{1,4}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("a number from 0 to 9999 is needed");
}

const program = new Command("drawbridge")
  .description("What stands beside `pulumi` for pulumi-drawbridge.")
  .version(hostProgram().version)
  .showHelpAfterError();

/** A command on a stack. */
const onStack = (name: string) =>
  program
    .command(name)
    .option("-C, --cwd <folder>", "where the Pulumi program is")
    .option("-s, --stack <stack>", "the stack, instead of the one that is selected")
    .option("-j, --json", "print data instead of text");
/** A command on some of its resources. */
const onResources = (name: string) => onStack(name).argument("[names...]", "names of resources; all without one");

onResources("leaks")
  .description("what the fences of a stack have counted and logged on their hosts, asked with the stack's own connections")
  .option("-n, --lines <number>", "log lines of each fence", count, 10)
  .action(async (names: readonly string[], { json, lines, ...where }: Options & { lines: number }) => {
    const stack = await deployedResources(where);
    const report = await collectLeaks(
      named(stack, names, ({ stored }) => stored.origin.name),
      lines,
      stack,
    );
    say(json === true ? JSON.stringify(report, null, 2) : renderLeaks(report));
    if (report.unreachable.length > 0) process.exitCode = 1;
  });

onStack("status")
  .description(
    "what of a stack stands on its hosts, what is pending, and what waits for an interface, user or group; asks each host once",
  )
  .action(async ({ json, ...where }: Options) => {
    const report = await collectStatus(await deployedResources(where));
    say(json === true ? JSON.stringify(report, null, 2) : renderStatus(report));
    if (report.unreachable.length > 0) process.exitCode = 1;
  });

onResources("explain")
  .description("what the program's resources do on their hosts; each line with its reason for named ones; asks no host")
  .option("-l, --lines", "each line of all resources")
  .action(async (names: readonly string[], { json, lines, ...where }: Options & { lines?: boolean }) => {
    const explained = named(await programResources(where), names, ({ origin }) => origin.name).map(explainResource);
    if (json === true) return say(JSON.stringify(explained, null, 2));
    if (explained.length === 0) return say("The program has no resources of Drawbridge.");
    if (lines === true || names.length > 0) return say(explained.map(renderExplained).join("\n\n"));
    say(
      [...explained.map(renderSummary), "Each line with its reason: drawbridge explain NAME, or --lines for all."].join("\n\n"),
    );
  });

program
  .command("program")
  .description("print drawbridge-host, the one program that stands on a host, for those who put it there by hand (docs/host.md)")
  .action(() => void process.stdout.write(hostProgram().text));

program
  .parseAsync()
  .catch((error: unknown) => {
    process.stderr.write(`drawbridge: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  })
  .finally(closePool);

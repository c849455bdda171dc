import { execFileSync } from "node:child_process";
import { join } from "node:path";

/** What tools/program-faults.mjs, an ES module, says of a text. */
function faultsOf(program: string): readonly string[] {
  const module = join(__dirname, "..", "..", "tools", "program-faults.mjs");
  const script = `import { faultsOf } from ${JSON.stringify(module)}; import { readFileSync } from "node:fs";
    console.log(JSON.stringify(faultsOf(readFileSync(0, "utf8"))))`;
  return JSON.parse(
    execFileSync(process.execPath, ["--input-type=module", "-e", script], { input: program, encoding: "utf8" }),
  ) as string[];
}

test.each([
  [': >"$T/list" || return 1', 1],
  ['[ -s "$T/list" ] || : >"$T/list"', 1],
  ['true >"$T/list" || return 1', 0],
  ["if have nft; then :; fi", 0],
  ['exec 6<"$1/alive"', 1],
  ['exec 9>>"$LOCK" || fail', 1],
  ['command exec 9>>"$LOCK" || fail', 0],
  ["exec 9>&-", 0],
  ['exec "$@"', 0],
  ['kill -0 "$timer"', 1],
  ["outcome=$(prepare)", 1],
  ["ask prepare || return 1", 0],
  ['# : >"$T/list" and kill -0 are what not to write', 0],
])("the lint of the host's program finds what takes silence for consent: %s", (line, count) => {
  expect(faultsOf(`#!/bin/sh\n\t${line}\n`)).toHaveLength(count);
});

import { execFileSync } from "node:child_process";
import { join } from "node:path";

/** What a function of tools/program-faults.mjs, an ES module, says of a text. */
function said(call: string, program: string): readonly string[] {
  const module = join(__dirname, "..", "..", "tools", "program-faults.mjs");
  const script = `import { faultsOf, globalsOf, longOf, undefinedOf } from ${JSON.stringify(module)}; import { readFileSync } from "node:fs";
    const text = readFileSync(0, "utf8");
    console.log(JSON.stringify(${call}))`;
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
  ["ask said prepare || return 1", 0],
  ['# : >"$T/list" and kill -0 are what not to write', 0],
])("the lint of the host's program finds what takes silence for consent: %s", (line, count) => {
  expect(said("faultsOf(text)", `#!/bin/sh\n\t${line}\n`)).toHaveLength(count);
});

test.each([
  ["got=1", "got"],
  ["[ -e x ] || got=1", "got"],
  ["if true; then got=$(x) name=1; fi", "got name"],
  ["name=1 got=2", "got"],
  ["case $1 in a | b) got=1 ;; esac", "got"],
  ["read -r name got <x", "got"],
  ["IFS=: read -r name got <<-X\n\t\tother=1\n\tX", "got"],
  ["for got in a b; do :; done", "got"],
  ["ask got step || return 1", "got"],
  ['echo "${got:=none}"', "got"],
  ["x || \\\n\t\tgot=1", "got"],
  ["name=1", ""],
  ["T=$VAR", ""],
  ["LC_ALL=C x=1 sort", "x"],
  ["awk -v got=1 'got=1' at=now file", ""],
  ["dd if=x of=y", ""],
  ['echo "got=1" # got=1', ""],
  ['[ "$got" = 1 ] && chown --reference=x y', ""],
  ["while read -r _ name; do :; done", ""],
])("the lint of the host's program finds a variable that is nobody's: %s", (body, names) => {
  const program = `top=1\n\n# one: text\none() {\n\tlocal name\n\t${body}\n}\n\ntwo() { local got; got=1; }\n`;
  const found = said('globalsOf(text, new Set(["T", "LC_ALL"]))', program).map((fault) =>
    fault.replace(/^line \d+: (\w+) is .*/, "$1"),
  );
  expect([...new Set(found)].sort().join(" ")).toBe(
    names
      .split(" ")
      .filter((name) => name !== "name")
      .join(" "),
  );
});

test.each([
  ["! is_gone x || exit 1", "is_gone"],
  ["x=$(is_gone y)", "is_gone"],
  ["case $1 in\n\tis_gone | is_here) is_there ;;\n\tesac", ""],
  ["if is_there; then :; fi", ""],
  ['n=$((is_gone + 1)); echo "is_gone" # is_gone', ""],
])("the lint of the host's program finds a function that is not there: %s", (body, name) => {
  const found = said("undefinedOf(text)", `is_there() { :; }\n\none() {\n\t${body}\n}\n`);
  expect(found.map((fault) => fault.replace(/^line \d+: (\w+) is .*/, "$1")).join(" ")).toBe(name);
});

test.each([
  ["\techo one\n".repeat(50), ["line 3: name has 52 lines; 40 can be read at once"]],
  ["\techo one\n".repeat(36), []],
  [`\tcat <<-TEXT\n${"\t\tline\n".repeat(60)}\tTEXT\n`, []],
  [`\tawk '\n${"\t\t{ print }\n".repeat(60)}'\n`, []],
])("the lint of the host's program finds functions that are too long, but for texts in them: %#", (body, faults) => {
  expect(said("longOf(text)", `#!/bin/sh\n\nname() {\n${body}}\n`)).toEqual(faults);
});

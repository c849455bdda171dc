import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AWKS } from "./awks";

/**
 * Fragments in, text out: a folder for each story. `operands` is what the host's program gives the table-maker, one word a line (files stand
 * beside it); `out.nft` is what it must print, byte for byte.
 */
const folder = join(__dirname, "table-maker");
const stories = readdirSync(folder);
let scratch: string;
let maker: string;

beforeAll(() => {
  const module = join(__dirname, "..", "..", "tools", "host-program.mjs");
  const script = `import { tableMaker } from ${JSON.stringify(module)}; process.stdout.write(tableMaker())`;
  scratch = mkdtempSync(join(tmpdir(), "drawbridge-table-maker-"));
  maker = join(scratch, "table.awk");
  writeFileSync(maker, execFileSync(process.execPath, ["--input-type=module", "-e", script]));
});

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe.each(AWKS.map((words) => ({ name: words[0], words })))("$name", ({ words: [command, ...options] }) => {
  const operandsOf = (story: string) =>
    readFileSync(join(folder, story, "operands"), "utf8")
      .trim()
      .split("\n");

  /** What it prints, and what fails closed of the same reading. */
  const make = (story: string, operands: readonly string[]) => {
    const file = join(scratch, "fail-closed");
    const words = operands.flatMap((word) => (word.startsWith("purpose=") ? [word, `fail_closed=${file}`] : [word]));
    const made = execFileSync(command, [...options, "-f", maker, ...words], { cwd: join(folder, story), encoding: "utf8" });
    return [made, readFileSync(file, "utf8")];
  };

  test.each(stories)("%s", (story) => {
    const expected = readFileSync(join(folder, story, "out.nft"), "utf8");
    const [made, failClosed] = make(story, operandsOf(story));
    const alone = operandsOf(story).map((word) => word.replace("purpose=table", "purpose=fail-closed"));
    expect([made, failClosed]).toEqual(
      operandsOf(story).includes("purpose=table") ? [expected, make(story, alone)[1]] : ["", expected],
    );
  });

  test("counters keep their values in the text that is made anew, each in its own family", () => {
    const program = readFileSync(join(__dirname, "..", "..", "src", "host", "program", "30-nft.sh"), "utf8");
    const counted = /^nft_counted\(\) \{\n\tawk '([^']*)'/m.exec(program)?.[1] ?? "";
    const cwd = join(__dirname, "table-counters");
    const made = execFileSync(command, [...options, counted, "reading=counters", "counters", "reading=texts", "table.nft"], {
      cwd,
      encoding: "utf8",
    });
    expect(made).toBe(readFileSync(join(cwd, "out.nft"), "utf8"));
  });
});

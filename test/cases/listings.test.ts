import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { AWKS } from "./awks";

/** Two listings of a table in: a folder for each story, with `remembered`, what has become of it since in `patches`, and `listed`; `verdict` says whether they are the same. */
const folder = join(__dirname, "listings");
const comparison = join(__dirname, "..", "..", "src", "host", "program", "listings.awk");
const VERDICTS = new Map([
  [0, "same\n"],
  [1, "different\n"],
]);

describe.each(AWKS.map((words) => ({ name: words[0], words })))("$name", ({ words: [command, ...options] }) => {
  test.each(readdirSync(folder))("%s", (story) => {
    const cwd = join(folder, story);
    const since = existsSync(join(cwd, "patches")) ? ["patches"] : [];
    const operands = ["reading=remembered", "remembered", ...since, "reading=listed", "listed"];
    const { status, stderr } = spawnSync(command, [...options, "-f", comparison, ...operands], { cwd, encoding: "utf8" });
    expect(stderr).toBe("");
    expect(VERDICTS.get(status ?? -1)).toBe(readFileSync(join(cwd, "verdict"), "utf8"));
  });
});

import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { AWKS } from "./awks";

/** Fragments, and a former index, in, the new index out: a folder for each story, with the `operands` of awk, a word a line ("v:" before variables), and `out`. */
const folder = join(__dirname, "index-maker");
const maker = join(__dirname, "..", "..", "src", "host", "program", "index.awk");

describe.each(AWKS.map((words) => ({ name: words[0], words })))("$name", ({ words: [command, ...options] }) => {
  test.each(readdirSync(folder))("%s", (story) => {
    const cwd = join(folder, story);
    const words = readFileSync(join(cwd, "operands"), "utf8").trim().split("\n");
    const variables = words.filter((word) => word.startsWith("v:")).flatMap((word) => ["-v", word.slice("v:".length)]);
    const operands = words.filter((word) => !word.startsWith("v:"));
    const made = execFileSync(command, [...options, ...variables, "-f", maker, ...operands], { cwd, encoding: "utf8" });
    expect(made).toBe(readFileSync(join(cwd, "out"), "utf8"));
  });
});

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AWKS } from "./awks";

/**
 * Two texts of a table in, what leads from one to the other out: a folder for each story, with before.nft and after.nft, and byte for byte what must come of
 * them: forward.nft, backward.nft, stub.nft, try.nft, try_back.nft and touched, or in `reason` why there can be no delta. `were` and `are` are the devices, where they matter.
 */
const folder = join(__dirname, "delta-maker");
const maker = join(__dirname, "..", "..", "src", "host", "program", "delta.awk");
const made = ["forward.nft", "backward.nft", "stub.nft", "try.nft", "try_back.nft", "touched"];
let scratch: string;

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "drawbridge-delta-maker-"));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe.each(AWKS.map((words) => ({ name: words[0], words })))("$name", ({ name, words: [command, ...options] }) => {
  test.each(readdirSync(folder))("%s", (story) => {
    const cwd = join(folder, story);
    const read = (path: string) => (existsSync(path) ? readFileSync(path, "utf8") : "");
    const devices = (file: string) => (existsSync(join(cwd, file)) ? file : "/dev/null");
    const out = (file: string) => join(scratch, `${name}-${story}-${file}`);
    const files = made.flatMap((file) => ["-v", `${file.replace(".nft", "")}=${out(file)}`]);
    const operands = ["reading=were", devices("were"), "reading=are", devices("are")];
    const texts = ["reading=before", "before.nft", "reading=after", "after.nft"];
    const reason = execFileSync(command, [...options, ...files, "-f", maker, ...operands, ...texts], { cwd, encoding: "utf8" });
    expect(reason).toBe(read(join(cwd, "reason")));
    expect(made.map((file) => [file, read(out(file))])).toEqual(made.map((file) => [file, read(join(cwd, file))]));
  });
});

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { runInThisContext } from "node:vm";
import { defaultDrop, reviewDefaultDrop } from "../../src/core/netfilter/default-drop";
import { renderWanted, wantedAllows } from "../../src/core/netfilter/wanted-allows";
import { readLeaks } from "../../src/host/protocol";

const folder = join(__dirname, "wanted-allows");

/** Text in, text out: a default drop, the kernel's log as the host prints it, and what could be allowed. */
describe.each(readdirSync(folder))("%s", (story) => {
  const read = (name: string) => readFileSync(join(folder, story, name), "utf8");
  const intent = defaultDrop.parse(JSON.parse(read("args.json")));
  const lines = read("log.txt").split("\n");
  const answer = Buffer.from(lines.map((line) => `log ${line}`).join("\n"));
  const log = readLeaks(answer).logged.map(({ line }) => line);
  const wanted = wantedAllows("OBJECT", intent, log);

  test("is said", () => {
    expect(wanted.map((one) => `${renderWanted(one)}\n`).join("")).toBe(read("out.txt"));
  });

  test("is taken as it is written, and then lets these packets pass", () => {
    const text = wanted.map(renderWanted).join("\n");
    // As whoever pastes it into a program would have it.
    const allow: unknown = runInThisContext(`[\n${text}\n]`);
    expect(allow).toHaveLength(wanted.filter((one) => "allow" in one).length);
    const pasted = defaultDrop.parse({ ...intent, allow: [...intent.allow, ...(allow as unknown[])] });
    expect(reviewDefaultDrop(pasted)).toEqual([]);
    expect(wantedAllows("OBJECT", pasted, log).filter((one) => "allow" in one)).toEqual([]);
  });
});

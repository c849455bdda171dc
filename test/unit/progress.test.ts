import { execFileSync } from "node:child_process";
import { join } from "node:path";

test.each([
  ["kill -INT $$", "Interrupted"],
  ["exit 130", "Interrupted"],
  ["exit 1", "Advice"],
])("a command of the set-up that ends by Ctrl-C is told from one that fails: %s", (command, name) => {
  const module = join(__dirname, "..", "..", "tools", "progress.mjs");
  const script = `import { quietly } from ${JSON.stringify(module)};
    await quietly("sh", ["-c", ${JSON.stringify(command)}]).catch((error) => console.log(error.constructor.name))`;
  expect(execFileSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" })).toBe(`${name}\n`);
});

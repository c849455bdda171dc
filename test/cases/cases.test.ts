import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { kinds } from "../../src/providers/registry";

interface Case {
  readonly args: Record<string, unknown>;
  /** Who configures the host's addresses. */
  readonly network?: string;
}

/** Stands for what only a create knows. */
const HEADER = { object: "OBJECT", owner: "OWNER", from: "project/stack Kind name" };

/** Text in, text out: a folder per kind and story, with args.json and the files that must stand on the host, word for word. */
const stories = [...kinds.keys()].flatMap((kind) =>
  readdirSync(join(__dirname, kind)).map((story) => ({ kind, story, folder: join(__dirname, kind, story) })),
);

test.each(stories)("$kind: $story", ({ kind, folder }) => {
  const spec = kinds.get(kind);
  if (!spec) throw new Error(`no kind ${kind}`);
  const { args, network = "ifupdown" } = JSON.parse(readFileSync(join(folder, "args.json"), "utf8")) as Case;
  const files = spec.files(HEADER, spec.schema.parse(args), network);
  const text = files.map((file) => `== ${file.path} ${file.mode}\n${file.text}`).join("");
  expect(text).toBe(readFileSync(join(folder, "files.txt"), "utf8"));
});

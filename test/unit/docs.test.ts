import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { stalePages } from "../../tools/docs";

const root = join(__dirname, "..", "..");
const read = (...path: string[]) => readFileSync(join(root, ...path), "utf8");
const pages = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].concat(
  ["docs", "docs/articles", "docs/reference"].flatMap((folder) =>
    readdirSync(join(root, folder)).flatMap((name) => (name.endsWith(".md") ? [`${folder}/${name}`] : [])),
  ),
);

/** Words that new users did not understand, and what stands in their place. */
const RIDDLES = [
  ["not as confirmed", "differs from what was last applied"],
  ["look before the change", "pre-flight check"],
  ["(put|puts) itself back", "rolls, rolled the change back"],
  ['(is|was|are|be|has|"|\\*\\*)\\s?shut\\b', "fail closed"],
  ["the way back", "the rollback"],
  ["in need\\b", "the boot-time fallback"],
  ["had of ours", "our settings on"],
  ["the measure is", "compared with"],
  ["want the same thing", "claim the same thing"],
  ["upgrade it where", "upgrade pulumi-drawbridge on the machine that runs Pulumi"],
  ["(is|are) (not )?looked (at|behind)", "is ignored, is judged"],
  ["still stands? as (it was )?(left|set)", "unless somebody changed it since"],
  ["so that it hangs", "so that the connection hangs"],
  ["but for one\\b", "with one exception"],
  ["looks at (no|none)\\b", "contacts no host"],
  ["\\{@link", "a link in Markdown"],
] as const;

const said = (folder: string, ending: string): string[] =>
  readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory()
      ? said(`${folder}/${entry.name}`, ending)
      : entry.name.endsWith(ending)
        ? [`${folder}/${entry.name}`]
        : [],
  );
const pagesOfUsers = [
  "README.md",
  ...said("docs", ".md"),
  ...said("examples", ".md").filter((page) => !page.includes("node_modules")),
];
const texts = [
  "src/host/program/75-man.sh",
  "src/host/program/90-main.sh",
  ...said("src/cli", ".ts"),
  ...said("src/resources", ".ts"),
];

test.each(RIDDLES)("no page, command or docstring says %p; it says: %s", (words) => {
  const files = words.includes("@link") ? pagesOfUsers : [...pagesOfUsers, ...texts];
  const found = files.flatMap((page) => {
    const hit = new RegExp(words, "i").exec(read(page).replace(/\s+(?:\* )?/g, " "));
    return hit === null ? [] : [`${page}: ${hit[0]}`];
  });
  expect(found).toEqual([]);
});

test("no example prints all rules again as outputs of its stack", () => {
  // The preview shows them already, and `drawbridge explain` does when they are wanted.
  const programs = said("examples", ".ts").filter((path) => !path.includes("node_modules"));
  expect(programs.length).toBeGreaterThan(6);
  // That of the article goes with the bridge that it will make itself.
  const others = programs.filter((path) => path !== "examples/leak-fence/index.ts");
  expect(others.filter((path) => /\.rules\b/.test(read(path)))).toEqual([]);
});

/** As the usual Markdown sites name a heading. */
const anchors = (page: string) =>
  [...page.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^\w -]/g, "")
      .replaceAll(" ", "-"),
  );

test("docs/reference is what the docstrings say; run npm run docs", () => {
  expect(stalePages()).toEqual([]);
});

test("docs/errors.md has a heading for every error code, and for nothing else", () => {
  const [, type = ""] = /export type ErrorCode =([^;]*);/.exec(read("src", "core", "errors.ts")) ?? [];
  const codes = [...type.matchAll(/"([a-z-]+)"/g)].map(([, code]) => code);
  const headings = [...read("docs", "errors.md").matchAll(/^## `([a-z-]+)`$/gm)].map(([, code]) => code);
  expect(codes.length).toBeGreaterThan(10);
  expect(headings.sort()).toEqual(codes.sort());
});

test.each(pages)("the links of %s lead somewhere", (page) => {
  for (const [link, target = "", anchor] of read(page).matchAll(/\]\(([^):#]*)(?:#([^)]*))?\)/g)) {
    const path = join(root, target === "" ? page : join(dirname(page), target));
    expect({ link, exists: existsSync(path) }).toEqual({ link, exists: true });
    if (anchor !== undefined && statSync(path).isFile()) expect(anchors(readFileSync(path, "utf8"))).toContain(anchor);
  }
});

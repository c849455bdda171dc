import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { stalePages } from "../../tools/docs";

const root = join(__dirname, "..", "..");
const read = (...path: string[]) => readFileSync(join(root, ...path), "utf8");
const pages = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].concat(
  ["docs", "docs/reference"].flatMap((folder) =>
    readdirSync(join(root, folder)).flatMap((name) => (name.endsWith(".md") ? [`${folder}/${name}`] : [])),
  ),
);

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

import { type LabHost, startHost } from "../../tools/lab";
import { hostText, Stack } from "./stack";

let host: LabHost;
let stack: Stack;
const SOON = new Date(Date.now() + 3_600_000).toISOString();
const OVER = "2026-01-01T00:00:00+01:00";
const make = (kind: string, name: string, own: string) => `new drawbridge.${kind}("${name}", { ${hostText(host)}, ${own} });`;
const program = (end: string, port = 443) =>
  [
    make("Allow", "audit", `hook: "forward", protocol: "tcp", ports: [${port}], until: "${end}"`),
    make("Deny", "guest", `hook: "forward", from: ["203.0.113.66"], until: "${end}"`),
    make("DefaultDrop", "forward", `hook: "forward", allow: [{ service: "dns" }, { service: "https", until: "${end}" }]`),
  ].join("\n");
/** What is said of one resource: its block of the CLI's diagnostics. */
const saidOf = (text: string, name: string) =>
  (text.split("Diagnostics:")[1] ?? "").split(/^ {2}(?=\S)/m).find((block) => block.includes(`(${name})`)) ?? "";
const keptEnd = async () => (await stack.resources()).find(({ urn }) => urn.endsWith("::audit"))?.inputs["until"];

beforeAll(async () => {
  host = await startHost();
  stack = await Stack.create(program(SOON));
});
afterAll(async () => {
  stack.dispose();
  await host.down();
});

test("what ends is made with a beginning, which stays, and is no difference afterwards", async () => {
  expect(await stack.expect("up", "--yes")).not.toContain("expired");
  const first = await keptEnd();
  expect(first).toMatch(new RegExp(`^\\d{4}-\\d\\d-\\d\\dT00:00:00Z/${SOON}$`));
  expect(await stack.expect("preview", "--refresh", "--expect-no-changes")).not.toContain("expired");
  stack.program(program(SOON, 8443));
  await stack.expect("up", "--yes", "--skip-preview");
  expect(await keptEnd()).toBe(first);
});

test("what has ended is said by preview, up and refresh, and fails none of them", async () => {
  stack.program(program(OVER));
  const texts = [
    await stack.expect("preview"),
    await stack.expect("up", "--yes", "--skip-preview"),
    await stack.expect("preview", "--expect-no-changes"),
    await stack.expect("refresh", "--yes", "--skip-preview"),
  ];
  for (const text of texts) {
    for (const name of ["audit", "guest"]) expect(saidOf(text, name)).toContain(`until: expired at ${OVER}; `);
    expect(saidOf(text, "forward")).toContain(`allow[1].until: expired at ${OVER}; `);
    expect(text).not.toContain("warning");
  }
});

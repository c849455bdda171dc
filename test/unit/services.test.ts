import { readFileSync } from "node:fs";
import { join } from "node:path";
import { portsOfService, SERVICE_NAMES } from "../../src/core/netfilter/services";
import { formatPorts } from "../../src/core/values/ports";

test("docs/default-drop.md lists every service as it is", () => {
  const page = readFileSync(join(__dirname, "..", "..", "docs", "default-drop.md"), "utf8");
  const rows = [...page.matchAll(/^\| `([\w-]+)` \| ((?:udp|tcp) .*) \|$/gm)].map(([, name, ports]) => [name, ports]);
  const expected = SERVICE_NAMES.map((name) => [
    name,
    portsOfService(name)
      .map(
        ({ protocol, ports, sourcePorts }) =>
          `${protocol} ${formatPorts(ports)}${sourcePorts === undefined ? "" : ` from port ${formatPorts(sourcePorts)}`}`,
      )
      .join(", "),
  ]);
  expect(rows).toEqual(expected);
});

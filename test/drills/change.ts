import { randomBytes } from "node:crypto";
import type { Change } from "../../dist/host/transaction";

/** A change as a kind would make it, of whatever stands in its files. */
export function change(
  name: string,
  files: Readonly<Record<string, string>>,
  options: Partial<Pick<Change, "deadlineSeconds" | "onStatus">> = {},
): Change {
  const owner = randomBytes(16).toString("hex");
  return {
    label: `Test ${name}`,
    action: "created",
    object: name,
    owner,
    puts: Object.entries(files).map(([path, text]) => ({
      path,
      mode: path.startsWith("/etc/sudoers.d") ? "0440" : "0644",
      text: `# drawbridge 1\n# from drills/lab ${name}\n# object ${name}\n# owner ${owner}\n${text}`,
    })),
    keeps: [],
    drops: [],
    held: [],
    deadlineSeconds: 6,
    changesFacts: false,
    adopt: false,
    onStatus: () => undefined,
    ...options,
  };
}

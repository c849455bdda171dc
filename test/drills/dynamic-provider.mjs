// A provider's process as the engine runs it, for drills that kill it: changes resources as the first argument says and prints what
// became of each. src/provider.ts knows such a process by this file's name.
import { channel } from "node:diagnostics_channel";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const programs = require("../../dist/host/program.js");
const { forKind } = require("../../dist/provider.js");

const { program, changes, holder } = JSON.parse(process.argv[2]);
if (program !== undefined) {
  const text = readFileSync(program);
  const value = (name) => new RegExp(`^${name}=(\\S+)$`, "m").exec(text)[1];
  programs.hostProgram = () => ({ text, version: value("VERSION"), digest: value("DIGEST") });
}
// What a first Ctrl-C makes of the engine's Cancel call.
process.on("SIGUSR2", () =>
  channel("http2.server.stream.start").publish({ headers: { ":path": "/pulumirpc.ResourceProvider/Cancel" } }),
);

const outcomes = await Promise.all(
  changes.map(async ({ kind, id, olds, args, origin }) => {
    const provider = forKind(kind);
    try {
      if (args === undefined) {
        await provider.delete(id, olds);
        return {};
      }
      const { inputs, failures } = await provider.check({}, { ...args, __origin: origin });
      if (failures) throw new Error(JSON.stringify(failures));
      return { outs: (await provider.update(id, { ...inputs, ...olds }, inputs)).outs };
    } catch (error) {
      return { error: error.message ?? String(error), code: error.failure?.code, reasons: error.reasons, outs: error.properties };
    }
  }),
);
process.stdout.write(JSON.stringify(outcomes), () => process.exit(0));

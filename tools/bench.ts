// What `npm run bench` measures, and how it is shown. Runs under tools/in-lab.mjs.
import { parseArgs } from "node:util";
import { allows } from "./bench/allows";
import { ansible } from "./bench/ansible";
import { hundredResources, manyHosts, manyRules, oneResource, thousandResources } from "./bench/cli";
import { confirmation } from "./bench/confirmation";
import { type Figure, isMet, table } from "./bench/figure";
import { guard } from "./bench/guard";
import { kinds } from "./bench/kinds";
import { largeFence, manyNetworks } from "./bench/large";
import { others } from "./bench/others";
import { sets } from "./bench/sets";
import { waves } from "./bench/waves";

const measurements = [
  waves,
  others,
  kinds,
  confirmation,
  sets,
  largeFence,
  guard,
  manyNetworks,
  allows,
  oneResource,
  manyRules,
  ansible,
  hundredResources,
  manyHosts,
  thousandResources,
];

const began = Date.now();
const say = (text: string) => process.stderr.write(`[${Math.round((Date.now() - began) / 1000)} s] ${text}\n`);

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { json: { type: "boolean" }, only: { type: "string" } } });
  const pattern = new RegExp(values.only ?? "");
  const chosen = measurements.filter(({ title }) => pattern.test(title));
  if (chosen.length === 0) throw new Error(`--only takes a part of: ${measurements.map(({ title }) => title).join("; ")}`);
  const figures: Figure[] = [];
  for (const { title, measure } of chosen) {
    try {
      const measured = await measure((text) => say(`${title}: ${text}`));
      for (const one of measured) say(`${title}: ${one.name}: ${one.value}${isMet(one) ? "" : ` (goal: ${one.goal})`}`);
      figures.push(...measured);
    } catch (error) {
      // No figure of a run that failed; the others are as good as before.
      say(`${title}: FAILED, no figure of it is shown: ${error instanceof Error ? error.message : String(error)}`);
      process.exitCode = 1;
    }
  }
  process.stdout.write(values.json === true ? `${JSON.stringify(figures, null, 2)}\n` : `\n${table(figures)}\n`);
}

process.on("SIGINT", () => process.exit(130));
main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});

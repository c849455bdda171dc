import { createRequire } from "node:module";
import { join } from "node:path";

const MODULE = "pulumi-drawbridge/provider";

/**
 * The text that Pulumi keeps in the state of every resource and evaluates for each operation, destroy included. A WIRE FORMAT:
 * it must never change. It only asks the installed package, so that today's code runs on every state. The second way is for
 * package managers that link direct dependencies only.
 */
export function shim(kind: string): string {
  checkOnce();
  return `exports.handler=()=>{let r=require,s="${MODULE}";try{r.resolve(s)}catch{r=r.main.require.bind(r.main)}return r(s).forKind("${kind}")}`;
}

let checked = false;

/** Says at once, in the program, what the provider process would only say in the middle of an update. */
function checkOnce(): void {
  if (checked) return;
  checked = true;
  for (const from of [join(process.cwd(), "x.js"), require.resolve("@pulumi/pulumi")]) {
    try {
      createRequire(from).resolve(MODULE);
      return;
    } catch {
      // The other way may find it.
    }
  }
  throw new Error(
    `${MODULE} is not found from ${process.cwd()}: add pulumi-drawbridge to the dependencies of the package that holds Pulumi.yaml (npm install pulumi-drawbridge)`,
  );
}

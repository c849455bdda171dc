import { readFile } from "node:fs/promises";

/** The text of a file beside the program, or why it cannot be read. The engine starts this process in the folder of Pulumi.yaml, from which paths count. */
export async function textBeside(path: string): Promise<{ readonly text: string } | { readonly reason: string }> {
  try {
    return { text: await readFile(path, "utf8") };
  } catch (error) {
    return { reason: `cannot be read from the folder of Pulumi.yaml: ${error instanceof Error ? error.message : String(error)}` };
  }
}

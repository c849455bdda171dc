import { z } from "zod";
import { type FileHeader, type HostFile, renderHeader } from "../files/host-file";
import type { Drift } from "../files/drift";
import { absolutePath, accountName } from "../values/names";

// visudo and the kernel take more; what is refused here has no place in a path of a program, or is syntax of sudoers.
const commandPath = absolutePath.refine((path) => !path.endsWith("/"), "is a folder, which would allow every program in it");

const argument = z
  .string()
  .min(1, "is empty, and sudo cannot tell that from no argument")
  .max(1000, "must have at most 1000 characters")
  .regex(/^\S*$/, 'contains white space: sudo joins arguments with blanks, so that "a b" would also allow a and b apart')
  .regex(/^[\s\x21-\x7e]*$/, "must be printable ASCII");

const defaultsName = z.string().regex(/^[a-z][a-z0-9_]{0,40}$/, "must be the name of a Defaults setting in sudoers(5)");
const defaultsText = z
  .string()
  .max(400, "must have at most 400 characters")
  .regex(/^[\x20-\x7e]*$/, "must be one line of printable ASCII")
  .regex(/^[^"\\]*$/, 'must not contain " or \\');

// Lists of Defaults name variables of the environment, with sudo's wildcards.
const variable = z.string().regex(/^[A-Za-z_*][A-Za-z0-9_*%=-]{0,100}$/, "must be the name of an environment variable");

/** SudoRule's own arguments; see the class for their meaning. */
export const sudoRule = z.strictObject({
  users: z.array(accountName).default([]),
  groups: z.array(accountName).default([]),
  runAsUser: accountName.default("root"),
  runAsGroup: accountName.optional(),
  commands: z
    .array(z.strictObject({ path: commandPath, args: z.array(argument).default([]) }))
    .min(1, "must name at least one command"),
  nopasswd: z.boolean().default(false),
  noexec: z.boolean().default(false),
  setenv: z.boolean().default(false),
  commandDefaults: z
    .record(defaultsName, z.union([z.boolean(), z.number().int(), defaultsText, z.array(variable).min(1)]))
    .default({}),
});
export type SudoRuleIntent = z.infer<typeof sudoRule>;

/** Path of the file; sudo skips names with a `.` or a final `~`, which object names never have. */
export function sudoersPath(object: string): string {
  return `/etc/sudoers.d/drawbridge-${object}`;
}

/** One `Defaults!` line per command and setting, then one rule per command. Ids sort in the order in which sudo reads. */
export function compileSudoRule(intent: SudoRuleIntent): Record<string, string> {
  const lines: [string, string][] = [];
  const paths = [...new Set(intent.commands.map(({ path }) => path))];
  for (const path of paths) {
    for (const [name, value] of Object.entries(intent.commandDefaults))
      lines.push([`10 defaults ${path} ${name}`, `Defaults!${path} ${renderDefault(name, value)}`]);
  }
  intent.commands.forEach(({ path, args }, index) => {
    const number = String(index + 1).padStart(3, "0");
    lines.push([`50 allow ${number} ${path}`, renderRule(intent, path, args)]);
  });
  return Object.fromEntries(lines);
}

/** Rule id to what the line means. */
export function explainSudoRule(intent: SudoRuleIntent): Record<string, string> {
  const who = [...intent.users, ...intent.groups.map((group) => `whoever is in ${group}`)].join(", ");
  const as = intent.runAsGroup === undefined ? intent.runAsUser : `${intent.runAsUser} with the group ${intent.runAsGroup}`;
  const password = intent.nopasswd ? "without a password" : "with a password";
  return Object.fromEntries(
    Object.keys(compileSudoRule(intent)).map((id) => [
      id,
      id.startsWith("10 ")
        ? "holds for this program, whoever runs it by sudo"
        : `${who} may run just this command line as ${as}, ${password}`,
    ]),
  );
}

/** The file, with one `# grants` line per user or group and command, by which the host asks sudo what it makes of it all. */
export function renderSudoersFile(header: FileHeader, intent: SudoRuleIntent): HostFile {
  const grants = grantsOf(intent).map(
    ({ who, command }) => `# grants ${who} ${intent.runAsUser} ${intent.runAsGroup ?? "-"} ${command}`,
  );
  const lines = [...renderHeader(header), ...grants, ...Object.values(compileSudoRule(intent))];
  return { path: sudoersPath(header.object), text: `${lines.join("\n")}\n`, mode: "0440" };
}

/** In the order of the file's `# grants` lines. */
export function grantsOf({ users, groups, commands }: SudoRuleIntent): { who: string; command: string }[] {
  const who = [...users, ...groups.map((group) => `%${group}`)];
  return commands.flatMap(({ path, args }) => who.map((name) => ({ who: name, command: [path, ...args].join(" ") })));
}

function renderRule(
  { users, groups, runAsUser, runAsGroup, nopasswd, noexec, setenv }: SudoRuleIntent,
  path: string,
  args: readonly string[],
): string {
  const who = [...users, ...groups.map((group) => `%${group}`)].join(", ");
  const runAs = runAsGroup === undefined ? runAsUser : `${runAsUser} : ${runAsGroup}`;
  const tags = [nopasswd ? "NOPASSWD:" : "PASSWD:", noexec ? "NOEXEC:" : "EXEC:", setenv ? "SETENV:" : "NOSETENV:"];
  // `""` means: no argument at all. Nothing would mean: any.
  return `${who} ALL=(${runAs}) ${tags.join(" ")} ${path} ${args.length === 0 ? '""' : escapeArguments(args)}`;
}

/**
 * So that sudoers(5) reads each argument as itself: its own special characters, then fnmatch's, then the `^…$` that sudo 1.9.10
 * and later takes for a regular expression. A backslash is unquoted twice, by the parser and by fnmatch.
 * An escaped `"` is a syntax error, and `""` alone would also allow no argument.
 */
export function escapeArguments(args: readonly string[]): string {
  const text = args.join(" ");
  if (text === '""') return '["]"';
  return text.replace(/\\|[*?[\]!]|[,:=#]|^\^/g, (character) => (character === "\\" ? "\\\\\\\\" : `\\${character}`));
}

function renderDefault(name: string, value: boolean | number | string | readonly string[]): string {
  if (typeof value === "boolean") return value ? name : `!${name}`;
  if (typeof value === "number") return `${name}=${value}`;
  if (typeof value === "string") return `${name}="${value}"`;
  return `${name}+="${value.join(" ")}"`;
}

/** A rule for nobody would load and grant nothing. */
export function reviewSudoRule({ users, groups }: SudoRuleIntent): { property: string; reason: string }[] {
  return users.length + groups.length > 0
    ? []
    : [{ property: "users", reason: "name at least one user, or one group in `groups`" }];
}

/** What sudo makes of the rule with all its files together, and who could put another program in the place of one of the rule's. */
export function compareSudoEffect(intent: SudoRuleIntent, answers: readonly string[] | undefined): Drift {
  return new Map(
    grantsOf(intent).flatMap(({ who, command }, index): [string, string][] => {
      const answer = answers?.[index] ?? "";
      const [, changeable] = /^changeable (.*)$/.exec(answer) ?? [];
      if (changeable !== undefined)
        return [[`changeable: ${command.split(" ")[0] ?? ""}`, `${changeable}, who could put another program in its place`]];
      const reason = NO_EFFECT[answer];
      return reason === undefined ? [] : [[`overridden: ${who}: ${command}`, reason]];
    }),
  );
}

const NO_EFFECT: Readonly<Record<string, string>> = {
  denied: "sudo refuses it: another file of sudoers comes later and wins",
  "unknown-user": "the user, or the one to run as, does not exist on the host",
  unasked: "sudo did not say what it makes of it",
};

/** What `up` cannot mend, for it is not ours: other rules that let the users run the same program, and whose password sudo asks for. */
export function warnOfForeignRights({ nopasswd }: SudoRuleIntent, lines: readonly string[] = []): string[] {
  return lines.flatMap((line) => {
    const [, user, file = "-", runas = "", program = ""] = /^may (\S+) (\S+) (\S+) (\S+)$/.exec(line) ?? [];
    const where = file === "-" ? "another file of sudoers" : file;
    const what = program === "ALL" ? "everything" : `${program} with other arguments, or any`;
    if (user !== undefined) return [`${user} may also run ${what} as ${runas}, by ${where}`];
    const [, asked, setting = ""] = /^asks (\S+) (\S+)$/.exec(line) ?? [];
    const whose = WHOSE_PASSWORD[setting];
    return asked === undefined || whose === undefined || nopasswd
      ? []
      : [`sudo asks ${asked} for ${whose}, since another file of sudoers sets ${setting}`];
  });
}

// Source: sudoers(5).
const WHOSE_PASSWORD: Readonly<Record<string, string>> = {
  targetpw: "the password of the user to run as, not for his own",
  runaspw: "the password of runas_default (root), not for his own",
  rootpw: "root's password, not for his own",
};

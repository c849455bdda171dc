// What in the host's program would take silence for consent, or a stranger for one of ours: patterns that shellcheck does not know.

/** Each with the reason that is printed. */
const PATTERNS = [
  {
    // POSIX 2.8.1: a failed redirection on a special built-in ends the shell, whatever stands behind `||`.
    pattern: /(^\s*|[;&|{(]\s*|\*\)\s*|\b(then|do|else)\s+):\s+(>|>>)/,
    reason: "a redirection that fails on `:` ends dash; write `true >file ||`",
  },
  {
    pattern: /(?<!command )\bexec [0-9]*(<>|>>|<|>)(?!&)/,
    reason: "a redirection that fails on `exec` ends dash; write `command exec … ||`, and `exec` alone only to close",
  },
  {
    pattern: /\bkill -0\b/,
    reason: "a number of a process may be somebody else's by now; hold a lock, or read its command line",
  },
  {
    pattern:
      /(^|\s)\w+=\$\((prepare|put_in_place|refusals|nft_refusal|held_refusals|sudoers_refusals|tables_in_place|install_all|held_tools)\b/,
    reason: "a step that died prints nothing, as one does that has nothing to say; write `ask VARIABLE STEP`",
  },
];

/** "line N: reason: text" for each fault of the program's text; comments are left out. */
export function faultsOf(program) {
  return program
    .split("\n")
    .flatMap((line, index) =>
      /^\s*#/.test(line)
        ? []
        : PATTERNS.filter(({ pattern }) => pattern.test(line)).map(
            ({ reason }) => `line ${index + 1}: ${reason}: ${line.trim()}`,
          ),
    );
}

/**
 * "line N: NAME is set in FUNCTION, and neither local there nor a constant": every assignment, also by `read` and `for`, in a function of
 * the text. What one function hands to another in a variable of both must be known to whoever reads either.
 */
export function globalsOf(text, constants) {
  const code = withoutQuotes(text);
  return functionsOf(code).flatMap(({ name, start, body }) => {
    const local = new Set([...body.matchAll(/\blocal ([\w ]+)/g)].flatMap(([, names]) => names.trim().split(/ +/)));
    return assignmentsOf(body, text.slice(start, start + body.length))
      .filter(({ variable }) => !local.has(variable) && !constants.has(variable) && !["_", "IFS"].includes(variable))
      .map(({ variable, at }) => {
        const line = text.slice(0, start + at).split("\n").length;
        return `line ${line}: ${variable} is set in ${name}, and neither local there nor a constant`;
      });
  });
}

/**
 * "line N: NAME is called and defined nowhere", for names of two words or more, as our functions have: behind `!` or `||` the shell takes a function
 * that is not there for an answer.
 */
export function undefinedOf(program) {
  const blank = (match) => match.replace(/[^\n]/g, "·");
  // Less what no command is: numbers that are computed, and patterns of `case`.
  const code = withoutQuotes(program)
    .replace(/\$\(\(.*?\)\)/g, blank)
    .replace(/^[ \t]*(case [^\n]*? in )?[\w.:*? |·-]+\)/gm, blank);
  const defined = new Set(functionsOf(code).map(({ name }) => name));
  return [...code.matchAll(new RegExp(`${COMMAND}(\\w*[a-z]_\\w+)(?=[ \\t;)]|$)`, "gm"))]
    .filter(([, name]) => !defined.has(name))
    .map((match) => {
      const line = code.slice(0, match.index + match[0].length).split("\n").length;
      return `line ${line}: ${match[1]} is called and defined nowhere`;
    });
}

/** How many lines of code one function may have: what is longer is not read at once. */
const LINES = 40;

/** "line N: NAME has M lines" for each function that is too long; texts and programs for others, in quotes or here-documents, do not count. */
export function longOf(text) {
  const code = withoutQuotes(text);
  return functionsOf(code).flatMap(({ name, start, body }) => {
    const lines = body.split("\n").filter((line) => /[^\s·]/.test(line)).length;
    return lines > LINES
      ? [`line ${code.slice(0, start).split("\n").length}: ${name} has ${lines} lines; ${LINES} can be read at once`]
      : [];
  });
}

/** The constants that a text sets outside of its functions. */
export function constantsOf(text) {
  return new Set([...text.matchAll(/^(?:.* )?([A-Z][A-Z_]*)=/gm)].map(([, name]) => name));
}

/** Each function whose name begins a line, by where it begins, and its text. */
function functionsOf(code) {
  return [...code.matchAll(/^(\w+)\(\) (?:[{(] .*|[{(]\n[^]*?\n[})])$/gm)].map((match) => ({
    name: match[1],
    start: match.index,
    body: match[0],
  }));
}

/** Where a command may begin: a line, or behind an operator, a keyword, a pattern of `case`, another assignment. */
const COMMAND = String.raw`(?:^|[;&|(){!]|\b(?:then|else|do|if|while|until|elif)[ \t])[ \t]*(?:\w+=[^ \t\n;&|()]* +)*`;

function assignmentsOf(body, original) {
  const found = [];
  const take = (pattern, names) => {
    for (const match of body.matchAll(pattern))
      for (const variable of names(match)) found.push({ variable, at: match.index + match[0].length - 1 });
  };
  take(new RegExp(`${COMMAND}(?=(\\w+)=)`, "gm"), ([, variable]) => [variable]);
  take(/\bfor (\w+) in\b/g, ([, variable]) => [variable]);
  take(/\bread -r ((?:\w+ *)+)/g, ([, names]) => names.trim().split(/ +/));
  // Into a variable that the caller names, as `read` does.
  take(/\b(?:ask|give|held_change|take_ticket|start_worker|link_joined|read_\w+) (\w+)/g, ([, variable]) => [variable]);
  for (const match of original.matchAll(/\$\{(\w+):?=/g)) found.push({ variable: match[1], at: match.index });
  return found;
}

/** The text, of the same length, with "·" for what stands in quotes, in comments, in here-documents, and for continued lines. */
function withoutQuotes(text) {
  let result = "";
  // What we are in, the innermost last: code, '…', "…", and within these ${…} and $(…).
  const inside = ["code"];
  for (let at = 0; at < text.length;) {
    const rest = text.slice(at);
    const now = inside.at(-1);
    let length = 1;
    let shown = false;
    if (now === "single") {
      if (rest[0] === "'") inside.pop();
    } else if (rest[0] === "\\") {
      length = 2;
    } else if (
      now !== "code" &&
      ((now === "double" && rest[0] === '"') || (now === "brace" && rest[0] === "}") || (now === "command" && rest[0] === ")"))
    ) {
      inside.pop();
    } else if (rest[0] === '"') {
      inside.push("double");
    } else if (rest[0] === "'" && (now === "code" || now === "command")) {
      inside.push("single");
    } else if (now !== "code" && rest.startsWith("${")) {
      inside.push("brace");
    } else if (now !== "code" && (rest.startsWith("$(") || (now === "command" && rest[0] === "("))) {
      inside.push("command");
      length = rest[0] === "$" ? 2 : 1;
    } else if (now === "code" && /^<<-?'?(\w+)'?.*\n/.test(rest)) {
      const [line, word] = /^<<-?'?(\w+)'?.*\n/.exec(rest);
      const end = new RegExp(`^\\t*${word}$`, "m").exec(rest.slice(line.length));
      length = end === null ? rest.length : line.length + end.index + end[0].length;
    } else if (now === "code" && rest[0] === "#" && /(^|\s)$/.test(result.slice(-1))) {
      length = /^.*/.exec(rest)[0].length;
    } else {
      shown = now === "code";
    }
    const part = text.slice(at, at + length);
    // A line that goes on is one line.
    result += shown ? part : part === "\\\n" ? "  " : part.replace(/./g, "·");
    at += length;
  }
  return result;
}

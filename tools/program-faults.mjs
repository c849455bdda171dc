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
      /(^|\s)\w+=\$\((prepare|put_in_place|refusals|nft_refusal|links_refusals|sudoers_refusals|tables_in_place|install_all|links_tools)\b/,
    reason: "a step that died prints nothing, as one does that has nothing to say; write `ask STEP`",
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

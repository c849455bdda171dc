/**
 * Characters that change what a terminal shows beside themselves: C0 (less tab and line feed), DEL, C1, zero-width and
 * bidirectional ones, line and paragraph separators (Unicode 16, general categories Cc, Cf, Zl, Zp), and halves of pairs.
 */
const CONTROLS = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** A text of strangers for a terminal or a log: a control character shows as its number, `\x1b` or `\u202e`. Lines stay lines. */
export function printable(text: string): string {
  return text.replaceAll("\r\n", "\n").replace(CONTROLS, (character) => {
    if (character === "\n" || character === "\t") return character;
    const number = (character.codePointAt(0) ?? 0).toString(16);
    return number.length > 2 ? `\\u${number.padStart(4, "0")}` : `\\x${number.padStart(2, "0")}`;
  });
}

/** The same as one line of at most `most` characters, so that it can neither forge another line nor fill the screen. */
export function printableLine(text: string, most = 2_000): string {
  const line = printable(text)
    .replace(/\s*\n\s*/g, " ")
    .trim();
  return line.length > most ? `${line.slice(0, most)} …` : line;
}

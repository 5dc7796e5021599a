/**
 * Characters that a terminal does not show but interprets, and characters that break or reorder a line. The list
 * contains the control characters C0 (with line ends and tabs), DEL and C1. It also contains the separators U+2028 and
 * U+2029, and the bidirectional controls.
 */
export const controls =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it looks for
  /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

const short: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** A control character as JSON escapes it: `\n`, `\u001b`. */
const spelt = (control: string): string =>
  short[control] ?? `\\u${control.charCodeAt(0).toString(16).padStart(4, "0")}`;

/** Converts text to one line that cannot move the cursor: its control characters are escaped. */
export const oneLine = (text: string): string => text.replace(controls, spelt);

const isHalfOf = (text: string, index: number): boolean => {
  const before = text.charCodeAt(index - 1);
  const after = text.charCodeAt(index);
  return before >= 0xd800 && before <= 0xdbff && after >= 0xdc00 && after <= 0xdfff;
};

/**
 * Shortens text to at most `most` UTF-16 units (1 or more) by replacing its middle with an ellipsis. The function never
 * splits a surrogate pair.
 */
export const shorten = (text: string, most: number): string => {
  if (text.length <= most) return text;
  const kept = Math.max(0, most - 1);
  const head = Math.ceil(kept / 2);
  const tail = text.length - (kept - head);
  return `${text.slice(0, isHalfOf(text, head) ? head - 1 : head)}…${text.slice(isHalfOf(text, tail) ? tail + 1 : tail)}`;
};

/** Whether a text is code, which is shown in a monospaced font. */

/**
 * The first characters of a text, up to this number, decide whether the text is code. After that, a growing text keeps
 * its font.
 */
const decisive = 200;
/** Minimum number of characters for a decision. */
const least = 12;
/**
 * Maximum share of code characters in prose. Prose has about one code character in 200 characters; code has one in 12.
 */
const mostInProse = 0.045;

/** Characters that are common in code and rare in prose. Also indentation, and closing quotes as in JSON. */
const signs = /[{}[\]()<>=;_/\\|&*+$#@~^`]|^(?: {2,}|\t+)(?=\S)|["'](?=[:,)\]}])/gmu;

/**
 * Prose with the same characters: marks at the beginning of a line of Markdown, emphasis, links and `code`, and words in
 * brackets. Brackets directly after a name are a call or an index.
 */
const inProse = [
  /^[ \t]*(?:[-*+]|#{1,6}|>+|\d+[.)])[ \t]+/gmu,
  /(\*\*|__|\*|_)(?=\S)(?:(?!\1).)+?(?<=\S)\1(?!\w)/gu,
  /\[[^\]\n]*\]\([^)\n]*\)|`+[^`\n]+`+/gu,
  /(?<![\w)\]])(?:\([^()\n]+\)|\[[^[\]\n]+\])(?![\w([{;:])/gu,
];

export const looksLikeCode = (text: string): boolean => {
  const beginning = text.slice(0, decisive);
  const { length } = beginning.replace(/\s+/gu, "");
  const rest = inProse.reduce((left, prose) => left.replace(prose, ""), beginning);
  return length >= least && (rest.match(signs)?.length ?? 0) > mostInProse * length;
};

/** CSS class for an element that shows a written text. */
export const writtenClass = (text: string): string => (looksLikeCode(text) ? "written code" : "written");

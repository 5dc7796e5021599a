/** Whether a text is code, which is read in a face with characters of one width. */

/** So much of a text decides: one that grows does not change its face later on. */
const decisive = 200;
/** Of fewer characters nothing follows. */
const least = 12;
/** Prose has about one such sign among 200 characters, code one among 12. */
const mostInProse = 0.045;

/** Signs that code has, and prose hardly, lines that begin further in, and ends of quotes as in JSON. */
const signs = /[{}[\]()<>=;_/\\|&*+$#@~^`]|^(?: {2,}|\t+)(?=\S)|["'](?=[:,)\]}])/gmu;

export const looksLikeCode = (text: string): boolean => {
  const beginning = text.slice(0, decisive);
  const { length } = beginning.replace(/\s+/gu, "");
  return length >= least && (beginning.match(signs)?.length ?? 0) > mostInProse * length;
};

/** The class of an element that shows a text as it was written. */
export const writtenClass = (text: string): string => (looksLikeCode(text) ? "written code" : "written");

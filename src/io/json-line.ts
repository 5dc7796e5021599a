/** Parses lines of JSON, such as a run's events. */

/**
 * Maximum number of opening brackets in a line. An event has a few dozen. A forged line with more brackets could be
 * nested so deeply that it cannot be written again.
 */
const mostBrackets = 1000;

/** The value of a line; undefined if the line is not JSON, for example because a killed process left it unfinished. */
export const parseLine = (line: string): unknown => {
  // Checked first, because a damaged file may have millions of empty lines, and an exception for each is slow.
  if (line.length < 2) return undefined;
  if (line.length > mostBrackets && line.replace(/[^[{]+/gu, "").length > mostBrackets) return undefined;
  try {
    return JSON.parse(line) as unknown;
  } catch {
    return undefined;
  }
};

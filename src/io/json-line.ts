/** Parses lines of JSON, such as a run's events. */

/**
 * Maximum number of opening brackets in a line. An event has a few dozen brackets. A forged line with more brackets
 * could be nested too deeply to be written again.
 */
const mostBrackets = 1000;

/**
 * Parses the value of a line. Returns undefined if the line is not JSON, for example because a killed process left it
 * unfinished.
 */
export const parseLine = (line: string): unknown => {
  // Empty lines are checked first: a damaged file may have millions of them, and an exception for each line is slow.
  if (line.length < 2) return undefined;
  if (line.length > mostBrackets && line.replace(/[^[{]+/gu, "").length > mostBrackets) return undefined;
  try {
    return JSON.parse(line) as unknown;
  } catch {
    return undefined;
  }
};

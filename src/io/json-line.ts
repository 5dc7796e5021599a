/** Lines of JSON, as a run's notes have them. */

/** Most brackets of a line: an event has some dozens, and a forged line with more could be too deep to write again. */
const mostBrackets = 1000;

/** A line's value, or undefined if it is no JSON, such as a line that a killed process left unfinished. */
export const parseLine = (line: string): unknown => {
  // A damaged file may have millions of empty lines, and an exception for each takes long.
  if (line.length < 2) return undefined;
  if (line.length > mostBrackets && line.replace(/[^[{]+/gu, "").length > mostBrackets) return undefined;
  try {
    return JSON.parse(line) as unknown;
  } catch {
    return undefined;
  }
};

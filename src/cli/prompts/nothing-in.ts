import { existsSync } from "node:fs";

/** What a file without any line of text is, for an error. @param lines number of its lines, all of them empty. */
export const nothingIn = (path: string, lines: number): string =>
  `${path}: ${lines > 0 ? "empty lines" : existsSync(path) ? "an empty file" : "no such file"}`;

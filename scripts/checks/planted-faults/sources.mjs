// The code in which faults are planted. The text of a fault's lines gives its place, even if the lines have moved.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * @typedef {Map<string, string>} Sources the text of each file by its path, with "/"
 * @typedef {{ snippet: string, becomes: string }} Change whole lines, and the lines that replace them
 * @typedef {Change & { id: string, kind: string, file: string, later?: Change[] }} Fault `later`: the same change for
 * commits that changed the lines after the fault was drawn
 */

/** Files that the build of this check does not compile: another addon, tests, and generated files. */
const others = ["native/test/", "native/mpi", "native/probe.cc", "native/generated/"];

/**
 * @param {string} tree its root
 * @returns {Sources}
 */
export const readSources = (tree) => {
  const files = ["native", "src", "web"].flatMap((area) =>
    readdirSync(join(tree, area), { recursive: true, encoding: "utf8" }).map((path) => `${area}/${path}`),
  );
  const code = files.filter(
    (file) =>
      /\.(ts|tsx|cc|h)$/.test(file) && !file.endsWith(".d.ts") && !others.some((other) => file.startsWith(other)),
  );
  return new Map(code.sort().map((file) => [file, readFileSync(join(tree, file), "utf8")]));
};

/** Lines without indentation, because indentation changes when code moves into a function or out of a function. */
const unindented = (text) => `\n${text.replace(/^[ \t]+/gm, "")}\n`;

/** @type {Map<string, string>} */
const known = new Map();
/** Lines of a whole file without indentation, cached because they are needed often. */
const unindentedFile = (text) => known.get(text) ?? known.set(text, unindented(text)).get(text) ?? "";

/** Number of times that `snippet` occurs in `text` as whole lines. */
const countIn = (text, snippet) => unindentedFile(text).split(unindented(snippet)).length - 1;

/**
 * The lines that contain a range of a file, with enough lines around them to make the text unique in the sources.
 * @param {Sources} sources
 * @param {string} file
 * @param {{ start: number, end: number, replacement: string }} place
 * @returns {{ snippet: string, becomes: string }}
 */
export const snippetOf = (sources, file, { start, end, replacement }) => {
  const text = sources.get(file) ?? "";
  let from = text.lastIndexOf("\n", start - 1) + 1;
  let to = text.indexOf("\n", end);
  if (to === -1) throw new Error(`${file}: must end with a line's end`);
  const isUnique = () => {
    const snippet = text.slice(from, to);
    let count = 0;
    for (const other of sources.values()) count += countIn(other, snippet);
    return count === 1;
  };
  for (let before = true; !isUnique(); before = !before) {
    if (from === 0 && to >= text.length - 1) throw new Error(`${file}: is in the sources twice`);
    if (before && from > 0) from = text.lastIndexOf("\n", from - 2) + 1;
    else if (to < text.length - 1) to = text.indexOf("\n", to + 1);
  }
  return { snippet: text.slice(from, to), becomes: text.slice(from, start) + replacement + text.slice(end, to) };
};

/**
 * Finds the lines of a fault in the current code: in the listed file, or in the only other file with these lines.
 * @param {Sources} sources
 * @param {Fault} fault
 * @returns {{ file: string, change: Change }}
 */
export const locate = (sources, { id, file, snippet, becomes, later = [] }) => {
  for (const change of [{ snippet, becomes }, ...later]) {
    const here = countIn(sources.get(file) ?? "", change.snippet);
    if (here === 1) return { file, change };
    if (here > 1) throw new Error(`${id}: ${file} has its lines ${here} times; list more lines around them`);
    const found = [...sources].filter(([, text]) => countIn(text, change.snippet) > 0);
    if (found.length > 1 || found.some(([, text]) => countIn(text, change.snippet) > 1)) {
      const names = found.map(([name]) => name).join(", ");
      throw new Error(`${id}: its lines, once in ${file}, are in several places: ${names}`);
    }
    for (const [name] of found) return { file: name, change };
  }
  throw new Error(`${id}: its lines, once in ${file}, were not found; add \`later\` lines, or draw another fault`);
};

/**
 * The text of the file that `locate` found, with the fault in it.
 * @param {string} text
 * @param {Change} change
 */
export const planted = (text, { snippet, becomes }) => {
  const lines = text.split("\n");
  const wanted = snippet.split("\n").map((line) => line.trimStart());
  const at = lines.findIndex((_, i) => wanted.every((line, j) => lines[i + j]?.trimStart() === line));
  if (at === -1) throw new Error("the text must have the lines of the fault");
  return [...lines.slice(0, at), ...becomes.split("\n"), ...lines.slice(at + wanted.length)].join("\n");
};

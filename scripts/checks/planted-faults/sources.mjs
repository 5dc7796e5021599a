// The code that faults are planted in, and how a fault is found again in it: by the text of its lines, wherever they are now.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * @typedef {Map<string, string>} Sources the text of each file by its path, with "/"
 * @typedef {{ id: string, kind: string, file: string, snippet: string, becomes: string }} Fault whole lines, and what they become
 */

/** What the build does not compile here: another addon, tests, and what the build writes. */
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

/** How often `snippet` is in `text`, as whole lines. */
const countIn = (text, snippet) => `\n${text}`.split(`\n${snippet}\n`).length - 1;

/**
 * The lines that hold a range of a file, with as many around them as no other place of the sources has.
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
 * The file that holds a fault's snippet now: the one that the list names, or else the only other one.
 * @param {Sources} sources
 * @param {Fault} fault
 * @returns {string}
 */
export const locate = (sources, { id, file, snippet }) => {
  const here = countIn(sources.get(file) ?? "", snippet);
  if (here === 1) return file;
  if (here > 1) throw new Error(`${id}: ${file} has its lines ${here} times; give the list more lines around them`);
  const found = [...sources].filter(([, text]) => countIn(text, snippet) > 0);
  if (found.length === 0)
    throw new Error(`${id}: its lines, once in ${file}, are nowhere now; draw another fault for it`);
  if (found.length > 1 || countIn(found[0][1], snippet) > 1)
    throw new Error(
      `${id}: its lines, once in ${file}, are in several places: ${found.map(([name]) => name).join(", ")}`,
    );
  return found[0][0];
};

/**
 * The text of the file that `locate` found, with the fault in it.
 * @param {string} text
 * @param {Fault} fault
 */
export const planted = (text, { snippet, becomes }) =>
  `\n${text}`.split(`\n${snippet}\n`).join(`\n${becomes}\n`).slice(1);

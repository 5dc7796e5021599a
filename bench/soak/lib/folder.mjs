/** Compares files of runs, for the soak. */
import { createHash } from "node:crypto";
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";

const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

/**
 * All entries below `folder`, without following links or reading pipes. The value of a path is a word, which changes
 * when the entry changes.
 * @returns {Map<string, string>}
 */
export const treeOf = (folder, prefix = "", tree = new Map()) => {
  for (const name of readdirSync(folder).sort()) {
    const path = join(folder, name);
    const kind = lstatSync(path);
    if (kind.isDirectory()) {
      tree.set(`${prefix}${name}/`, "folder");
      treeOf(path, `${prefix}${name}/`, tree);
    } else if (kind.isSymbolicLink()) tree.set(`${prefix}${name}`, `link ${readlinkSync(path)}`);
    else if (kind.isFile()) tree.set(`${prefix}${name}`, sha256(readFileSync(path)));
    else tree.set(`${prefix}${name}`, "special");
  }
  return tree;
};

/** SHA-256 of every file of a run's checkpoints, by path. Equal runs have equal hashes. */
export const checkpointHashes = (run) => {
  const hashes = {};
  for (const folder of ["checkpoint", "best"]) {
    for (const file of readdirSync(join(run, folder)).sort())
      hashes[`${folder}/${file}`] = sha256(readFileSync(join(run, folder, file)));
  }
  return hashes;
};

/** The logged events without fields that depend on time or place. @throws if a line is not JSON. */
export const timelessMetrics = (run) => {
  const text = readFileSync(join(run, "metrics.jsonl"), "utf8");
  if (!text.endsWith("\n")) throw new Error("metrics.jsonl: the last line has no end");
  return text
    .slice(0, -1)
    .split("\n")
    .map((line) => {
      const { tokensPerSecond, path, out, threads, memory, availableMemory, ...rest } = JSON.parse(line);
      return JSON.stringify(rest);
    });
};

/** Differences between two runs that must be equal to the bit; undefined if there are none. */
export const differenceOf = (run, whole) => {
  const [hashes, expected] = [checkpointHashes(run), checkpointHashes(whole)];
  const files = [...new Set([...Object.keys(hashes), ...Object.keys(expected)])];
  const other = files.find((file) => hashes[file] !== expected[file]);
  if (other !== undefined) return `${other} is not the uninterrupted run's`;
  const [lines, expectedLines] = [timelessMetrics(run), timelessMetrics(whole)];
  const line = expectedLines.findIndex((one, i) => one !== lines[i]);
  if (line !== -1)
    return `metrics.jsonl: line ${line + 1} is ${lines[line]?.slice(0, 100)}, not ${expectedLines[line].slice(0, 100)}`;
  return lines.length === expectedLines.length
    ? undefined
    : `metrics.jsonl has ${lines.length} lines, not ${expectedLines.length}`;
};

/** A large text of different files, from what most machines have: sources, headers and documents. */
import { isUtf8 } from "node:buffer";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const roots = [
  fileURLToPath(new URL("../../node_modules", import.meta.url)),
  ...["/usr/include", "/usr/lib/python3", "/usr/share", "/usr/lib", "/usr/local/lib"],
];
const endings = /\.(md|ts|js|mjs|cjs|h|hpp|py|json|txt|html|css|pl|pm|tcl)$/u;
/** Larger files are mostly data, and smaller ones mostly alike. */
const [smallest, largest] = [500, 2_000_000];
/** Bytes per line on average: more are written by programs. */
const longestLines = 400;

/** Files below `folder` with a text's ending, sorted; links are not followed. */
function* filesIn(folder) {
  let entries;
  try {
    entries = readdirSync(folder, { withFileTypes: true });
  } catch {
    return;
  }
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* filesIn(path);
    else if (entry.isFile() && endings.test(entry.name)) yield path;
  }
}

/**
 * @param {number} bytes wanted
 * @returns about so many bytes of UTF-8: whole files, none of them twice; fewer if the machine has fewer.
 */
export const distinctText = (bytes) => {
  const parts = [];
  const seen = new Set();
  let total = 0;
  for (const root of roots) {
    for (const path of filesIn(root)) {
      if (total >= bytes) return Buffer.concat(parts);
      const contents = readFileSync(path);
      if (contents.length < smallest || contents.length > largest || !isUtf8(contents)) continue;
      if (contents.length / contents.toString().split("\n").length > longestLines) continue;
      const digest = createHash("sha256").update(contents).digest("hex");
      if (seen.has(digest)) continue;
      seen.add(digest);
      parts.push(contents);
      total += contents.length;
    }
  }
  return Buffer.concat(parts);
};

/** Updates a checkpoint's `manifest.json` to match its changed files, so that the SHA-256 does not show the damage. */
import { createHash } from "node:crypto";
import { existsSync, lstatSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const isHash = (value) => typeof value === "string" && /^[0-9a-f]{64}$/u.test(value);

/** Updates every entry for a file: a SHA-256, or an object with a SHA-256 and a size. */
const renewed = (value, folder, name) => {
  const path = name === undefined ? undefined : join(folder, name);
  const known = path !== undefined && existsSync(path) && lstatSync(path).isFile() ? readFileSync(path) : undefined;
  if (known !== undefined && isHash(value)) return createHash("sha256").update(known).digest("hex");
  if (typeof value !== "object" || value === null) return value;
  const own = typeof value.name === "string" ? value.name : name;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      if (known !== undefined && (key === "bytes" || key === "size")) return [key, known.length];
      return [key, renewed(inner, folder, isHash(inner) && !key.includes(".") ? own : key)];
    }),
  );
};

/** @param {string} folder of a checkpoint; nothing happens if it has no manifest, or if the manifest is not JSON. */
export const signAgain = (folder) => {
  const path = join(folder, "manifest.json");
  try {
    // The path may name a pipe instead of a file. Reading a pipe would block.
    if (!lstatSync(path).isFile()) return;
    writeFileSync(path, JSON.stringify(renewed(JSON.parse(readFileSync(path, "utf8")), folder, undefined), null, 2));
  } catch {
    // The manifest itself is damaged. The manifest is not changed, so that the program must notice the damage.
  }
};

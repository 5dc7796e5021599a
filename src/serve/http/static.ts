/** Serves files of a folder. This module never reads a file outside the folder. */
import { realpath } from "node:fs/promises";
import { extname, join, sep } from "node:path";
import { readRegularFile } from "../../core/system/regular-file.node.ts";

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".ico": "image/x-icon",
  ".json": "application/json; charset=utf-8",
  ".webmanifest": "application/manifest+json; charset=utf-8",
  ".woff2": "font/woff2",
  ".txt": "text/plain; charset=utf-8",
};

const maxBytes = 2 ** 26;

/**
 * Matches the file names that build tools make. A name may not be a hidden file or a parent folder, and may not contain
 * a path separator of any system.
 */
const plainName = /^[A-Za-z0-9_][A-Za-z0-9._-]*$/u;

/** Returns the path in the folder for an address, or undefined if the address cannot name a file of the folder. */
const pathIn = (folder: string, address: string): string | undefined => {
  const names = address.split("/").filter((name) => name !== "");
  return names.length > 0 && names.every((name) => plainName.test(name)) ? join(folder, ...names) : undefined;
};

/** Returns a file that is still in the folder after links are resolved, or undefined if there is no such file. */
const readIn = async (folder: string, path: string): Promise<Uint8Array | undefined> => {
  try {
    const [root, real] = await Promise.all([realpath(folder), realpath(path)]);
    return real.startsWith(root + sep) ? await readRegularFile(real, { maxBytes }) : undefined;
  } catch {
    return undefined;
  }
};

/** Matches a file name with a hash of the contents, as bundlers make it. A file with such a name never changes. */
const isHashed = (address: string): boolean => /^\/assets\/.*[.-][A-Za-z0-9_-]{8,}\.[a-z0-9]+$/u.test(address);

/**
 * Returns the file for an address. If there is no such file, returns the folder's index.html, because the page itself
 * handles other addresses.
 * @returns undefined if the folder has no index.html.
 */
export const staticAnswer = async (folder: string, address: string): Promise<Response | undefined> => {
  const named = pathIn(folder, address);
  const found = named === undefined ? undefined : await readIn(folder, named);
  const path = found === undefined || named === undefined ? join(folder, "index.html") : named;
  const bytes = found ?? (await readIn(folder, path));
  if (bytes === undefined) return undefined;
  return new Response(bytes as Uint8Array<ArrayBuffer>, {
    headers: {
      "Content-Type": types[extname(path)] ?? "application/octet-stream",
      "Cache-Control": found !== undefined && isHashed(address) ? "public, max-age=31536000, immutable" : "no-cache",
    },
  });
};

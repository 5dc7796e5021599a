/**
 * Writes ZIP archives (APPNOTE 6.3, without ZIP64). The files are not compressed, because weights do not compress well.
 */
import { checkText } from "../core/checks/check-arguments.ts";
import { isRecord } from "../core/checks/is-record.ts";
import { ConfigError } from "../core/errors/errors.ts";
import { show } from "../core/text/show.ts";

const crcTable = Int32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte;
  for (let bit = 0; bit < 8; bit++) rest = (rest >>> 1) ^ (rest & 1 ? 0xedb88320 : 0);
  return rest;
});

const crcOf = (bytes: Uint8Array): number => {
  let crc = -1;
  for (let i = 0; i < bytes.length; i++) {
    crc = (crc >>> 8) ^ (crcTable[(crc ^ (bytes[i] as number)) & 255] as number);
  }
  return ~crc >>> 0;
};

/** Encodes integers of two or four bytes, little-endian. */
const fieldsOf = (...fields: readonly (readonly [bytes: 2 | 4, value: number])[]): Uint8Array<ArrayBuffer> => {
  const view = new DataView(new ArrayBuffer(fields.reduce((sum, [bytes]) => sum + bytes, 0)));
  let at = 0;
  for (const [bytes, value] of fields) {
    if (bytes === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += bytes;
  }
  return new Uint8Array(view.buffer);
};

/** Names are UTF-8. */
const flags = 0x0800;
/** The date is always 1 January 1980, so that the same files give the same archive. */
const date = 0x0021;

const encoded = (path: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(path);

/**
 * Whether a path stays below the folder that the archive is unpacked to, on every system. Windows has drives such as
 * "C:", and drops dots and spaces at the end of a name.
 */
const isInside = (path: string): boolean =>
  !/[\\:\0]/u.test(path) && path.split("/").every((part) => !/^[. ]*$/u.test(part));

/** Finds a path that is also the folder of another path. */
const folderAmong = (paths: readonly string[]): string | undefined => {
  // In this order, a folder comes directly before the files in it.
  const folders = paths.map((path) => `${path}/`).sort();
  return folders.find((folder, i) => folders[i + 1]?.startsWith(folder))?.slice(0, -1);
};

/** @throws ConfigError if an archive cannot contain these names, or if a path leads out of the folder. */
const checkNames = (paths: readonly string[], name: string): void => {
  checkText("zipFolder: name", name);
  const wrong = (where: string, must: string, got: string): ConfigError => new ConfigError({ where, must, got });
  if (!isInside(name) || name.includes("/"))
    throw wrong("zipFolder: name", "must be the name of one folder", show(name));
  const bad = paths.find((path) => !isInside(path) || encoded(`${name}/${path}`).length > 65_535);
  if (bad !== undefined)
    throw wrong("zipFolder: files", 'must have paths below the folder, with "/" between names', show(bad));
  const both = folderAmong(paths);
  if (both !== undefined)
    throw wrong("zipFolder: files", "must not have the same path for a file and a folder", show(both));
  if (paths.length > 65_534) throw wrong("zipFolder: files", "must be at most 65534 files", String(paths.length));
};

/**
 * Makes a ZIP archive of a folder, for a download. Files are stored without compression.
 * @experimental
 * @param files bytes of the files by their paths in the folder, as `runToFolder` returns them.
 * @param name name of the folder in the archive.
 * @throws ConfigError for a path that leads out of the folder on some system, such as "../a" or "C:a"; for one path
 * that is both a file and a folder; for 4 GiB or more; or for more than 65,534 files.
 */
export const zipFolder = (files: Readonly<Record<string, Uint8Array>>, name: string): Blob => {
  if (!isRecord(files) || Object.values(files).some((file) => !(file instanceof Uint8Array))) {
    throw new ConfigError({
      where: "zipFolder: files",
      must: "must be an object with files as Uint8Arrays",
      got: show(files),
    });
  }
  checkNames(Object.keys(files), name);
  const parts: BlobPart[] = [];
  const directory: Uint8Array<ArrayBuffer>[] = [];
  let at = 0;
  for (const [path, bytes] of Object.entries(files)) {
    const entry = encoded(`${name}/${path}`);
    const common = [
      ...([
        [2, 20],
        [2, flags],
        [2, 0],
        [2, 0],
        [2, date],
        [4, crcOf(bytes)],
        [4, bytes.length],
      ] as const),
      ...([
        [4, bytes.length],
        [2, entry.length],
        [2, 0],
      ] as const),
    ] as const;
    const local = fieldsOf([4, 0x04034b50], ...common);
    const central = [
      [2, 0],
      [2, 0],
      [2, 0],
      [4, 0],
      [4, at],
    ] as const;
    directory.push(fieldsOf([4, 0x02014b50], [2, 20], ...common, ...central), entry);
    // A view of shared memory is copied, because a Blob does not accept it.
    const own = bytes.buffer instanceof ArrayBuffer ? (bytes as Uint8Array<ArrayBuffer>) : Uint8Array.from(bytes);
    parts.push(local, entry, own);
    at += local.length + entry.length + bytes.length;
    if (at >= 2 ** 32) {
      throw new ConfigError({ where: "zipFolder: files", must: "must have less than 4 GiB in total", got: "more" });
    }
  }
  const size = directory.reduce((sum, { length }) => sum + length, 0);
  const count = directory.length / 2;
  const end = fieldsOf([4, 0x06054b50], [2, 0], [2, 0], [2, count], [2, count], [4, size], [4, at], [2, 0]);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
};

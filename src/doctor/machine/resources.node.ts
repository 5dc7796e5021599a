/** Checks that memory and the disk of the runs' folder have enough space for the default preset. */
import { mkdtemp, open, rm, stat, statfs } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import type { MemoryKind } from "../../backend/observers/counting.ts";
import { defaultPreset } from "../../config/presets.ts";
import { ConfigError } from "../../core/errors/errors.ts";
import { systemErrorCode } from "../../core/errors/system-error.ts";
import type { FreeMemory } from "../../core/system/available-memory.node.ts";
import { formatBytes } from "../../core/text/format-bytes.ts";
import { unwritable } from "../../runs/begin/unwritable.node.ts";
import { failed, ok, type Verdict, warning } from "../check.ts";
import { filesOfPreset, memoryOfPreset } from "./needs.ts";

/** The preset with the smallest needs. */
const smallest = "quick";

/** Compares free memory with the needs of training. */
export const memoryVerdict = async ({ bytes, container }: FreeMemory, kind: MemoryKind): Promise<Verdict> => {
  const [least, usual] = [await memoryOfPreset(smallest, kind), await memoryOfPreset(defaultPreset, kind)];
  const free = `${formatBytes(bytes)} free${container === null ? "" : ` of the container's ${formatBytes(container)}`}`;
  const more = container === null ? "close other programs" : "give the container more memory";
  if (bytes < least) return failed(`${free}; training needs at least ${formatBytes(least)} (preset ${smallest})`, more);
  if (bytes < usual) {
    return warning(
      `${free}; the preset ${defaultPreset} needs ${formatBytes(usual)}`,
      `${more}, or train with --preset ${smallest} or a smaller --batch-size`,
    );
  }
  return ok(`${free}; the preset ${defaultPreset} needs ${formatBytes(usual)}`);
};

/** Bytes written to test a folder. */
const probeBytes = 2 ** 18;

/** The folder, or its nearest existing parent, because the first run creates the folder there. */
const nearestFolder = async (path: string): Promise<string> => {
  const found = await stat(path).catch(() => undefined);
  return found !== undefined || dirname(path) === path ? path : nearestFolder(dirname(path));
};

/** Writes a file into a new folder in `folder`, reads it back and deletes both. */
const tryToWrite = async (folder: string): Promise<void> => {
  const made = await mkdtemp(join(folder, ".foretoken-doctor-"));
  try {
    const bytes = Buffer.alloc(probeBytes, 0x5a);
    const file = await open(join(made, "probe"), "w+");
    try {
      // If a write is incomplete, write the remaining bytes. The system then reports the reason of the failure.
      for (let done = 0; done < bytes.length; )
        done += (await file.write(bytes, done, bytes.length - done, done)).bytesWritten;
      await file.sync();
      const back = Buffer.alloc(probeBytes);
      const { bytesRead } = await file.read(back, 0, probeBytes, 0);
      if (bytesRead !== probeBytes || !back.equals(bytes)) {
        throw new ConfigError({
          where: folder,
          must: "a file must contain the bytes that were written to it",
          got: "other bytes",
          hint: "a folder on another disk, because this disk loses data",
        });
      }
    } finally {
      await file.close();
    }
  } finally {
    await rm(made, { recursive: true, force: true });
  }
};

/** Result for a file system that refuses writes. Other errors are thrown again. */
const refusal = async (folder: string, error: unknown): Promise<Verdict> => {
  const told = await unwritable(folder, resolve(folder), error);
  if (!(told instanceof ConfigError) || told === error) throw error;
  const { got = "", hint = "another folder" } = told.details;
  // Remove the path of the test file from the message, because the user does not know this file. Remove the free space,
  // because it has changed after the test.
  const why = got.replace(/, at \S*$/u, "").replace(/ \(.*\)$/u, "");
  return failed(`${folder}: files cannot be written here: ${why}`, `${hint} (train --out)`);
};

/** Checks that runs can be saved in `folder`. The folder need not exist. */
export const runsFolderVerdict = async (folder: string): Promise<Verdict> => {
  const nearest = await nearestFolder(resolve(folder));
  const fault = await tryToWrite(nearest).then(
    () => undefined,
    (error: unknown) => ({ error }),
  );
  const found = await statfs(nearest).catch(() => undefined);
  // Some file systems do not report sizes.
  const free = found === undefined || found.blocks === 0 ? undefined : found.bavail * found.bsize;
  const needed = filesOfPreset(defaultPreset);
  const hasRoom = free === undefined || free >= needed;
  if (fault !== undefined && (hasRoom || systemErrorCode(fault.error) !== "ENOSPC"))
    return refusal(folder, fault.error);
  if (free === undefined) return ok(`${folder}: files can be written here`);
  const fact = `${folder}: ${formatBytes(free)} free; a run needs ${formatBytes(needed)}`;
  return hasRoom
    ? ok(fact)
    : failed(fact, "free some space on this disk, or use a folder on another disk (train --out)");
};

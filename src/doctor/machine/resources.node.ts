/** Memory, and room in the folder of runs: enough for the preset that trains where none is named. */
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

/** The preset that takes the least. */
const smallest = "quick";

/** Free memory against what training takes. */
export const memoryVerdict = async ({ bytes, container }: FreeMemory, kind: MemoryKind): Promise<Verdict> => {
  const [least, usual] = [await memoryOfPreset(smallest, kind), await memoryOfPreset(defaultPreset, kind)];
  const free = `${formatBytes(bytes)} free${container === null ? "" : ` of the container's ${formatBytes(container)}`}`;
  const more = container === null ? "end other programs" : "give the container more memory";
  if (bytes < least) return failed(`${free}; training takes ${formatBytes(least)} or more (preset ${smallest})`, more);
  if (bytes < usual) {
    return warning(
      `${free}; the preset ${defaultPreset} takes ${formatBytes(usual)}`,
      `${more}, or train --preset ${smallest}, or with a smaller --batch-size`,
    );
  }
  return ok(`${free}; ${defaultPreset} takes ${formatBytes(usual)}`);
};

/** Bytes that are written to try a folder. */
const probeBytes = 2 ** 18;

/** The folder, or the nearest one above it: where the first run would make it. */
const nearestFolder = async (path: string): Promise<string> => {
  const found = await stat(path).catch(() => undefined);
  return found !== undefined || dirname(path) === path ? path : nearestFolder(dirname(path));
};

/** Writes a file into a new folder in `folder`, reads it back and removes both. */
const tryToWrite = async (folder: string): Promise<void> => {
  const made = await mkdtemp(join(folder, ".foretoken-doctor-"));
  try {
    const bytes = Buffer.alloc(probeBytes, 0x5a);
    const file = await open(join(made, "probe"), "w+");
    try {
      // A short write is tried again until the system says why it takes no more.
      for (let done = 0; done < bytes.length; )
        done += (await file.write(bytes, done, bytes.length - done, done)).bytesWritten;
      await file.sync();
      const back = Buffer.alloc(probeBytes);
      const { bytesRead } = await file.read(back, 0, probeBytes, 0);
      if (bytesRead !== probeBytes || !back.equals(bytes)) {
        throw new ConfigError({
          where: folder,
          must: "a file must have what was written to it",
          got: "other bytes",
          hint: "a folder on another disk; this one loses data",
        });
      }
    } finally {
      await file.close();
    }
  } finally {
    await rm(made, { recursive: true, force: true });
  }
};

/** Why the system refuses to write there; an error of another kind is thrown again. */
const refusal = async (folder: string, error: unknown): Promise<Verdict> => {
  const told = await unwritable(folder, resolve(folder), error);
  if (!(told instanceof ConfigError) || told === error) throw error;
  const { got = "", hint = "another folder" } = told.details;
  // The file is the one that was tried, which nobody knows; and the room that it took is free again.
  const why = got.replace(/, at \S*$/u, "").replace(/ \(.*\)$/u, "");
  return failed(`${folder}: no file can be written: ${why}`, `${hint} (train --out)`);
};

/** Whether runs can be kept in `folder`, which need not exist. */
export const runsFolderVerdict = async (folder: string): Promise<Verdict> => {
  const nearest = await nearestFolder(resolve(folder));
  const fault = await tryToWrite(nearest).then(
    () => undefined,
    (error: unknown) => ({ error }),
  );
  const found = await statfs(nearest).catch(() => undefined);
  // Some file systems tell no sizes.
  const free = found === undefined || found.blocks === 0 ? undefined : found.bavail * found.bsize;
  const needed = filesOfPreset(defaultPreset);
  const hasRoom = free === undefined || free >= needed;
  if (fault !== undefined && (hasRoom || systemErrorCode(fault.error) !== "ENOSPC"))
    return refusal(folder, fault.error);
  if (free === undefined) return ok(`${folder}: a file can be written`);
  const fact = `${folder}: ${formatBytes(free)} free; a run takes ${formatBytes(needed)}`;
  return hasRoom ? ok(fact) : failed(fact, "make room there, or a folder on another disk (train --out)");
};

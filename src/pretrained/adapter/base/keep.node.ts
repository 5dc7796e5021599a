/** A run that trains an adapter keeps its base: the adapter computes with no other weights, and the base may be trained further. */
import { rename } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { CheckpointError } from "../../../core/errors/errors.ts";
import { systemErrorCode } from "../../../core/errors/system-error.ts";
import { messageOf, writeCheckpoint } from "../../../io/checkpoint.node.ts";
import { digestOf, hasDigest } from "../../../io/digest.node.ts";
import { isFile } from "../../../io/files.node.ts";
import { manifestName } from "../../../io/manifest.ts";
import { freeName, occupantOf, readManifest } from "../../../io/owned-folder.node.ts";
import { keptBaseName } from "../../../io/run-places.node.ts";
import type { SharedFile } from "../../../io/shared-file.node.ts";
import type { OpenedPretrained } from "../../files/directory.node.ts";
import { isGgufName } from "../../gguf/open.node.ts";
import { keptGgufName } from "./places.node.ts";

/** The files of a base. */
export type BaseFiles = Pick<OpenedPretrained, "where" | "smallFiles"> & {
  readonly weightFiles: readonly { readonly name: string; readonly path: string; readonly sha256: string }[];
};

/** The files of a model, whose weights are open. */
export const baseFilesOf = async ({ where, smallFiles, weightFiles }: OpenedPretrained): Promise<BaseFiles> => {
  const files: { name: string; path: string; sha256: string }[] = [];
  for (const { name, path, sha256 } of weightFiles) {
    files.push({ name: isGgufName(where) ? keptGgufName : name, path, sha256: await sha256() });
  }
  return { where, smallFiles, weightFiles: files };
};

/** Most bytes of a file that are copied where no link can be made. */
const mostCopied = 2 ** 28;

/** What is under the name of a run's base. */
type Found = "nothing" | "the base" | "the base, damaged" | "another";

/** Compares what is at `place` with the base, by the bytes of its files. */
const lookAt = async (place: string, { weightFiles }: BaseFiles): Promise<Found> => {
  const occupant = await occupantOf(place);
  if (occupant === "nothing" || occupant === "an empty folder") return "nothing";
  const manifest = await readManifest(place);
  const isBase = weightFiles.every(({ name, sha256 }) => manifest?.files[name]?.sha256 === sha256);
  if (manifest !== null && isBase) {
    for (const [name, digest] of Object.entries(manifest.files)) {
      if (!(await hasDigest(join(place, name), digest))) return "the base, damaged";
    }
    return "the base";
  }
  for (const { name, sha256 } of weightFiles) {
    const found = await digestOf(join(place, name)).catch(() => undefined);
    if (found?.sha256 !== sha256) return "another";
  }
  // A copy that somebody made serves, too; with a manifest of other files it cannot be opened.
  return (await isFile(join(place, manifestName))) ? "the base, damaged" : "the base";
};

/**
 * Keeps the base of a run's adapters in the run's folder. Its weights are links: they take no room until the base itself is
 * removed. One that is kept already is compared: a damaged one is written anew, another model under its name is set aside, and
 * a line says so. A run goes on without, and a line says so.
 * @param root of the run; shown: as lines name it.
 */
export const keepBase = async (
  { root, shown }: { readonly root: string; readonly shown: string },
  base: BaseFiles,
  onNotice: (line: string) => void | Promise<void> = () => {},
): Promise<void> => {
  const { where, smallFiles, weightFiles } = base;
  const place = join(root, keptBaseName);
  // These weights were read from it, and compared.
  if (weightFiles.every(({ path }) => dirname(resolve(path)) === resolve(place))) return;
  const shared = weightFiles.map(({ name, path }): [string, SharedFile] => [
    name,
    { kind: "shared", path, mostCopied },
  ]);
  try {
    const found = await lookAt(place, base);
    if (found === "the base") return;
    if (found === "another") {
      const aside = await freeName(`${place}-set-aside`);
      await rename(place, aside);
      await onNotice(
        `${join(shown, basename(aside))}: was ${keptBaseName}/, and is not the model that the adapter is for; remove it when it is not wanted any more`,
      );
    }
    await writeCheckpoint(
      place,
      { ...smallFiles, ...Object.fromEntries(shared) },
      {
        makeParents: false,
        check: (digests) => {
          const other = weightFiles.find(({ name, sha256 }) => digests[name]?.sha256 !== sha256);
          if (other === undefined) return;
          throw new CheckpointError({
            where: other.path,
            must: "the file must stay as it is",
            got: "another one by now",
          });
        },
      },
    );
    if (found === "the base, damaged")
      await onNotice(`${join(shown, keptBaseName)}: was damaged; written anew from ${where}`);
  } catch (error) {
    const got = error instanceof CheckpointError ? (error.details.got ?? error.message) : messageOf(error);
    if (!(error instanceof CheckpointError) && systemErrorCode(error) === undefined) throw error;
    await onNotice(`${join(shown, keptBaseName)}: no copy of ${where} is kept (${got}); the adapter needs it as it is`);
  }
};

/**
 * Copies the base model into the folder of a run that trains an adapter. The copy is needed because the adapter works
 * only with these weights, and somebody may train the original further.
 */
import { rename } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { CheckpointError } from "../../../core/errors/errors.ts";
import { messageOf, systemErrorCode } from "../../../core/errors/system-error.ts";
import { isFile } from "../../../core/system/regular-file.node.ts";
import { writeCheckpoint } from "../../../io/checkpoint.node.ts";
import { digestOf, hasDigest } from "../../../io/digest.node.ts";
import { manifestName } from "../../../io/manifest.ts";
import { freeName, occupantOf } from "../../../io/owned-folder.node.ts";
import { readManifest } from "../../../io/read-manifest.node.ts";
import { keptBaseName } from "../../../io/run-places.node.ts";
import type { SharedFile } from "../../../io/shared-file.node.ts";
import type { OpenedPretrained } from "../../files/directory.node.ts";
import { isGgufName } from "../../gguf/source.node.ts";
import { keptGgufName } from "./places.node.ts";

/** The files of a base model. */
export type BaseFiles = Pick<OpenedPretrained, "where" | "smallFiles"> & {
  readonly weightFiles: readonly { readonly name: string; readonly path: string; readonly sha256: string }[];
};

/** The files of an opened model. */
export const baseFilesOf = async ({ where, smallFiles, weightFiles }: OpenedPretrained): Promise<BaseFiles> => {
  const files: { name: string; path: string; sha256: string }[] = [];
  for (const { name, path, sha256 } of weightFiles) {
    files.push({ name: isGgufName(where) ? keptGgufName : name, path, sha256: await sha256() });
  }
  return { where, smallFiles, weightFiles: files };
};

/** Maximum size in bytes of a file that is copied where links are not possible. */
const mostCopied = 2 ** 28;

/** Contents of the folder with the run's kept base model. */
type Found = "nothing" | "the base" | "the base, damaged" | "another";

/** Compares the hashes of the files at `place` with the hashes of the base model's files. */
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
  // A copy without a manifest, for example a copy made by hand, is accepted. A copy cannot be opened if its manifest
  // lists other files.
  return (await isFile(join(place, manifestName))) ? "the base, damaged" : "the base";
};

/**
 * Keeps the base model of a run's adapters in the run's folder. The weights are hard links, which take no disk space
 * until the original is deleted. If the folder already contains a kept model, the function compares it with the base
 * model. A damaged copy is written again, and a different model is renamed. In both cases, `onNotice` gets a line. If
 * the base model cannot be kept, `onNotice` gets a line and the run continues.
 * @param root folder of the run; `shown` is the folder's name in notices.
 */
export const keepBase = async (
  { root, shown }: { readonly root: string; readonly shown: string },
  base: BaseFiles,
  onNotice: (line: string) => void | Promise<void> = () => {},
): Promise<void> => {
  const { where, smallFiles, weightFiles } = base;
  const place = join(root, keptBaseName);
  // The weights were read from the kept copy itself, so there is nothing to copy.
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
        `${join(shown, basename(aside))}: this folder was ${keptBaseName}/, but it does not have the adapter's base model; delete it when you no longer need it`,
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
            must: "the file must not change during the copy",
            got: "a changed file",
          });
        },
      },
    );
    if (found === "the base, damaged")
      await onNotice(`${join(shown, keptBaseName)}: the copy was damaged; copied again from ${where}`);
  } catch (error) {
    const got = error instanceof CheckpointError ? (error.details.got ?? error.message) : messageOf(error);
    if (!(error instanceof CheckpointError) && systemErrorCode(error) === undefined) throw error;
    await onNotice(
      `${join(shown, keptBaseName)}: no copy of ${where} is kept (${got}); keep the original unchanged: the adapter needs it`,
    );
  }
};

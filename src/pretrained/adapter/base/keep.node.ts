/** A run that trains an adapter keeps its base: the adapter computes with no other weights, and the base may be trained further. */
import { lstat } from "node:fs/promises";
import { join } from "node:path";
import { CheckpointError } from "../../../core/errors/errors.ts";
import { writeCheckpoint } from "../../../io/checkpoint.node.ts";
import type { SharedFile } from "../../../io/shared-file.node.ts";
import type { OpenedPretrained } from "../../files/directory.node.ts";
import { isGgufName } from "../../gguf/open.node.ts";
import { keptBaseName, keptGgufName } from "./places.node.ts";

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

/**
 * Keeps the base of a run's adapters in the run's folder, if nothing of that name is there yet. Its weights are links: they
 * take no room until the base itself is removed. A run goes on without, and a line says so.
 * @param root of the run; shown: as lines name it.
 */
export const keepBase = async (
  { root, shown }: { readonly root: string; readonly shown: string },
  { where, smallFiles, weightFiles }: BaseFiles,
  onNotice: (line: string) => void | Promise<void> = () => {},
): Promise<void> => {
  const place = join(root, keptBaseName);
  const isTaken = await lstat(place).then(
    () => true,
    () => false,
  );
  if (isTaken) return;
  const shared = weightFiles.map(({ name, path }): [string, SharedFile] => [
    name,
    { kind: "shared", path, mostCopied },
  ]);
  try {
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
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    const got = error.details.got ?? error.message;
    await onNotice(`${join(shown, keptBaseName)}: no copy of ${where} is kept (${got}); the adapter needs it as it is`);
  }
};

/** Options that only rank 0 uses, in a form that ranks can compare. */
import { isAbsolute, relative, resolve, sep } from "node:path";
import type { TrainOptions } from "../train-options.node.ts";
import type { RankOptions } from "./meeting.ts";
import { packageVersion } from "./mpi-team.node.ts";

/**
 * Brings all spellings of a folder's path (`runs/a`, `./runs/a`, absolute) to one form. The path is relative if the
 * folder is inside the working directory, and absolute otherwise.
 */
const folderOf = (path: string | null | undefined): string | null => {
  if (path === null || path === undefined) return null;
  const whole = resolve(path);
  const below = relative(process.cwd(), whole);
  return below === ".." || below.startsWith(`..${sep}`) || isAbsolute(below) ? whole : below;
};

/** A rank's options, with folders in comparable form. */
export const comparedOptions = (options: TrainOptions): RankOptions => ({
  version: packageVersion(),
  resume: folderOf(options.resume),
  out: options.resume === undefined ? folderOf(options.out) : null,
  prompt: options.resume === undefined ? (options.prompt ?? null) : null,
  keepLast: options.keepLast ?? null,
});

/** Options of a run that rank 0 alone follows, in a form in which ranks compare them. */
import { isAbsolute, relative, resolve, sep } from "node:path";
import type { TrainOptions } from "../train-options.node.ts";
import type { RankOptions } from "./meeting.ts";
import { packageVersion } from "./mpi-team.node.ts";

/** A folder's path in one form, of `runs/a`, `./runs/a` and its whole path: from the working directory where it lies below it. */
const folderOf = (path: string | null | undefined): string | null => {
  if (path === null || path === undefined) return null;
  const whole = resolve(path);
  const below = relative(process.cwd(), whole);
  return below === ".." || below.startsWith(`..${sep}`) || isAbsolute(below) ? whole : below;
};

/** A rank's options, whose folders compare. */
export const comparedOptions = (options: TrainOptions): RankOptions => ({
  version: packageVersion(),
  resume: folderOf(options.resume),
  out: options.resume === undefined ? folderOf(options.out) : null,
  prompt: options.resume === undefined ? (options.prompt ?? null) : null,
  keepLast: options.keepLast ?? null,
});

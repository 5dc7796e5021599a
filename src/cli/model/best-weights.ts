import { readFileSync } from "node:fs";
import { join } from "node:path";
import { isRecord } from "../../core/checks/is-record.ts";
import { quoteWord } from "../../core/text/shell-word.ts";
import { hasNoManifest } from "../../io/first-form.node.ts";
import { manifestName, parseManifest } from "../../io/manifest.ts";
import { readManifest } from "../../io/read-manifest.node.ts";
import { folderNames } from "../../runs/folder-names.ts";
import { formatCount } from "../display/texts/format.ts";

interface Steps {
  readonly last: unknown;
  readonly best: unknown;
}

/** Reads the progress from the last checkpoint of a run without manifests. */
const stepsOfState = async (run: string): Promise<Steps> => {
  const name = "trainer_state.json";
  // The modules are imported only here, because a manifest usually contains the steps.
  const { readCheckpoint } = await import("../../io/read-checkpoint.node.ts");
  const { parseJson } = await import("../../pretrained/files/checkpoint-json.ts");
  const { files } = await readCheckpoint(join(run, folderNames.checkpoint), [name]);
  const state = parseJson(files[name], name);
  const progress = isRecord(state) && isRecord(state.progress) ? state.progress : {};
  return { last: progress.step, best: isRecord(progress.best) ? progress.best.step : undefined };
};

/** Steps of a run's last checkpoint and of its best weights. */
const stepsOf = async (run: string): Promise<Steps> => {
  const [last, best] = await Promise.all([
    readManifest(join(run, folderNames.checkpoint)),
    readManifest(join(run, folderNames.best)),
  ]);
  return last === null || best === null ? stepsOfState(run) : { last: last.run?.step, best: best.run?.step };
};

/**
 * Describes which weights of `run` are the best. Undefined if the last weights are the best.
 * @param other names the last weights on the command line.
 */
export const bestWeightsNotice = async (run: string, other = "--weights last"): Promise<string | undefined> => {
  // Errors are ignored, because only this message depends on the steps.
  const { last, best } = await stepsOf(run).catch((): Steps => ({ last: undefined, best: undefined }));
  if (typeof last !== "number" || typeof best !== "number" || last === best) return undefined;
  const better = await bestStepOf(run);
  // The run was killed while the best weights were moved. If the run was killed after a better evaluation, the opposite
  // is true: best/ is newer than the last checkpoint.
  if (better !== undefined && better > best && best < last) {
    const command = `npx foretoken train --resume ${quoteWord(run)}`;
    return `weights of step ${formatCount(best)}; the best weights, of step ${formatCount(better)}, are not in best/ because the run was killed; to repair the run: ${command}`;
  }
  return `weights of step ${formatCount(best)}, the step with the best evaluation (${other}: weights of step ${formatCount(last)})`;
};

/**
 * Notice that the last weights of `run` are used because its best weights were deleted. Undefined if the run has no
 * best weights, or if the last weights are the best.
 */
export const lostBestNotice = async (run: string): Promise<string | undefined> => {
  const { last, best } = await stepsOfState(run).catch((): Steps => ({ last: undefined, best: undefined }));
  if (typeof last !== "number" || typeof best !== "number" || last === best) return undefined;
  return `weights of step ${formatCount(last)}, the last step: the best weights, of step ${formatCount(best)}, are no longer in the run's folder`;
};

/** Step of the best weights of `run`, according to the run's last checkpoint. Undefined before the first evaluation. */
export const bestStepOf = async (run: string): Promise<number | undefined> => {
  const { best } = await stepsOfState(run).catch((): Steps => ({ last: undefined, best: undefined }));
  return typeof best === "number" ? best : undefined;
};

/**
 * Whether `best/` in a run's folder contains the weights of `step`. The function is synchronous, because a summary is
 * printed synchronously.
 */
export const keepsBest = (run: string, step: number): boolean => {
  const best = join(run, folderNames.best);
  try {
    const manifest = JSON.parse(readFileSync(join(best, manifestName), "utf8")) as unknown;
    return parseManifest(manifest)?.run?.step === step;
  } catch {
    return hasNoManifest(best);
  }
};

import { join } from "node:path";
import { isRecord } from "../../core/is-record.ts";
import { readJsonLines } from "../../io/jsonl.node.ts";
import { folderNames } from "../../train/folder/folder-names.ts";
import type { CurvePoint } from "./canvas.ts";

/** What the curve of a resumed run begins with. */
export interface PastLosses {
  /** Of every step. */
  readonly train: readonly CurvePoint[];
  /** Of every evaluation. */
  readonly validation: readonly CurvePoint[];
}

/** The losses that a run's folder has noted. Best effort: what cannot be read is left out. */
export const pastLosses = async (folder: string): Promise<PastLosses> => {
  const lines: readonly unknown[] = await readJsonLines(join(folder, folderNames.metrics)).catch(() => []);
  const points = (type: string, lossKey: string): readonly CurvePoint[] =>
    lines.filter(isRecord).flatMap((line) => {
      const { step, [lossKey]: loss } = line;
      return line.type === type && typeof step === "number" && typeof loss === "number" ? [{ step, loss }] : [];
    });
  return { train: points("step", "loss"), validation: points("eval", "valLoss") };
};

/** A run that has ended and could not say so: its process was killed after the last checkpoint and before the last note. */
import { join } from "node:path";
import { readJsonLines } from "../../io/jsonl.node.ts";
import { type DoneEvent, eventVersion as v } from "../events.ts";
import type { Progress } from "../progress.ts";
import { folderNames } from "./folder-names.ts";
import { type NotedEval, parseNoted } from "./noted-events.ts";

/** The last event of an ended run, where it is not noted; undefined where it is, or cannot be told any more. */
export const missingEnd = async (
  path: string,
  { step, best }: Progress,
  reason: "finished" | "patience",
): Promise<DoneEvent | undefined> => {
  let lastEval: NotedEval | undefined;
  let isNoted = false;
  for await (const line of readJsonLines(join(path, folderNames.metrics))) {
    const event = parseNoted(line);
    if (event?.type === "eval" && event.step === step) lastEval = event;
    if (event !== undefined) isNoted = event.type === "done" && event.step === step;
  }
  if (isNoted || lastEval === undefined) return undefined;
  const { valLoss } = lastEval;
  const bestValLoss = best?.valLoss ?? valLoss;
  return { v, type: "done", step, reason, valLoss, bestValLoss, bestStep: best?.step ?? step, out: path };
};

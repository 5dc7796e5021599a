/** The weights that a new run begins with, from a disk. */
import { type FoundWeights, readInitial } from "../../runs/begin/initial.node.ts";
import type { NewRun } from "../train-options.node.ts";
import { asksForLora } from "./lora.ts";

/**
 * Reads them; the caller closes them. Those of a GGUF file that adapters are put on stay in their blocks, and in the file until there
 * is memory for them.
 * @throws CheckpointError if a file is missing or damaged.
 */
export const initialOf = async ({
  initFrom,
  config,
  keepBlocks = true,
  onNotice,
}: Pick<NewRun, "initFrom" | "config" | "keepBlocks" | "onNotice">): Promise<FoundWeights | null> =>
  initFrom === undefined ? null : readInitial(initFrom, { keepBlocks: keepBlocks && asksForLora(config), onNotice });

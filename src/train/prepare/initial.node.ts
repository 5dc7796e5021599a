/** Reads the initial weights of a new run from disk. */
import { type FoundWeights, readInitial } from "../../runs/begin/initial.node.ts";
import type { NewRun } from "../train-options.node.ts";
import { asksForLora } from "./lora.ts";

/**
 * Opens the weights; the caller closes them. For adapters on a GGUF file, the weights stay in blocks. They are read
 * from the file only when memory is allocated for them.
 * @throws CheckpointError if a file is missing or damaged.
 */
export const initialOf = async ({
  initFrom,
  config,
  keepBlocks = true,
  onNotice,
}: Pick<NewRun, "initFrom" | "config" | "keepBlocks" | "onNotice">): Promise<FoundWeights | null> =>
  initFrom === undefined ? null : readInitial(initFrom, { keepBlocks: keepBlocks && asksForLora(config), onNotice });

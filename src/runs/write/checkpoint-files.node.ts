/** The files of a run's checkpoints. */

import type { ReadValues } from "../../models/arena.ts";
import type { AdapterBase } from "../../pretrained/adapter/config.ts";
import { adapterBase } from "../../pretrained/adapter/open.node.ts";
import { adapterTextFiles } from "../../pretrained/adapter/text.ts";
import { adapterFiles } from "../../pretrained/adapter/write.ts";
import { type KeptFacts, pretrainedFiles } from "../../pretrained/files/pretrained-files.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import type { RunDescription } from "../description.ts";
import type { SavedState } from "../store.ts";
import { stateContents } from "./state-files.ts";

/** The run that a folder belongs to. */
export interface RunSubject extends RunDescription {
  readonly tokenizer: Tokenizer;
  /** Facts that the run's checkpoints keep, such as the chat template and the tokens that end a text. */
  readonly facts: KeptFacts;
  /**
   * Whether the run kept more than one checkpoint before. If true, the other checkpoints in the folder belong to the
   * run.
   */
  readonly keptMore?: boolean;
}

/** The base model of a run's adapters. */
export const baseOf = ({ initFrom }: Pick<RunDescription["data"], "initFrom">, { fused }: KeptFacts): AdapterBase =>
  adapterBase(initFrom?.path ?? null, { fused, sha256: initFrom?.sha256 });

/**
 * The files of a model. For a run with adapters: the adapter's files in PEFT's format, and the files for conversations.
 */
export const weightFiles = ({ config, tokenizer, facts, data }: RunSubject, read: ReadValues) =>
  config.lora === undefined
    ? pretrainedFiles(config.model, tokenizer, read, facts)
    : {
        ...adapterFiles(config.model, config.lora, read, baseOf(data, facts)),
        ...(data.documents === true ? adapterTextFiles(facts) : {}),
      };

/** The files of a checkpoint that can be resumed. */
export const checkpointFiles = (subject: RunSubject, state: SavedState) => ({
  ...weightFiles(subject, state.weights.read),
  ...stateContents(subject.config, state),
});

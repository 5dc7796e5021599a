/** The files of a run's checkpoints. */

import { safetensorsPieces } from "../../io/safetensors.ts";
import type { ReadValues } from "../../models/arena.ts";
import type { AdapterBase } from "../../pretrained/adapter/config.ts";
import { adapterBase } from "../../pretrained/adapter/open.node.ts";
import { adapterTextFiles } from "../../pretrained/adapter/text.ts";
import { adapterFiles } from "../../pretrained/adapter/write.ts";
import { formatVersion, jsonText } from "../../pretrained/files/checkpoint-json.ts";
import { type KeptFacts, pretrainedFiles } from "../../pretrained/files/pretrained-files.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import type { RunDescription } from "../description.node.ts";
import type { SavedState } from "../store.ts";
import { momentTensors } from "./optimizer-file.ts";

/** The run that a folder keeps. */
export interface RunSubject extends RunDescription {
  readonly tokenizer: Tokenizer;
  /** Facts that its checkpoints keep, such as its chat template and the tokens that end a text. */
  readonly facts: KeptFacts;
  /** Whether the run kept more than one before: then the others in the folder are its own. */
  readonly keptMore?: boolean;
}

/** The model that a run's adapters are for. */
export const baseOf = ({ initFrom }: Pick<RunDescription["data"], "initFrom">, { fused }: KeptFacts): AdapterBase =>
  adapterBase(initFrom?.path ?? null, { fused, sha256: initFrom?.sha256 });

/** The files of a model; of one with adapters those of the adapters alone, in PEFT's form, and of the conversations. */
export const weightFiles = ({ config, tokenizer, facts, data }: RunSubject, read: ReadValues) =>
  config.lora === undefined
    ? pretrainedFiles(config.model, tokenizer, read, facts)
    : {
        ...adapterFiles(config.model, config.lora, read, baseOf(data, facts)),
        ...(data.documents === true ? adapterTextFiles(facts) : {}),
      };

const optimizerFile = "optimizer.safetensors";
const stateFile = "trainer_state.json";

/** What a checkpoint to resume from has besides the weights. */
export const stateFiles: readonly string[] = [optimizerFile, stateFile];

/** The files of a checkpoint to resume from. */
export const checkpointFiles = (subject: RunSubject, { weights, optimizer, progress }: SavedState) => ({
  ...weightFiles(subject, weights.read),
  [optimizerFile]: safetensorsPieces(optimizer.flatMap(momentTensors)),
  [stateFile]: jsonText({ formatVersion, config: subject.config, progress }),
});

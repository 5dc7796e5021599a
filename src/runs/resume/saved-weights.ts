/** Reads the weights of a run's checkpoint: a whole model, or the adapters. */
import type { RunConfig } from "../../config/config.ts";
import { memorySource } from "../../io/byte-source.ts";
import { parsePeftConfig } from "../../pretrained/adapter/config.ts";
import { adapterConfigName, adapterWeightsName } from "../../pretrained/adapter/names.ts";
import type { AdapterFiles } from "../../pretrained/adapter/opened.ts";
import { readAdapterValues } from "../../pretrained/adapter/read.ts";
import { openFiles } from "../../pretrained/files/checkpoint-files.ts";
import type { CheckpointFiles } from "../../pretrained/files/names.ts";
import { type KeptFacts, keptFacts } from "../../pretrained/files/pretrained-files.ts";
import { collectWeights } from "../../pretrained/files/weights.ts";
import type { Pretrained } from "../../pretrained/pretrained.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import { checkSame } from "../same-config.ts";

/** The base model of a run's adapters. */
export type BaseModel = Pick<Pretrained, "tokenizer" | "chatTemplate" | "endTokens">;

/** The trained weights, with the tokenizer and other facts about the model. */
export interface SavedWeights {
  readonly values: Float32Array;
  readonly tokenizer: Tokenizer;
  readonly facts: KeptFacts;
}

/** Weights of a run that trains all weights. */
export const modelOf = async (
  files: CheckpointFiles,
  directory: string,
  checked: boolean,
  config: RunConfig,
): Promise<SavedWeights> => {
  const pretrained = await collectWeights(await openFiles(files, directory, checked));
  const { tokenizer, values, config: model } = pretrained;
  checkSame(`${directory}/config.json`, model, config.model);
  checkSame(`${directory}/tokenizer.json`, tokenizer.kind, config.tokenizer.kind);
  return { tokenizer, values, facts: keptFacts(pretrained) };
};

/** Weights of a run that trains adapters for `base`. */
export const adaptersOf = async (
  files: AdapterFiles,
  directory: string,
  { model, lora }: RunConfig,
  base: BaseModel,
): Promise<SavedWeights> => {
  const peft = parsePeftConfig(files[adapterConfigName], `${directory}/${adapterConfigName}`);
  const where = `${directory}/${adapterWeightsName}`;
  const { values } = await readAdapterValues(model, peft, memorySource(files[adapterWeightsName]), where, lora);
  return { tokenizer: base.tokenizer, values, facts: keptFacts(base) };
};

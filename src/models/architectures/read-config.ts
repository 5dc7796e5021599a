/** Reads a model's configuration from another program's `config.json`. */
import { z } from "zod";
import { parseConfig } from "../../core/checks/config.ts";
import { CheckpointError, ForetokenError } from "../../core/errors/errors.ts";
import { lazy } from "../../core/lazy.ts";
import { alternatives } from "../../core/text/alternatives.ts";
import { modelConfigSchema } from "../config.ts";
import type { ReadConfig } from "./architecture.ts";
import { checkRefused, fail, optional } from "./common/fields.ts";
import { architectures } from "./list.ts";

/**
 * Unsupported fields that change the result. For each field, the list contains the values that do not change the
 * result.
 */
const refused: Readonly<Record<string, readonly unknown[]>> = {
  quantization_config: [],
  compression_config: [],
  add_cross_attention: [false],
  is_encoder_decoder: [false],
  is_causal: [true],
  auto_map: [],
  pretraining_tp: [1],
  adapters: [],
};

const headed = lazy(() => z.object({ model_type: z.string(), architectures: optional(z.array(z.string())) }));

/** A class's name without suffix, for example "Llama". */
const stemOf = (className: string): string => className.replace(/(ForCausalLM|LMHeadModel|Model)$/u, "");

const stems = new Set(architectures.map(({ huggingFace }) => stemOf(huggingFace.className)));

/** Whether the class is supported. A supported class is a causal language model, or the bare model without a head. */
const isCausal = (className: string): boolean => stems.has(stemOf(className)) && !stems.has(className);

/**
 * Reads the configuration from the `config.json` of a Hugging Face directory.
 * @param json parsed content of the file.
 * @param where the file, for error texts.
 * @throws CheckpointError naming a field that changes the results but is not supported.
 */
export const readHuggingFaceConfig = (json: object, where: string): ReadConfig => {
  try {
    const { model_type: type, architectures: classes } = parseConfig(headed(), json, where);
    const head = classes?.[0];
    if (head !== undefined && !isCausal(head)) {
      fail(where, "architectures", "must be a class that predicts the next token, such as LlamaForCausalLM", head);
    }
    checkRefused(json, refused, where);
    const found = architectures.find(({ huggingFace }) => huggingFace.modelType === type);
    const types = architectures.map(({ huggingFace }) => huggingFace.modelType);
    const { huggingFace } = found ?? fail(where, "model_type", `must be ${alternatives(types)}`, type);
    const read = huggingFace.read(json, where);
    return { ...read, config: parseConfig(modelConfigSchema, read.config, where) };
  } catch (error) {
    if (!(error instanceof ForetokenError) || error instanceof CheckpointError) throw error;
    throw new CheckpointError({ ...error.details, cause: error });
  }
};

/**
 * The safetensors file that records a faulty step. The file contains the weights before the step, under Foretoken's
 * tensor names. `batch.x` and `batch.y`, [rows, time], are the batch's token ids, as float32 (exact below 2^24). A
 * batch of documents is one row. `batch.segments`, [documents, 2], contains the pass number and the length of each
 * document. All other values are in the metadata.
 */
import { z } from "zod";
import { type RunConfig, runConfigSchema } from "../../config/config.ts";
import { CheckpointError } from "../../core/errors/errors.ts";
import type { NamedTensor } from "../../core/tensors/named-tensor.ts";
import { readSafetensors, safetensorsChunks } from "../../io/safetensors.ts";
import { checkFormatVersion, checkJson, formatVersion } from "../../pretrained/files/checkpoint-json.ts";
import { passesPerStep } from "../../trainer/passes.ts";
import { trainedLayout } from "../../trainer/state.ts";
import type { StepMeasure } from "../../trainer/trainer.ts";

/** Faults of a step: a value is not finite, or the loss or the gradient exploded. */
export const faultKinds = ["nonfinite", "loss", "gradient"] as const;
export type FaultKind = (typeof faultKinds)[number];

/** A document or a part of a document in a recorded batch. */
export interface RecordedSegment {
  /** Number of the pass, within the step, that contains the document. */
  readonly pass: number;
  readonly length: number;
}

/** Token ids of a step, inputs and targets, row by row. */
export interface RecordedBatch {
  readonly x: ArrayLike<number>;
  readonly y: ArrayLike<number>;
  readonly rows: number;
  readonly time: number;
  /** The documents in the batch's single row; absent if the batch has windows of a text. */
  readonly segments?: readonly RecordedSegment[];
}

/** A faulty step, before it changed a weight. */
export interface FlightRecord extends StepMeasure {
  readonly config: RunConfig;
  readonly vocabSize: number;
  /** Number of the update, counted from 1, as in events. */
  readonly step: number;
  readonly reason: FaultKind;
  /** Description of the first bad tensor, as `findBad` returns it. */
  readonly tensor: string;
  readonly backend: string;
  readonly instructionSet: string;
  readonly dtype: string;
  /** The trained weights, in the layout of `trainedLayout`. */
  readonly values: Float32Array;
  readonly batch: RecordedBatch;
}

/** Mark in the metadata of every record. A file with this mark may be overwritten. */
export const recordMark = "foretoken flight record";

const segmentsName = "batch.segments";

/** Token ids below this number are exact in float32. */
const mostIds = 2 ** 24;

/** Name of the record's file in a run's folder. */
export const recordName = (step: number): string => `nonfinite-step-${step}.safetensors`;

/** The file in pieces. Some pieces are views of the weights. */
export const recordChunks = (record: FlightRecord): readonly Uint8Array[] => {
  const { config, vocabSize, step, loss, gradNorm, reason, tensor, backend, instructionSet, dtype, values } = record;
  const { x, y, rows, time, segments } = record.batch;
  const tensors: NamedTensor[] = trainedLayout(config, vocabSize).parameters.map(({ name, shape, offset, size }) => ({
    name,
    shape,
    data: values.subarray(offset, offset + size),
  }));
  const ids = (name: string, data: ArrayLike<number>): NamedTensor => ({
    name,
    shape: [rows, time],
    data: Float32Array.from(data),
  });
  const pairs = Float32Array.from((segments ?? []).flatMap(({ pass, length }) => [pass, length]));
  const documents =
    segments === undefined
      ? []
      : [{ name: segmentsName, shape: [segments.length, 2], data: pairs } satisfies NamedTensor];
  return safetensorsChunks([...tensors, ids("batch.x", x), ids("batch.y", y), ...documents], {
    backend,
    config: JSON.stringify(config),
    dtype,
    // The mark is short, and the writer sorts it to the front of the header. So the first bytes of the file are enough
    // to find it.
    format: recordMark,
    formatVersion: String(formatVersion),
    gradNorm: String(gradNorm),
    instructionSet,
    loss: String(loss),
    reason,
    seed: String(config.train.seed),
    step: String(step),
    tensor,
    vocabSize: String(vocabSize),
  });
};

const number = z
  .string()
  .max(40)
  .regex(/^(?:NaN|-?Infinity|-?\d+(?:\.\d+)?(?:e[+-]\d+)?)$/u, {
    error: "must be a number as text",
  });
const wholeNumber = z.string().regex(/^\d{1,16}$/u, { error: "must be a whole number as text" });
const word = z.string().regex(/^[\w-]+$/u, { error: "must have only letters, digits, - and _" });

/** Maximum number of characters of a configuration, and of any other entry of the metadata. */
const mostConfig = 2 ** 14;
const mostText = 200;

const metadataSchema = z.strictObject({
  backend: z.enum(["reference", "wasm", "native"]),
  config: z.string(),
  dtype: z.enum(["float32", "bfloat16"]),
  format: z.literal(recordMark),
  formatVersion: wholeNumber,
  gradNorm: number,
  instructionSet: word,
  loss: number,
  reason: z.enum(faultKinds),
  seed: wholeNumber,
  step: wholeNumber,
  tensor: z.string(),
  vocabSize: wholeNumber,
});

/** Maximum nesting of objects in a configuration. Real configurations are nested less deeply. */
const deepest = 16;

const parseConfigText = (text: string, where: string): RunConfig => {
  let depth = 0;
  let most = 0;
  for (const character of text) {
    if (character === "{" || character === "[") most = Math.max(most, ++depth);
    else if (character === "}" || character === "]") depth--;
  }
  let json: unknown;
  try {
    if (most > deepest) throw new Error(`${most} levels`);
    json = JSON.parse(text);
  } catch (cause) {
    const got = cause instanceof Error ? cause.message : String(cause);
    throw new CheckpointError({ where, must: `must be JSON of at most ${deepest} levels`, got, cause });
  }
  return checkJson(runConfigSchema, json, where);
};

/**
 * Reads the documents of a recorded batch. Pass numbers must be ascending, and the configuration must allow each
 * length.
 */
const readSegments = (
  tensor: { readonly shape: readonly number[]; readonly data: Float32Array } | undefined,
  config: RunConfig,
  fail: (must: string, got: string) => never,
): readonly RecordedSegment[] | undefined => {
  if (tensor === undefined) return undefined;
  const { shape, data } = tensor;
  const { contextLength } = config.model;
  const count = shape[0] ?? 0;
  if (shape.length !== 2 || shape[1] !== 2)
    fail(`${segmentsName} must have shape [documents, 2]`, `[${shape.join(", ")}]`);
  const segments: RecordedSegment[] = [];
  let last = 0;
  let tokens = 0;
  for (let i = 0; i < count; i++) {
    const [pass, length] = [data[2 * i] as number, data[2 * i + 1] as number];
    const fits = Number.isInteger(pass) && pass >= last && pass < passesPerStep(config, "documents");
    tokens += length;
    if (!fits || !(Number.isInteger(length) && length >= 1 && length <= contextLength)) {
      fail(
        `${segmentsName} must hold pass numbers in ascending order, and lengths from 1 to ${contextLength}`,
        `${pass} and ${length}`,
      );
    }
    segments.push({ pass, length });
    last = pass;
  }
  const most = config.train.batchSize * config.train.gradAccumSteps * contextLength;
  if (tokens < 1 || tokens > most) fail(`${segmentsName} must have 1 to ${most} tokens together`, String(tokens));
  return segments;
};

/**
 * Reads a record. Every value is checked, because the record may be forged.
 * @param bytes the whole file.
 * @param where name of the file, for errors.
 * @throws CheckpointError with the damage.
 */
export const parseRecord = (bytes: Uint8Array, where: string): FlightRecord => {
  const { tensors, metadata } = readSafetensors(bytes, where);
  const fail = (must: string, got: string): never => {
    throw new CheckpointError({ where, must, got, hint: "a file that train wrote for a faulty step" });
  };
  if (metadata.format !== recordMark) fail("the file must be the record of a step", "another safetensors file");
  for (const [key, value] of Object.entries(metadata)) {
    const most = key === "config" ? mostConfig : mostText;
    if (key.length > mostText || value.length > most)
      fail(`the metadata ${key.slice(0, 40)} must have at most ${most} characters`, String(value.length));
  }
  const version = Number(metadata.formatVersion);
  if (Number.isInteger(version)) checkFormatVersion(version, where);
  const told = checkJson(metadataSchema, { ...metadata }, where);
  const config = parseConfigText(told.config, `${where}: config`);
  const { model, train } = config;
  const step = Number(told.step);
  if (step < 1 || step > train.steps) fail(`step must be from 1 to ${train.steps}`, told.step);
  if (Number(told.seed) !== train.seed) fail(`the seed must equal the config's seed, ${train.seed}`, told.seed);
  if (train.dtype !== told.dtype) fail(`dtype must equal the config's dtype, ${train.dtype}`, told.dtype);
  const vocabSize = Number(told.vocabSize);
  if (vocabSize < 1 || vocabSize > mostIds) fail(`vocabSize must be from 1 to ${mostIds}`, told.vocabSize);

  const expect = (name: string, shape: readonly number[]): Float32Array => {
    const tensor = tensors.get(name);
    const got = tensor === undefined ? "no such tensor" : `[${tensor.shape.slice(0, 8).join(", ")}]`;
    if (tensor === undefined || tensor.shape.join() !== shape.join())
      return fail(`the file must hold ${name} with shape [${shape.join(", ")}]`, got);
    return tensor.data;
  };
  // Check this before the layout is made, because a forged configuration could make the layout huge. A record has two
  // tensors for the batch and one tensor for each parameter.
  if (tensors.size < model.nLayer) fail("each layer must have its tensors", `${tensors.size} tensors`);
  const layout = trainedLayout(config, vocabSize);
  const segments = readSegments(tensors.get(segmentsName), config, fail);
  const [rows, time] =
    segments === undefined
      ? [train.batchSize * train.gradAccumSteps, model.contextLength]
      : [1, segments.reduce((sum, { length }) => sum + length, 0)];
  const x = expect("batch.x", [rows, time]);
  const y = expect("batch.y", [rows, time]);
  for (const [name, ids] of [
    ["batch.x", x],
    ["batch.y", y],
  ] as const) {
    // For documents, -1 marks a target that the loss does not count.
    const least = segments !== undefined && ids === y ? -1 : 0;
    const bad = ids.findIndex((id) => !(Number.isInteger(id) && id >= least && id < vocabSize));
    if (bad >= 0) fail(`${name} must hold whole numbers in [${least}, ${vocabSize})`, `${ids[bad]} at position ${bad}`);
  }
  const found = layout.parameters.map(({ name, shape }) => expect(name, shape));
  const all = found.length + (segments === undefined ? 2 : 3);
  if (tensors.size !== all) fail(`the file must hold ${all} tensors`, String(tensors.size));
  const values = new Float32Array(layout.length);
  for (const [i, { offset }] of layout.parameters.entries()) values.set(found[i] as Float32Array, offset);
  return {
    config,
    vocabSize,
    step,
    loss: Number(told.loss),
    gradNorm: Number(told.gradNorm),
    reason: told.reason,
    tensor: told.tensor,
    backend: told.backend,
    instructionSet: told.instructionSet,
    dtype: told.dtype,
    values,
    batch: { x, y, rows, time, ...(segments === undefined ? {} : { segments }) },
  };
};

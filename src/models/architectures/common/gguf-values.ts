/** Keys and values of GGUF files, as architectures read and write them. */
import type { StoredTensor } from "../../../core/tensors/named-tensor.ts";

/** A value with its type in a file. */
export type GgufValue =
  | { readonly type: "u32" | "f32"; readonly value: number }
  | { readonly type: "text"; readonly value: string };

export const u32 = (value: number): GgufValue => ({ type: "u32", value });
export const f32 = (value: number): GgufValue => ({ type: "f32", value });
export const text = (value: string): GgufValue => ({ type: "text", value });

/** Reads fields by their keys. Each one throws a CheckpointError for a value of another kind. */
export interface Fields {
  /** A whole number from 1. A list of one for each layer must have the same one for all. */
  count(key: string): number | undefined;
  /** A finite number. */
  real(key: string): number | undefined;
  text(key: string): string | undefined;
  flag(key: string): boolean | undefined;
  /** A list of booleans; undefined for a single value, too. */
  flags(key: string): readonly boolean[] | undefined;
  /** A token's id. */
  id(key: string): number | undefined;
  /** @throws CheckpointError naming `key`. */
  fail(key: string, must: string, got: unknown): never;
}

/** A file whose header has been read. */
export interface GgufFacts {
  readonly fields: Fields;
  /** The whole key of an architecture's own one. */
  readonly at: (key: string) => string;
  /** By name. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** The file, for errors. */
  readonly where: string;
}

/** Keys of a file's metadata that this program alone writes and reads: llama.cpp has none for them, and passes over these. */
export const ownKeys = {
  /** none: GELU is the exact one, with erf. llama.cpp computes the tanh form for every model. */
  gelu: "foretoken.gelu",
  /** Numbers that Llama 3's frequency factors follow from. */
  lowFrequency: "foretoken.rope.low_frequency",
  highFrequency: "foretoken.rope.high_frequency",
  originalContext: "foretoken.rope.original_context",
} as const;

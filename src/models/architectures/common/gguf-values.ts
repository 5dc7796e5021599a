/** Keys and values of GGUF files, as architectures read and write them. */
import type { StoredTensor } from "../../../core/tensors/named-tensor.ts";

/** A value with its GGUF type. */
export type GgufValue =
  | { readonly type: "u32" | "f32"; readonly value: number }
  | { readonly type: "text"; readonly value: string };

export const u32 = (value: number): GgufValue => ({ type: "u32", value });
export const f32 = (value: number): GgufValue => ({ type: "f32", value });
export const text = (value: string): GgufValue => ({ type: "text", value });

/** Reads fields by key. Each method throws a CheckpointError if the value has another type. */
export interface Fields {
  /**
   * A whole number, at least 1. If the file has a list with one entry for each layer, all entries must be the same
   * number.
   */
  count(key: string): number | undefined;
  /** A finite number. */
  real(key: string): number | undefined;
  text(key: string): string | undefined;
  flag(key: string): boolean | undefined;
  /** A list of booleans. Undefined if the value is absent or is a single value. */
  flags(key: string): readonly boolean[] | undefined;
  /** A token's id. */
  id(key: string): number | undefined;
  /** @throws CheckpointError naming `key`. */
  fail(key: string, must: string, got: unknown): never;
}

/** A file with a header that has been read. */
export interface GgufFacts {
  readonly fields: Fields;
  /** Full key: the architecture's prefix and `key`. */
  readonly at: (key: string) => string;
  /** By name. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** The file, for error texts. */
  readonly where: string;
}

/** Metadata keys that only Foretoken writes and reads. llama.cpp ignores them. */
export const ownKeys = {
  /** Key that marks the exact form of GELU, with erf. llama.cpp always computes the tanh form. */
  gelu: "foretoken.gelu",
  /** Parameters from which Llama 3's wavelength factors are computed. */
  lowFrequency: "foretoken.rope.low_frequency",
  highFrequency: "foretoken.rope.high_frequency",
  originalContext: "foretoken.rope.original_context",
} as const;

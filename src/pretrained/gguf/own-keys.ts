/** Keys of a GGUF file's metadata that this program alone writes and reads: llama.cpp has none for them, and passes over these. */
export const ownKeys = {
  /** none: GELU is the exact one, with erf. llama.cpp computes the tanh form for every model. */
  gelu: "foretoken.gelu",
  /** Numbers that Llama 3's frequency factors follow from. */
  lowFrequency: "foretoken.rope.low_frequency",
  highFrequency: "foretoken.rope.high_frequency",
  originalContext: "foretoken.rope.original_context",
  /** The id that `tokenizer.ggml.eos_token_id` names where the model has no end of text: llama.cpp would suppose one. */
  endStandIn: "foretoken.eos_stand_in_token_id",
} as const;

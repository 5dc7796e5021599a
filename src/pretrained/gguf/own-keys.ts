/** Keys of a GGUF file's metadata about text that this program alone writes and reads: llama.cpp passes over them. */
export const ownKeys = {
  /** The id that `tokenizer.ggml.eos_token_id` names where the model has no end of text: llama.cpp would suppose one. */
  endStandIn: "foretoken.eos_stand_in_token_id",
} as const;

/** Metadata keys that only Foretoken writes and reads. llama.cpp ignores them. */
export const ownKeys = {
  /**
   * Id that `tokenizer.ggml.eos_token_id` has only as a placeholder, because the model has no end-of-text token.
   * Without the placeholder, llama.cpp would assume some other token.
   */
  endStandIn: "foretoken.eos_stand_in_token_id",
} as const;

/** Metadata keys that only Foretoken writes and reads. llama.cpp ignores them. */
export const ownKeys = {
  /**
   * Key for the id of a placeholder: if the model has no end-of-text token, `tokenizer.ggml.eos_token_id` has this id.
   * If the file named no end-of-text token, llama.cpp would assume some other token.
   */
  endStandIn: "foretoken.eos_stand_in_token_id",
} as const;

/** Metadata keys that only Foretoken writes and reads. llama.cpp ignores them. */
export const ownKeys = {
  /**
   * Key for the id of a placeholder. A model without an end-of-text token gets this id as
   * `tokenizer.ggml.eos_token_id`. Without this field, llama.cpp would assume another token as the end-of-text token.
   */
  endStandIn: "foretoken.eos_stand_in_token_id",
} as const;

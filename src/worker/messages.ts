import type { BackendName, Capabilities } from "../backend/backend.ts";
import type { ModelConfig } from "../models/config.ts";

/** A model that a thread holds, and what others know of it. */
export interface LoadedModel {
  readonly key: number;
  readonly config: ModelConfig;
  readonly parameters: number;
  /** The contents of `tokenizer.json`. */
  readonly tokenizer: unknown;
  readonly backend: BackendName;
  readonly capabilities: Capabilities;
}

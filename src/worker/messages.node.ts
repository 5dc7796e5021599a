import type { BackendName, Capabilities } from "../backend/backend.ts";
import type { BackendChoice } from "../backend/select.node.ts";
import type { DTypeChoice } from "../core/dtype.ts";
import type { ModelConfig } from "../models/config.ts";

/** A model to load, as `loadPretrained` is told. */
export interface LoadRequest {
  readonly directory: string;
  readonly backend?: BackendChoice | undefined;
  readonly threads?: number | undefined;
  readonly dtype?: DTypeChoice | undefined;
}

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

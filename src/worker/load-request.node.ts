import type { BackendChoice } from "../backend/select.node.ts";
import type { DTypeChoice } from "../core/dtype.ts";

/** A model to load, as `loadPretrained` is told. */
export interface LoadRequest {
  readonly directory: string;
  readonly backend?: BackendChoice | undefined;
  readonly threads?: number | undefined;
  readonly dtype?: DTypeChoice | undefined;
}

/** Names of backends in Node. */
import type { BackendName } from "./backend.ts";

/** Best first. */
export const order = ["native", "wasm", "reference"] as const satisfies readonly BackendName[];

export const backendChoices = ["auto", ...order] as const;
/** Name of a backend, or "auto". "auto" takes the fastest backend that works on this machine. */
export type BackendChoice = (typeof backendChoices)[number];

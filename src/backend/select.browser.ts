/** Chooses a backend in a browser. */

import { checkChoice, checkKeys } from "../core/checks/check-arguments.ts";
import { ConfigError } from "../core/errors/errors.ts";
import { alternatives } from "../core/text/alternatives.ts";
import { showWord } from "../core/text/show.ts";
import type { Backend, BackendName } from "./backend.ts";
import { openReference } from "./implementations/reference/reference.ts";
import { openWasm, type WasmOptions } from "./implementations/wasm/browser.ts";

export const backendChoices = ["wasm", "reference"] as const satisfies readonly BackendName[];
/** A backend by name. */
export type BackendChoice = (typeof backendChoices)[number];

/**
 * Opens a backend: `wasm` or `reference`. `wasm` works in any page with one thread, and with several threads in a
 * cross-origin isolated page. `reference` works in any page, but is slow. The threads of `wasm` are workers of its own.
 * The workers end with `close`.
 * The backend computes on the calling thread. Call it in a worker, so that the page stays responsive.
 *
 * @param choice a backend by name.
 * @param options threads, dtype, instruction set.
 * @throws UnsupportedKernelError with the reason, if `wasm` cannot run. For several threads without cross-origin
 * isolation, the error names the missing headers
 * @throws ConfigError for an unknown name or a number of threads that is not from 1 to 256
 * @example
 * ```ts
 * import { loadPretrained, openBackend } from "foretoken/browser";
 *
 * const backend = await openBackend("wasm", { threads: 2 });
 * const lm = await loadPretrained("https://example.org/checkpoint", { backend });
 * await lm.close();
 * await backend.close();
 * ```
 */
export const openBackend = async (choice: BackendChoice = "wasm", options: WasmOptions = {}): Promise<Backend> => {
  checkKeys("openBackend", options, ["threads", "dtype", "instructionSet"]);
  checkChoice("dtype", options.dtype, ["float32", "bfloat16"]);
  switch (choice) {
    case "wasm":
      return openWasm(options);
    case "reference":
      return openReference({ dtype: options.dtype ?? "float32" });
    default:
      throw new ConfigError({
        where: "backend",
        must: `must be ${alternatives(backendChoices)}`,
        got: showWord(choice satisfies never),
      });
  }
};

/** Opens backends for programs. If `auto` could use faster native kernels that are missing, it prints advice. */

import { adviseOnce } from "./advise.node.ts";
import type { Backend } from "./backend.ts";
import type { BackendChoice } from "./choices.node.ts";
import { type BackendOptions, openBackend as openSilently } from "./select.node.ts";

/**
 * Opens the backend `choice`. `auto` takes the first of native, wasm and reference that works on this machine. If
 * native kernels are missing but available for this machine, a Node warning says how to get them, once per thread.
 * @param choice a backend by name.
 * @param options number of threads, dtype, instruction set, and whether products of many rows must be fast.
 * @throws UnsupportedKernelError with the reason, if the named backend is not available
 * @throws ConfigError for an unknown name or dtype, a bad number of threads or an unavailable instruction set
 * @example
 * ```ts
 * import { loadPretrained, openBackend } from "foretoken";
 *
 * const backend = await openBackend("auto", { threads: 2 });
 * const models = await Promise.all(["runs/a/best", "runs/b/best"].map((path) => loadPretrained(path, { backend })));
 * console.log(models.map(({ model }) => model.config.nLayer));
 * for (const lm of models) await lm.close();
 * await backend.close();
 * ```
 */
export const openBackend = async (choice: BackendChoice, options: BackendOptions = {}): Promise<Backend> => {
  const backend = await openSilently(choice, options);
  await adviseOnce(choice);
  return backend;
};

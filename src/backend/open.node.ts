/** Opens backends for programs. If `auto` could use faster native kernels that are missing, it prints advice. */
import type { Backend } from "./backend.ts";
import { type BackendChoice, type BackendOptions, findAuto, openBackend as openSilently } from "./select.node.ts";

/** Advice is given once per thread. */
let advised = false;

/**
 * Prints how to get native kernels, at most once per thread. The advice is printed only if `choice` is "auto" or
 * absent. Native kernels must be missing, but available for this machine.
 * @param tell receives the line; default: a process warning, which Node prints on standard error.
 */
export const adviseOnce = async (
  choice: unknown,
  tell: (line: string) => unknown = (line) =>
    process.emitWarning(line, { type: "ForetokenWarning", code: "FORETOKEN_NO_NATIVE_KERNELS" }),
): Promise<void> => {
  if (advised || (choice !== undefined && choice !== "auto")) return;
  const { name, advice } = await findAuto();
  advised = true;
  if (advice !== undefined) await tell(`backend ${name}: ${advice}`);
};

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

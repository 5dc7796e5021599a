/** Interface of the module: the exports of native/wasm.cc, and the start message of a worker. */

export interface WasmExports {
  readonly __stack_pointer: { value: number };
  open(threads: number, mayBlock: number): void;
  close(): void;
  worker_stack(): number;
  worker_main(thread: number): void;
  worker_abandon(): void;
  failed(): number;
  allocate(bytes: number): number;
  release(handle: number): void;
  at(handle: number, byteOffset: number, bytes: number): number;
  packet(): number;
  run(): number;
  run_beside(packets: number, length: number, ends: number, count: number, threads: number): number;
  kernel_count(): number;
  kernel_name(index: number): number;
  kernel_buffers(index: number): number;
  kernel_ints(index: number): number;
  kernel_floats(index: number): number;
  max_buffers(): number;
  max_ints(): number;
  max_floats(): number;
}

/** Message that starts a worker. The worker joins the pool as thread `thread`, with its own stack. */
export interface WorkerStart {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly thread: number;
  readonly stackTop: number;
}

/**
 * Creates an instance of the module that uses `memory`. Only the first instance for a memory writes the module's data.
 */
export const instantiate = async (module: WebAssembly.Module, memory: WebAssembly.Memory): Promise<WasmExports> => {
  const instance = await WebAssembly.instantiate(module, { env: { memory } });
  return instance.exports as unknown as WasmExports;
};

import type { Backend } from "#foretoken/backend/backend.js";
import { openNative } from "#foretoken/backend/implementations/native/native.node.js";
import { openWasm } from "#foretoken/backend/implementations/wasm/node.js";
import { describeBackends } from "#foretoken/backend/select.node.js";

interface CompiledBackend {
  readonly name: "native" | "wasm";
  readonly open: (threads: number) => Promise<Backend>;
  /** Why the backend cannot be tested on this machine. */
  readonly missing: string | undefined;
}

const { backends } = await describeBackends();
const missing = (name: string): string | undefined => {
  const found = backends.find((backend) => backend.name === name);
  return found === undefined || found.available ? undefined : found.reason;
};

export const compiledBackends: readonly CompiledBackend[] = [
  { name: "native", open: (threads) => openNative({ threads }), missing: missing("native") },
  { name: "wasm", open: (threads) => openWasm({ threads }), missing: missing("wasm") },
];

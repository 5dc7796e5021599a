/** List of all architectures. To add one, create its folder and add a line here. */
import type { Architecture } from "./architecture.ts";
import { gemma3 } from "./gemma3/gemma3.ts";
import { gpt2 } from "./gpt2/gpt2.ts";
import { llama } from "./llama/llama.ts";
import { mistral } from "./mistral/mistral.ts";
import { olmo2 } from "./olmo2/olmo2.ts";
import { olmo3 } from "./olmo3/olmo3.ts";
import { phi3 } from "./phi3/phi3.ts";
import { qwen2 } from "./qwen2/qwen2.ts";
import { qwen3 } from "./qwen3/qwen3.ts";
import { smollm3 } from "./smollm3/smollm3.ts";

/** All architectures. A configuration is accepted by at most one architecture. */
export const architectures: readonly Architecture[] = [
  gpt2,
  llama,
  mistral,
  qwen2,
  qwen3,
  phi3,
  olmo2,
  olmo3,
  smollm3,
  gemma3,
];

/** A one-line description of each preset. */
import { type PresetName, presetNames } from "../../config/presets.ts";

const about: Readonly<Record<PresetName, string>> = {
  quick: "a first model in about two minutes on two cores",
  shakespeare:
    "the best known recipe at this size: the architecture of Qwen3, the Muon optimizer and a context of 256 tokens",
  book: "the small GPT of a course, trained for 3,000 steps: a reference for comparisons",
  gpt2: "the smallest GPT-2, with 124 million parameters: use it with the weights of GPT-2; training from scratch needs an accelerator or takes days",
  "llama-small": "the architecture of Llama at a size for a CPU: 9.4 million parameters and a context of 256 tokens",
};

export const presetTexts = presetNames.map((name) => ({ name, about: about[name] }));

/** A one-line description of each preset. */
import { type PresetName, presetNames } from "../../config/presets.ts";

const about: Readonly<Record<PresetName, string>> = {
  quick: "a first model in about two minutes on two cores",
  shakespeare: "the best recipe known at this size: the shape of Qwen3, the optimizer Muon, a context of 256",
  book: "the small GPT of a course, with 3,000 steps: the reference to compare with",
  gpt2: "the smallest shape of GPT-2, with 124 million parameters: use it with the weights of GPT-2; training from scratch needs an accelerator or takes days",
  "llama-small": "the shape of Llama at a size for a CPU: 9.4 million parameters and a context of 256",
};

export const presetTexts = presetNames.map((name) => ({ name, about: about[name] }));

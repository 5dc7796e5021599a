/** The help of `foretoken train`. */

import { backendChoices } from "../../backend/choices.node.ts";
import { defaultPreset, type PresetName, presetNames, presets } from "../../config/presets.ts";
import { alternatives } from "../../core/text/alternatives.ts";
import { formatCount } from "../display/texts/format.ts";
import type { ShortHelp } from "../help.ts";

const stepsOf = (preset: PresetName): string => formatCount(presets[preset].train.steps);

/** Examples below the page with all flags. */
export const examples = `
Examples:
  $ npx foretoken train                                    preset ${defaultPreset}: a first model, ${stepsOf(defaultPreset)} steps
  $ npx foretoken train --data notes.txt --out runs/notes  on your own text, or a folder of texts
  $ npx foretoken train --preset book                      the reference model, ${stepsOf("book")} steps
  $ npx foretoken train --model.nLayer 6 --model.dropout 0.1 --steps 2000 --patience 3
  $ npx foretoken train --config small.json --seed 2       { "preset": "book", "train": { "steps": 500 } }
  $ npx foretoken train --resume runs/notes                resume a run that was stopped
  $ npx foretoken train --resume runs/notes --steps 3000   train longer: 3,000 steps in total
  $ npx foretoken train --init-from runs/notes --data letters.txt  a new run that starts with the weights of runs/notes
  $ npx foretoken train --init-from model.gguf --data chat.jsonl   on the answers of conversations
  $ npx foretoken train --data notes.txt --teacher runs/one --teacher runs/two  learn also from two models
  $ npx foretoken train --json > events.jsonl              every event, one JSON object on each line

--resume with --steps trains a run longer. --extend sets the learning rate of the added steps. stretch: the rate follows the
schedule of a run with the new total number of steps; during the first --train.warmupSteps added steps, it rises to this schedule. restart: the rate rises to the plan's highest rate and falls
over the added steps, as in a new run. constant: the rate stays at its last value. A constant rate stays constant in all three cases.

A .jsonl file has one document on each line: {"messages": [{"role", "content"}, …]}, {"prompt", "completion"} or {"text"}.
In messages, the loss counts only the assistant's answers. Documents do not see each other. --rows packed fills each row
with documents up to the context length; --rows one puts one document into a row.

--config changes the fields of the preset (or the fields derived from your text), and flags change the result.
Ctrl-C saves and prints the command that resumes the run; a second Ctrl-C quits at once, and earlier checkpoints stay whole.`;

/** Short help page of `--help`: at most 40 lines of 80 columns. */
export const shortHelp: ShortHelp = {
  groups: {
    "Run: text, plan and folder": [
      ["--data <text>", "a file, a folder, .jsonl documents or a corpus's name"],
      ["--val-data <text>", "a text to validate on (default: the end of --data)"],
      ["--preset <name>", alternatives(presetNames)],
      ["--out <folder>", "the run's folder (default: a new one in runs/)"],
      ["--resume <folder>", "resume this run; with --steps: train it longer"],
      ["--init-from <model>", "start with the weights of a run or another model"],
    ],
    "Model: size (default: from the text or the preset)": [
      ["--tokenizer <kind>", "char or bpe; hugging-face with --init-from"],
      ["--model.nLayer <n>", "transformer blocks"],
      ["--model.nHead <n>", "attention heads in each block"],
      ["--model.nEmbd <n>", "channels of the residual stream"],
      ["--model.contextLength <n>", "tokens that a prediction can see"],
    ],
    "Training: how long and how fast it learns": [
      ["--steps <n>", "optimizer updates"],
      ["--batch-size <n>", "windows of text in a step"],
      ["--learning-rate <x>", "the highest rate, reached after a warm-up"],
      ["--patience <n>", "stop after <n> evaluations without a better loss"],
      ["--seed <n>", "seed of weights, batches and samples (default: 1)"],
    ],
    "Running: backend, threads and output": [
      ["--backend <name>", `${alternatives(backendChoices)} (default: auto)`],
      ["--threads <n>", "number of threads (default: one for each core)"],
      ["--dtype <type>", "auto, float32 or bfloat16 (default: auto)"],
      ["--studio", "open a page with the run's curves"],
      ["--json", "write events as JSON, one on each line"],
    ],
  },
  notes: `
Examples:
  $ npx foretoken train --data notes.txt --out runs/notes   on your text
  $ npx foretoken train --resume runs/notes                 after Ctrl-C
  $ npx foretoken train --model.nLayer 6 --steps 2000       another size`,
};

/** The help of `foretoken train`. */

import { backendChoices } from "../../backend/select.node.ts";
import { defaultPreset, type PresetName, presetNames, presets } from "../../config/presets.ts";
import { alternatives } from "../../core/text/alternatives.ts";
import { formatCount } from "../display/texts/format.ts";
import type { ShortHelp } from "../help.ts";

const stepsOf = (preset: PresetName): string => formatCount(presets[preset].train.steps);

/** Under the page with all flags. */
export const examples = `
Examples:
  $ npx foretoken train                                    preset ${defaultPreset}: a first model, ${stepsOf(defaultPreset)} steps
  $ npx foretoken train --data notes.txt --out runs/notes  on a text (or a folder of texts) of your own
  $ npx foretoken train --preset book                      the reference model, ${stepsOf("book")} steps
  $ npx foretoken train --model.nLayer 6 --model.dropout 0.1 --steps 2000 --patience 3
  $ npx foretoken train --config small.json --seed 2       { "preset": "book", "train": { "steps": 500 } }
  $ npx foretoken train --resume runs/notes                go on where a run was stopped
  $ npx foretoken train --resume runs/notes --steps 3000   train longer: 3,000 steps in all
  $ npx foretoken train --init-from runs/notes --data letters.txt  a new run from its weights
  $ npx foretoken train --init-from model.gguf --data chat.jsonl   on the answers of conversations
  $ npx foretoken train --json > events.jsonl              every event, one JSON object a line

With --resume and --steps the learning rate rises, over --train.warmupSteps, to that of a run of so many steps from
its beginning, and follows it to the end (--extend stretch). --extend restart: it rises to the plan's rate and falls
over the added steps, as in a new run. --extend constant: it stays as it was last. A constant rate stays in any case.

A .jsonl file has documents, one on each line: {"messages": [{"role", "content"}, …]}, of which the loss counts the
assistant's answers, {"prompt", "completion"}, or {"text"}. They do not see each other. --rows packed: as many of them in a
row as fit into the context; --rows one: one document in a row.

A preset's fields, or those that follow from a text of your own, are changed first by --config, then by flags.
Ctrl-C saves and says how to go on; a second Ctrl-C quits at once, and what was saved before stays whole.`;

/** The page of `--help`: at most 40 lines of 80 columns. */
export const shortHelp: ShortHelp = {
  groups: {
    "Run: its text, its plan and its folder": [
      ["--data <text>", "a file, a folder, .jsonl documents or a corpus's name"],
      ["--val-data <text>", "a text to validate on (default: the end of --data)"],
      ["--preset <name>", alternatives(presetNames)],
      ["--out <folder>", "the run's folder (default: a new one in runs/)"],
      ["--resume <folder>", "go on with this run; with --steps: train it longer"],
      ["--init-from <model>", "begin with the weights of a run or of another model"],
    ],
    "Model: its size (default: by the text, or of the preset)": [
      ["--tokenizer <kind>", "char or bpe; hugging-face with --init-from"],
      ["--model.nLayer <n>", "transformer blocks"],
      ["--model.nHead <n>", "attention heads in each block"],
      ["--model.nEmbd <n>", "channels of the residual stream"],
      ["--model.contextLength <n>", "tokens that a prediction can see"],
    ],
    "Training: how long and how fast it learns": [
      ["--steps <n>", "optimizer updates"],
      ["--batch-size <n>", "windows of text in a step"],
      ["--learning-rate <x>", "the highest, after a warm-up"],
      ["--patience <n>", "stop after so many evaluations without a better loss"],
      ["--seed <n>", "decides weights, batches and samples (default: 1)"],
    ],
    "Running: where it computes, and how it tells its results": [
      ["--backend <name>", `${alternatives(backendChoices)} (default: auto)`],
      ["--threads <n>", "threads to compute with (default: all cores)"],
      ["--dtype <type>", "auto, float32 or bfloat16 (default: auto)"],
      ["--studio", "open a page with the run's curves"],
      ["--json", "write events as JSON, one on a line"],
    ],
  },
  notes: `
Examples:
  $ npx foretoken train --data notes.txt --out runs/notes   on your text
  $ npx foretoken train --resume runs/notes                 after Ctrl-C
  $ npx foretoken train --model.nLayer 6 --steps 2000       another size`,
};

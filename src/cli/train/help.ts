/** The help of `foretoken train`. */
import { defaultPreset, type PresetName, presets } from "../../config/presets.ts";
import { formatCount } from "../display/texts/format.ts";

const stepsOf = (preset: PresetName): string => formatCount(presets[preset].train.steps);

/** Under the page with all flags. */
export const examples = `
Examples:
  $ npx foretoken train                                    preset ${defaultPreset}: a first model, ${stepsOf(defaultPreset)} steps
  $ npx foretoken train --data notes.txt --out runs/notes  on a text (or a folder of texts) of your own
  $ npx foretoken train --preset book                      the reference model, ${stepsOf("book")} steps
  $ npx foretoken train --model.nLayer 6 --model.dropout 0.1 --steps 2000 --patience 3
  $ npx foretoken train --config small.json --seed 2       { "preset": "book", "train": { "steps": 500 } }
  $ npx foretoken train --resume runs/notes                go on where a run was interrupted
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

/**
 * A run's folder:
 *
 *     run.json             the configuration and the text (path and hash)
 *     README.md            about the run, for people: written anew at every checkpoint
 *     text.txt             the text, if `train` was given it as a string; val-text.txt: the one to validate on
 *     documents.jsonl      the documents, if `train` was given a list; val-documents.jsonl: those to validate on
 *     metrics.jsonl        the events, one per line
 *     samples.txt          the model's text at each evaluation, for people
 *     checkpoint/          the last checkpoint: a Hugging Face directory, trainer_state.json, optimizer.safetensors
 *     checkpoint-<step>/   earlier checkpoints, if more than the last are kept
 *     checkpoint-set-aside/    the last checkpoint before an earlier one was resumed
 *     checkpoint-<step>-set-aside/   a kept checkpoint, before the run took another way from an earlier one
 *     best/                the weights with the lowest validation loss: a Hugging Face directory
 *     best-set-aside-<step>/   best weights from after the point that a run goes on from, until it has them again
 *     base/                of a run that trains an adapter: the model that the adapter is for, its weights as links
 *     base-set-aside/      what was in its place, and was another model
 *     rollback/            with onNonfinite "rollback": the state to go back to
 *     nonfinite-step-N.safetensors   the record of a step that was not finite, or exploded
 *     .lock                names the process that works in the folder, while there is one
 */
export const folderNames = {
  description: "run.json",
  text: "text.txt",
  valText: "val-text.txt",
  documents: "documents.jsonl",
  valDocuments: "val-documents.jsonl",
  metrics: "metrics.jsonl",
  checkpoint: "checkpoint",
  best: "best",
  rollback: "rollback",
  readme: "README.md",
  samples: "samples.txt",
  lock: ".lock",
} as const;

/** The folder in which `train` makes runs, where none is named. */
export const runsFolder = "runs";

/** The name of a checkpoint that is kept beside the last one. */
export const keptName = (step: number): string => `${folderNames.checkpoint}-${step}`;

/** The step of a checkpoint that is kept beside the last one, by its folder's name; undefined for other names. */
export const keptStep = (name: string): number | undefined => {
  const step = /^checkpoint-(\d{1,15})$/u.exec(name)?.[1];
  return step === undefined ? undefined : Number(step);
};

/** Whether a folder of this name is a checkpoint that can be resumed. */
export const isResumable = (name: string): boolean =>
  name === folderNames.checkpoint ||
  keptStep(name) !== undefined ||
  /^checkpoint-(?:\d{1,15}-)?set-aside(?:-\d+)?$/u.test(name);

/**
 * Names in a run's folder:
 *
 *     run.json             the configuration and the text (path and hash)
 *     README.md            describes the run for people; rewritten at every checkpoint
 *     text.txt             the training text, if `train` got it as a string; val-text.txt: the validation text
 *     documents.jsonl      the training documents, if `train` got a list; val-documents.jsonl: the validation documents
 *     metrics.jsonl        the events, one per line
 *     samples.txt          the samples at each evaluation, for people
 *     checkpoint/          the last checkpoint: a Hugging Face directory, trainer_state.json, optimizer.safetensors
 *     checkpoint-<step>/   earlier checkpoints, if more than one is kept
 *     checkpoint-set-aside/    the former last checkpoint, after the run went back to an earlier one
 *     checkpoint-<step>-set-aside/   a kept checkpoint of an earlier plan that the run no longer follows
 *     best/                the weights with the lowest validation loss: a Hugging Face directory
 *     averaged/            with train.average: the averaged weights with the lowest validation loss
 *     averaged-set-aside-<step>/   as best-set-aside-<step>/, for averaged/
 *     best-set-aside-<step>/   best weights of a later step than the resumed one, until the run reaches that step again
 *     base/                in a run with adapters: the base model, with links to its weight files
 *     base-set-aside/      another model that was in the place of base/
 *     rollback/            with onNonfinite "rollback": the state for a rollback
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
  averaged: "averaged",
  rollback: "rollback",
  readme: "README.md",
  samples: "samples.txt",
  lock: ".lock",
} as const;

/** The folder in which `train` creates runs by default. */
export const runsFolder = "runs";

/** The folder name of a kept checkpoint that is not the last checkpoint. */
export const keptName = (step: number): string => `${folderNames.checkpoint}-${step}`;

/** The step of a kept checkpoint, from the name of its folder; undefined for other names. */
export const keptStep = (name: string): number | undefined => {
  const step = /^checkpoint-(\d{1,15})$/u.exec(name)?.[1];
  return step === undefined ? undefined : Number(step);
};

/** Whether a folder with this name is a checkpoint that can be resumed. */
export const isResumable = (name: string): boolean =>
  name === folderNames.checkpoint ||
  keptStep(name) !== undefined ||
  /^checkpoint-(?:\d{1,15}-)?set-aside(?:-\d+)?$/u.test(name);

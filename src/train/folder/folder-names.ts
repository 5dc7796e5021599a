/**
 * A run's folder:
 *
 *     run.json             what was asked for: the config and the text (path and hash)
 *     README.md            what all this is, for people: written anew at every checkpoint
 *     metrics.jsonl        the events, a line each
 *     samples.txt          what the model wrote, for people
 *     checkpoint/          the last checkpoint: a Hugging Face directory with trainer_state.json and optimizer.safetensors
 *     checkpoint-<step>/   those before it, where more than the last are kept
 *     best/                the weights of the lowest validation loss: a Hugging Face directory
 *     rollback/            with onNonfinite "rollback": what the run goes back to
 *     nonfinite-step-N.safetensors   the record of a step that was not finite, or exploded
 *     .lock                which process works in the folder, while one does
 */
export const folderNames = {
  description: "run.json",
  metrics: "metrics.jsonl",
  checkpoint: "checkpoint",
  best: "best",
  rollback: "rollback",
  readme: "README.md",
  samples: "samples.txt",
  lock: ".lock",
} as const;

/** The name of a checkpoint that is kept beside the last one. */
export const keptName = (step: number): string => `${folderNames.checkpoint}-${step}`;

/** The step of a checkpoint that is kept beside the last one, by its folder's name; undefined for other names. */
export const keptStep = (name: string): number | undefined => {
  const step = /^checkpoint-(\d{1,15})$/u.exec(name)?.[1];
  return step === undefined ? undefined : Number(step);
};

/**
 * A run's folder:
 *
 *     run.json        what was asked for: the config and the text (path and hash)
 *     README.md       what all this is, for people: written anew at every checkpoint
 *     metrics.jsonl   the events, a line each
 *     samples.txt     what the model wrote, for people
 *     checkpoint/     the last checkpoint: a Hugging Face directory with trainer_state.json and optimizer.safetensors
 *     best/           the weights of the lowest validation loss: a Hugging Face directory
 *     rollback/       with onNonfinite "rollback": what the run goes back to
 *     nonfinite-step-N.safetensors   the record of a step that was not finite, or exploded
 */
export const folderNames = {
  description: "run.json",
  metrics: "metrics.jsonl",
  checkpoint: "checkpoint",
  best: "best",
  rollback: "rollback",
  readme: "README.md",
  samples: "samples.txt",
} as const;

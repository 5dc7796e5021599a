/** Saves a run in a new folder if its own folder can no longer be written. */
import type { CheckpointError } from "../../core/errors/errors.ts";
import type { Binding } from "../../io/manifest.ts";
import { descriptionText } from "../description.ts";
import { folderNames } from "../folder-names.ts";
import { configHash } from "../same-config.node.ts";
import type { SavedState } from "../store.ts";
import type { BestKind } from "./best-kinds.ts";
import { checkpointFiles, type RunSubject, weightFiles } from "./checkpoint-files.node.ts";
import type { HeldCheckpoint, HeldFiles } from "./held-files.node.ts";
import type { Notes } from "./notes.node.ts";
import { type RescuedRun, rescued } from "./rescue.node.ts";

/** Identifies the run and the step in a checkpoint's manifest. */
export const bindingAt = (step: number, config: unknown): Binding => ({ step, config: configHash(config) });

/** The remaining parts of a run's folder: open files and the event log. */
interface Remains {
  readonly path: string;
  readonly notes: Notes;
  readonly texts: HeldFiles;
  /** The best weights of each kind. */
  readonly bests: readonly { readonly kind: BestKind; readonly held: HeldCheckpoint }[];
  readonly rollback: HeldCheckpoint;
}

/** The best weights and the rollback point, if they are available from the state or from open files. */
const furtherOf = async (
  subject: RunSubject,
  { bests, rollback }: Remains,
  { progress, weights }: SavedState,
): Promise<RescuedRun["further"]> => {
  const { step } = progress;
  const further: Record<string, RescuedRun["further"][string]> = {};
  for (const { kind, held } of bests) {
    const run = await held.run();
    const best = kind.stepOf(progress);
    if (kind.inCheckpoint && best === step) {
      further[kind.name] = {
        run: bindingAt(step, subject.config),
        files: () => weightFiles(subject, weights.read),
      };
    } else if (run !== null && run.step === best) further[kind.name] = { run, files: () => held.contents() };
  }
  const rollbackRun = await rollback.run();
  if (rollbackRun !== null) further.rollback = { run: rollbackRun, files: () => rollback.contents() };
  return further;
};

/** Saves a run in a new folder, at most once. Resolves to the error with the new place of the run and the reason. */
export const savingElsewhere = (subject: RunSubject, remains: Remains) => {
  const { config } = subject;
  const { path, notes, texts } = remains;
  const save = async (state: SavedState, fault: CheckpointError): Promise<CheckpointError> => {
    const { progress } = state;
    const further = await furtherOf(subject, remains, state);
    // If the best weights are not available, the comparison starts again at the next evaluation.
    const lost = remains.bests.filter(({ kind }) => !(kind.name in further));
    const going = lost.reduce((known, { kind }) => kind.without(known), progress);
    return rescued(path, fault, {
      step: progress.step,
      steps: config.train.steps,
      description: descriptionText(subject),
      run: bindingAt(progress.step, config),
      checkpoint: () => checkpointFiles(subject, { ...state, progress: going }),
      further,
      others: () => ({ ...texts.contents(), [folderNames.metrics]: notes.contents() }),
    });
  };
  let ending: Promise<CheckpointError> | undefined;
  return (state: SavedState, fault: CheckpointError): Promise<CheckpointError> => {
    ending ??= save(state, fault);
    return ending;
  };
};

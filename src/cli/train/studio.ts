/** The studio of `train --studio`: a page for the run that the command trains. */
import { basename, dirname, resolve } from "node:path";
import type { BackendChoice } from "../../backend/choices.node.ts";
import type { StartEvent } from "../../runs/events.ts";
import { onInterrupt } from "../process/interrupt.ts";
import { writeNotice } from "../process/output.ts";
import { version } from "../version.ts";

/** A studio that shows one run. */
export interface TrainStudio {
  readonly url: string;
  /** Await it before reading the next event of the run. */
  turn(): Promise<void>;
  /** Call it when the run has ended. @param stays whether the page stays open until Ctrl-C. */
  end(stays: boolean): Promise<void>;
  close(): Promise<void>;
}

export interface TrainStudioOptions {
  readonly backend: BackendChoice;
  /** As in `StudioOptions`. */
  readonly advice: string | undefined;
  readonly threads: number | undefined;
  /** Asks the run to save and stop. */
  readonly stop: () => void;
}

/** @param run the run's folder. */
export const openTrainStudio = async (
  run: string,
  start: StartEvent,
  { backend, advice, threads, stop }: TrainStudioOptions,
): Promise<TrainStudio> => {
  // This module is loaded only here, because a run without a page needs no server.
  const { startStudio } = await import("../../serve/studio/start.ts");
  const path = resolve(run);
  const studio = await startStudio({ folder: dirname(path), backend, advice, threads, version: version() });
  const adopted = studio.adopt(basename(path), start, stop);
  const close = async (): Promise<void> => {
    adopted.end();
    await studio.close();
  };
  return {
    url: studio.urlOf(basename(path)),
    turn: adopted.turn,
    async end(stays) {
      adopted.end();
      if (stays) {
        writeNotice(`The studio stays at ${studio.url} until Ctrl-C`);
        await new Promise<void>((ended) => {
          const interrupt = onInterrupt(() => {
            interrupt.release();
            ended();
          });
        });
      }
      await close();
    },
    close,
  };
};

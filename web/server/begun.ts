/** What the server said of a run when it began or went on: shown on the run's page, where the reader is then. */
import { signal } from "@preact/signals";
import type { BegunRun } from "../../src/serve/studio/protocol.ts";

export const begun = signal<BegunRun | undefined>(undefined);

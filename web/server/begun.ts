/** The server's messages when it began or resumed a run. The page of the run shows these messages. */
import { signal } from "@preact/signals";
import type { BegunRun } from "../../src/serve/studio/protocol.ts";

export const begun = signal<BegunRun | undefined>(undefined);

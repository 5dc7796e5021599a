/** The server's notices when a run began or was resumed. The run's page shows them. */
import { signal } from "@preact/signals";
import type { BegunRun } from "../../src/serve/studio/protocol.ts";

export const begun = signal<BegunRun | undefined>(undefined);

/** Starts the run of the draft. */
import { signal } from "@preact/signals";
import type { BegunRun } from "../../src/serve/studio/protocol.ts";
import { begun } from "../server/begun.ts";
import { api, postJson } from "../server/request.ts";
import { go, runAddress } from "../shell/address.ts";
import { afterStart, request } from "./draft.ts";
import { failureText, isOfForm } from "./failures.ts";
import { planFailure } from "./planned.ts";

export const starting = signal(false);
/** Reason why the run did not start, if the reason is not about a field. Undefined if there is no such reason. */
export const startFailure = signal<string | undefined>(undefined);

export const canStart = (): boolean =>
  request.value !== undefined && !starting.value && planFailure.value === undefined;

export const start = async (): Promise<void> => {
  const body = request.value;
  if (body === undefined || !canStart()) return;
  starting.value = true;
  startFailure.value = undefined;
  const answer = await postJson<BegunRun>(`${api}/runs`, body);
  starting.value = false;
  // A failure about a field is shown next to the field until the field changes.
  if (answer.kind === "failed" && isOfForm(answer.failure)) planFailure.value = answer.failure;
  else if (answer.kind === "failed") startFailure.value = failureText(answer.failure);
  else {
    begun.value = answer.value;
    afterStart();
    go(runAddress(answer.value.name));
  }
};

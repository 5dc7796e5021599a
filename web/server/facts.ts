/** Facts that the server sends only once. A fact is requested when a view first needs it. */
import { signal } from "@preact/signals";
import type {
  ConfigFieldInfo,
  Failure,
  ModelListAnswer,
  StudioInfo,
  TextListAnswer,
} from "../../src/serve/studio/protocol.ts";
import { api, getJson } from "./request.ts";

const asked = <T>(path: string) => {
  const value = signal<T | undefined>(undefined);
  const failure = signal<Failure | undefined>(undefined);
  let pending: Promise<void> | undefined;
  const ask = async (): Promise<void> => {
    const answer = await getJson<T>(`${api}/${path}`);
    pending = undefined;
    if (answer.kind === "ok") {
      value.value = answer.value;
      failure.value = undefined;
    } else failure.value = answer.failure;
  };
  /** Several callers share one pending request. */
  const load = (): Promise<void> => {
    pending ??= ask();
    return pending;
  };
  return { value, failure, load };
};

export const info = asked<StudioInfo>("info");
export const fields = asked<readonly ConfigFieldInfo[]>("fields");
export const texts = asked<TextListAnswer>("texts");
export const models = asked<ModelListAnswer>("models");

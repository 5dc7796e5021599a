/** First text of the inside view: from the run's own samples, or an example that the model can read. */
import type { TokensAnswer } from "../../src/serve/studio/inside/protocol.ts";
import type { RunSeries } from "../../src/serve/studio/protocol.ts";
import { api, getJson, postJson, runPath } from "../server/request.ts";
import { textFor } from "./texts.ts";

const mostOfSample = 400;
const mostShown = 48;

const clippedTo = (text: string, most: number): string => [...text].slice(0, most).join("");

/** Part of a sample that the view begins with. */
export const beginningOf = (sample: string): string => clippedTo(sample, mostShown);

/** The last text that a run generated during training. Undefined: the model is no run, or the run has no sample. */
export const sampleOf = async (model: string): Promise<string | undefined> => {
  const run = /^runs\/([^/]+)\//.exec(model)?.[1];
  if (run === undefined) return undefined;
  const answer = await getJson<RunSeries>(`${runPath(run)}/series?most=1000`);
  const sample = answer.kind === "ok" ? answer.value.samples.at(-1) : undefined;
  return sample && clippedTo(sample.prompt + sample.text, mostOfSample);
};

export const firstText = async (model: string): Promise<string> => {
  const sample = await sampleOf(model);
  if (sample !== undefined) return beginningOf(sample);
  return textFor(async (text) => {
    const read = await postJson<TokensAnswer>(`${api}/inside/text`, { model, text });
    return read.kind === "failed" ? (read.failure.characters ?? []) : [];
  });
};

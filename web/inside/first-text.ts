/** First text of the inside view: from the run's own samples, or an example that the model can read. */
import type { TokensAnswer } from "../../src/serve/studio/inside/protocol.ts";
import type { RunSeries } from "../../src/serve/studio/protocol.ts";
import { api, getJson, postJson, runPath } from "../server/request.ts";
import { textFor } from "./texts.ts";

const mostOfSample = 400;
const mostShown = 48;

const clippedTo = (text: string, most: number): string => [...text].slice(0, most).join("");

/** Part of a sample that the view begins with. It ends after a word, if a word ends in it. */
export const beginningOf = (sample: string): string => {
  const clipped = clippedTo(sample, mostShown);
  return clipped === sample ? sample : (/^[\s\S]*\S(?=\s)/u.exec(clippedTo(sample, mostShown + 1))?.[0] ?? clipped);
};

/** The last text that a run generated during training. Undefined: the model is no run, or the run has no sample. */
export const sampleOf = async (model: string): Promise<string | undefined> => {
  const run = /^runs\/([^/]+)\//.exec(model)?.[1];
  if (run === undefined) return undefined;
  const answer = await getJson<RunSeries>(`${runPath(run)}/series?most=1000`);
  const sample = answer.kind === "ok" ? answer.value.samples.at(-1) : undefined;
  if (answer.kind !== "ok" || sample === undefined) return undefined;
  // In a conversation, the sample is an answer. Without the chat template's marks, question and answer are one line.
  return clippedTo(answer.value.chat ? sample.prompt : sample.prompt + sample.text, mostOfSample);
};

export const firstText = async (model: string): Promise<string> => {
  const sample = await sampleOf(model);
  if (sample !== undefined) return beginningOf(sample);
  return textFor(async (text) => {
    const read = await postJson<TokensAnswer>(`${api}/inside/text`, { model, text });
    return read.kind === "failed" ? (read.failure.characters ?? []) : [];
  });
};

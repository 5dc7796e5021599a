/** One or two models in training, with samples and measurements during the training. */

import type { Backend, LanguageModel, Tokenizer } from "../../../src/browser.ts";
import { compiledSize, smallModelConfig } from "../../../src/lesson/small-model-config.ts";
import { dictionaryOf, hasWords, wordShare } from "../../../src/lesson/words.ts";
import type { KeptSession } from "./keep.ts";
import { createLearner, type Learner, type Library } from "./learner.ts";
import {
  lookEvery,
  type Measured,
  type Opened,
  type Outcome,
  type Report,
  type Sample,
  type SessionName,
} from "./messages.ts";

/** A text that the worker has read. */
export interface Material {
  readonly library: Library;
  readonly backend: Backend;
  readonly tokenizer: Tokenizer;
  readonly trainIds: Int32Array;
  /** The part of the text that the model trains on. */
  readonly trained: string;
  readonly heldOut: string;
  readonly prompt: string;
}

const seed = 1;
/** Number of characters of a sample during training, and at the end of a race. */
const written = { onTheWay: 160, atTheEnd: 300 } as const;
const masks: Readonly<Record<SessionName, readonly ("causal" | "none")[]>> = {
  model: ["causal"],
  race: ["causal", "none"],
};

/** Configurations of a session's learners. */
export const configsOf = (material: Material, name: SessionName) => masks[name].map((mask) => configOf(material, mask));

const configOf = ({ library, trainIds }: Material, mask: "causal" | "none") =>
  smallModelConfig(compiledSize, { trainTokens: trainIds.length, seed, mask }, library.presets.book.train);

export const openedFacts = (material: Material, parameters: number): Opened => {
  const { model, train } = configOf(material, "causal");
  return {
    threads: material.backend.capabilities.threads,
    parameters,
    vocabSize: material.tokenizer.vocabSize,
    contextLength: model.contextLength,
    batchSize: train.batchSize,
    steps: train.steps,
    trainTokens: material.trainIds.length,
    heldOut: [...material.heldOut].length,
    hasWords: hasWords(material.trained),
  };
};

export interface Session {
  readonly learners: readonly Learner[];
  readonly step: number;
  readonly isDone: boolean;
  /** If a sample and a measurement are due, makes them. Otherwise trains each learner by one step. */
  advance(): Promise<void>;
  /** Whether the sample and the measurement of this step are done. */
  readonly hasLooked: boolean;
  /** State to resume from after a reload. */
  read(): Promise<KeptSession>;
  /** Sends all reports again, for a page that does not have them. */
  tellAgain(): void;
  close(): void;
}

/** Collects the reports of a session and sends new reports. */
const recordOf = (
  session: SessionName,
  learners: number,
  kept: KeptSession | undefined,
  send: (one: Report) => void,
) => {
  const losses = Array.from({ length: learners }, (_, i) => [...(kept?.losses[i] ?? [])]);
  const measured: Measured[] = [...(kept?.measured ?? [])];
  const samples: Sample[] = [...(kept?.samples ?? [])];
  let outcomes: readonly Outcome[] = kept?.outcomes ?? [];
  return {
    tellAgain(): void {
      send({ kind: "losses", session, losses: losses.map((all) => [...all]) });
      for (const one of measured) send({ kind: "measured", session, measured: one });
      for (const sample of samples) send({ kind: "sample", session, sample });
      if (outcomes.length > 0) send({ kind: "outcomes", session, outcomes });
    },
    read: () => ({ losses: losses.map((all) => [...all]), measured: [...measured], samples: [...samples], outcomes }),
    report(one: Report): void {
      if (one.kind === "losses") for (const [i, more] of one.losses.entries()) losses[i]?.push(...more);
      else if (one.kind === "measured") measured.push(one.measured);
      else if (one.kind === "sample") samples.push(one.sample);
      else if (one.kind === "outcomes") outcomes = one.outcomes;
      send(one);
    },
  };
};

/** @param kept stored session to resume. Default: initial weights. */
export const createSession = (
  material: Material,
  name: SessionName,
  send: (report: Report) => void,
  kept?: KeptSession,
): Session => {
  const { library, backend, tokenizer, trainIds, heldOut, prompt } = material;
  const configs = configsOf(material, name);
  const learners = configs.map((config) => createLearner(library, backend, config, tokenizer, trainIds));
  const steps = compiledSize.steps;
  let step = kept?.step ?? 0;
  let looked = kept?.looked ?? -1;
  let isDone = (kept?.outcomes.length ?? 0) > 0;
  const record = recordOf(name, learners.length, kept, send);
  const { report, tellAgain } = record;
  if (kept !== undefined) for (const [i, learner] of learners.entries()) learner.restore(kept.learners[i] ?? []);

  const write = async (lm: LanguageModel, length: number): Promise<string> => {
    let text = "";
    for await (const event of library.generate(lm, { prompt, maxNewTokens: length, temperature: 0.8, topK: 40, seed }))
      if (event.type === "done") text = event.text;
    return text;
  };
  const lossOf = async (lm: LanguageModel): Promise<number> =>
    (await library.evaluate(lm, { text: heldOut })).natsPerToken;

  const look = async (): Promise<void> => {
    looked = step;
    for (const [learner, { lm }] of learners.entries()) {
      report({ kind: "measured", session: name, measured: { learner, step, loss: await lossOf(lm) } });
      const text = await write(lm, written.onTheWay);
      report({ kind: "sample", session: name, sample: { learner, step, prompt, text } });
    }
  };

  const outcomeOf = async ({ lm, masked }: Learner, learner: number): Promise<Outcome> => {
    const text = await write(lm, written.atTheEnd);
    const { words, known } = wordShare(dictionaryOf(material.trained), text, prompt);
    return { learner, asTrained: await lossOf(lm), withMask: await lossOf(masked), text, words, known };
  };

  return {
    learners,
    get step() {
      return step;
    },
    get isDone() {
      return isDone;
    },
    async advance() {
      if (isDone) return;
      if (step % lookEvery === 0 && looked !== step) {
        await look();
        return;
      }
      if (step === steps) {
        isDone = true;
        const outcomes: Outcome[] = [];
        for (const [i, learner] of learners.entries()) outcomes.push(await outcomeOf(learner, i));
        report({ kind: "outcomes", session: name, outcomes });
        return;
      }
      const losses: number[] = [];
      for (const learner of learners) losses.push(await learner.step(step));
      step++;
      report({ kind: "losses", session: name, losses: losses.map((loss) => [loss]) });
    },
    get hasLooked() {
      return looked === step;
    },
    tellAgain,
    read: async () => ({
      ...{ step, looked, ...record.read() },
      learners: await Promise.all(learners.map((learner) => learner.read())),
    }),
    close() {
      for (const learner of learners) learner.close();
    },
  };
};

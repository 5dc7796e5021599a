import { inferenceContext, withContext } from "../autograd/context.ts";
import { readTensor } from "../autograd/tensor.ts";
import { randomKey, randomStream } from "../core/random.ts";
import { createSequenceEngine } from "../engine/engine.ts";
import { generateDefaults } from "../generate/options.ts";
import { type Candidates, candidatesOf, type Draw, drawToken, filterCandidates } from "../generate/sampling/sampler.ts";
import type { Filtering } from "../generate/sampling/settings.ts";
import { forward } from "../models/forward.ts";
import type { Model } from "../models/model.ts";
import { contextEnd, visibleCharacter, visibleText } from "./characters.ts";
import { percent } from "./figures.ts";
import type { LessonInput } from "./input.ts";
import type { Bar, Column, Lesson, Piece, Share, Span, Text } from "./piece.ts";
import { createLearner, lessonSize, trainTogether, write } from "./small-model.ts";

const { temperature, topK, topP, minP } = generateDefaults;
const sampling: Filtering = { temperature, topK, topP, minP };
/** Number of candidate bars before and after training. */
const barsShown = { before: 3, after: 4 };
/** Number of table rows. */
const rowsShown = { candidates: 3, draws: 4 };
/** Maximum number of characters of each text. The lesson shows two texts. */
const mostWritten = 74;
/** Number of characters by which the sequence exceeds the window. */
const cropped = 6;

const quoted = (text: string): string => `“${visibleText(text)}”`;

/** Prompt: the reader's line, or the first 60% of a line of the corpus. The remaining 40% are the true continuation. */
const promptOf = ({ line, isReadersLine }: LessonInput): string => {
  const characters = [...line];
  return isReadersLine ? line : characters.slice(0, Math.max(1, Math.ceil(characters.length * 0.6))).join("");
};

/** Logits [V] after `ids`. If `ids` is longer than the context, the model reads only the end. */
const logitsAfter = (model: Model, ids: readonly number[]): Promise<Float32Array> =>
  withContext(inferenceContext(model.backend), async (context) => {
    const window = ids.slice(-model.config.contextLength);
    const logits = await readTensor(model.backend, forward(context, model, window, 1, window.length)); // [1, T, V]
    return Float32Array.from(logits.slice(-model.vocabSize));
  });

/** Bars that show the probabilities of the likeliest tokens. */
const candidateBars = ({ tokenizer }: LessonInput, logits: Float32Array, shown: number): Piece => {
  const { ids, probabilities } = candidatesOf(logits, 1);
  const bars = ids.slice(0, shown).map((id, i): Bar => {
    const probability = probabilities[i] ?? 0;
    return {
      label: visibleCharacter(tokenizer.token(id)),
      value: probability,
      shown: `${(logits[id] ?? 0).toFixed(2)}  ${percent(probability).padStart(5)}`,
    };
  });
  return { kind: "bars", bars, maximum: 1 };
};

/** Shows how temperature and top-k change the probabilities of the same logits. */
const temperaturePieces = ({ tokenizer }: LessonInput, logits: Float32Array): readonly Piece[] => {
  const whole: Filtering = { temperature: 1, topK: 0, topP: 1, minP: 0 };
  const ways: readonly { readonly title: string; readonly sampling: Filtering }[] = [
    ...[0.5, 1, 2].map((temperature) => ({
      title: `temp. ${temperature}`,
      sampling: { ...whole, temperature },
    })),
    { title: "temp. 1, top-k 3", sampling: { ...whole, topK: 3 } },
  ];
  const columns: readonly Column[] = [
    { title: "", align: "left" },
    { title: "logit", align: "right" },
    ...ways.map(({ title }): Column => ({ title, align: "right" })),
  ];
  const distributions = ways.map((way) => {
    const { ids, probabilities } = filterCandidates(logits, way.sampling);
    return new Map(ids.map((id, i) => [id, probabilities[i] ?? 0]));
  });
  const shown = candidatesOf(logits, 1).ids.slice(0, rowsShown.candidates);
  const rest = logits.length - shown.length;
  const ofRest = distributions.map((distribution) =>
    [...distribution].reduce((sum, [id, p]) => (shown.includes(id) ? sum : sum + p), 0),
  );
  const cell = (share: number | undefined): Text =>
    share === undefined || share === 0 ? [{ text: "–", emphasis: "muted" }] : percent(share);
  return [
    { kind: "heading", text: "Temperature and top-k" },
    {
      kind: "prose",
      text: "The logits are divided by the temperature before the softmax. A low temperature makes likely characters likelier. A high temperature makes all probabilities more equal. Top-k keeps only the k likeliest characters.",
    },
    {
      kind: "table",
      columns,
      rows: [
        ...shown.map((id) => [
          visibleCharacter(tokenizer.token(id)),
          (logits[id] ?? 0).toFixed(2),
          ...distributions.map((distribution) => cell(distribution.get(id))),
        ]),
        ...(rest > 0 ? [[`${rest} others`, "", ...ofRest.map(cell)]] : []),
      ],
    },
  ];
};

/** Drawn token, its position in the sequence, and the random number that selected it. */
interface DrawnToken {
  readonly candidates: Candidates;
  /** Length of the sequence before this token. */
  readonly after: number;
  readonly number: number;
  readonly draw: Draw;
}

/** Continues `prompt` until the sequence has `length` tokens. Does the same as `generate`, but returns each draw. */
const drawTokens = async (
  { seed, signal }: LessonInput,
  model: Model,
  prompt: readonly number[],
  length: number,
): Promise<{ readonly ids: readonly number[]; readonly drawn: readonly DrawnToken[] }> => {
  const ids = [...prompt];
  const drawn: DrawnToken[] = [];
  const random = randomStream(randomKey(seed, "sampling"));
  const choose = (logits: Float32Array): number => {
    signal.throwIfAborted();
    const candidates = filterCandidates(logits, sampling);
    const number = random.uniform();
    const draw = drawToken(candidates, number);
    drawn.push({ candidates, after: ids.length, number, draw });
    ids.push(draw.id);
    return draw.id;
  };
  const maxNewTokens = length - prompt.length;
  const engine = createSequenceEngine(model, { cacheBytes: 1, maxSequences: 1 });
  try {
    if (maxNewTokens > 0) await engine.write({ model, prompt, maxNewTokens, choose }).ended;
  } finally {
    await engine.close();
  }
  return { ids, drawn };
};

/** Candidates side by side. The width of a candidate is its probability. A mark shows the random number. */
const strip = ({ tokenizer }: LessonInput, { candidates, number }: DrawnToken): Piece => {
  let to = 0;
  const shares = candidates.ids.map((id, i): Share => {
    to += candidates.probabilities[i] ?? 0;
    return { text: visibleCharacter(tokenizer.token(id)), to };
  });
  return { kind: "strip", shares, at: number, shown: number.toFixed(4) };
};

const drawPieces = (input: LessonInput, ids: readonly number[], drawn: readonly DrawnToken[]): readonly Piece[] => {
  const { tokenizer } = input;
  const [first] = drawn;
  const characters = ids.map((id) => tokenizer.token(id));
  return [
    { kind: "heading", text: `Draw and append, at temperature ${sampling.temperature} with top-k ${sampling.topK}` },
    {
      kind: "prose",
      text: "A random number selects a candidate. Likelier candidates have wider ranges:",
    },
    ...(first === undefined ? [] : [strip(input, first)]),
    {
      kind: "table",
      columns: [
        { title: "sequence so far", align: "left" },
        { title: "number", align: "right" },
        { title: "falls into", align: "left" },
        { title: "", align: "left" },
        { title: "draws", align: "left" },
      ],
      rows: drawn
        .slice(0, rowsShown.draws)
        .map(({ after, number, draw }): readonly Text[] => [
          contextEnd(characters.slice(0, after), 30),
          number.toFixed(4),
          `${draw.from.toFixed(4)} to ${draw.to.toFixed(4)}`,
          "→",
          [{ text: visibleCharacter(tokenizer.token(draw.id)), emphasis: "good" }],
        ]),
    },
  ];
};

const cropPieces = ({ tokenizer }: LessonInput, { config }: Model, ids: readonly number[]): readonly Piece[] => {
  const { contextLength } = config;
  const text = (from: number, end?: number): string => visibleText(tokenizer.decode(ids.slice(from, end)));
  const outside = ids.length - contextLength;
  const line: readonly Span[] = [{ text: text(0, outside), emphasis: "muted" }, { text: `[${text(outside)}]` }];
  return [
    {
      kind: "lines",
      lines: [`The sequence now has ${ids.length} characters. The model sees only the last ${contextLength}:`, line],
      of: "sequence",
    },
  ];
};

const question = (vocabSize: number): Piece => ({
  kind: "prose",
  text: `To write, a model repeatedly predicts the next character. It computes a number, the logit, for each of the ${vocabSize} characters. Softmax turns the logits into probabilities. One character is drawn and appended.`,
});

/** Explains the prediction of an untrained model. */
const untrainedRemark = (logits: Float32Array, prompt: string, lastId: number | undefined): Piece => {
  const itself = quoted([...prompt].at(-1) ?? "");
  const favoursLast = candidatesOf(logits, 1).ids[0] === lastId;
  return {
    kind: "prose",
    text: `If all characters were equally likely, each would have ${percent(1 / logits.length)}.${favoursLast ? ` The untrained model prefers ${itself}, its last input, because input and output use the same weights.` : " The model is untrained."}`,
  };
};

/** States the probability that the trained model gives to the next held-out character. */
const answerRemark = ({ tokenizer }: LessonInput, logits: Float32Array, next: string): Piece => {
  const { ids, probabilities } = candidatesOf(logits, 1);
  const given = probabilities[ids.indexOf(tokenizer.encode(next)[0] ?? 0)] ?? 0;
  return {
    kind: "prose",
    text: `The held-out text continues with ${quoted(next)}, which has a probability of ${percent(given)}.`,
  };
};

/** Lesson: how a model writes one token at a time, before and after training. */
export async function* generationLesson(input: LessonInput, size = lessonSize(input.backend)): Lesson {
  const { corpus, tokenizer, isReadersLine, line } = input;
  const prompt = promptOf(input);
  const promptIds = Array.from(tokenizer.encode(prompt));
  const length = Math.min(size.written, mostWritten);
  const learner = createLearner(input, size, "loss", "causal");
  try {
    const { model } = learner.trainer;
    const { contextLength } = model.config;
    const { steps, batchSize } = learner.config.train;
    const text = (): Promise<string> => write(input, model, { prompt, length, ...sampling });

    yield { kind: "title", part: "generation", text: "One character at a time" };
    yield question(model.vocabSize);
    const untrained = await logitsAfter(model, promptIds);
    yield { kind: "heading", text: `Logits and probabilities after ${quoted(prompt)}, before training` };
    yield candidateBars(input, untrained, barsShown.before);
    yield untrainedRemark(untrained, prompt, promptIds.at(-1));
    const before = await text();

    const what = `${steps} steps of ${batchSize} × ${contextLength} characters of ${corpus.name}`;
    yield { kind: "heading", text: `Training: ${what}` };
    yield* trainTogether(input, "generation", [learner], { height: 4 });
    const trained = await logitsAfter(model, promptIds);
    yield { kind: "heading", text: `After ${quoted(prompt)}, after training` };
    yield candidateBars(input, trained, barsShown.after);
    const next = isReadersLine ? undefined : [...line][[...prompt].length];
    if (next !== undefined) yield answerRemark(input, trained, next);
    yield { kind: "pause" };

    yield* temperaturePieces(input, trained);
    const reach = Math.max(promptIds.length + rowsShown.draws, contextLength + cropped);
    const { ids, drawn } = await drawTokens(input, model, promptIds, reach);
    yield* drawPieces(input, ids, drawn);
    yield* cropPieces(input, model, ids);
    yield {
      kind: "columns",
      columns: [
        { title: `${length} draws before training`, text: visibleText(before) },
        { title: `${length} after`, text: visibleText(await text()) },
      ],
    };
  } finally {
    learner.trainer.close();
  }
}

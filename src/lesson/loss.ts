import { randomKey, randomStream } from "../core/random.ts";
import { measureTokens } from "../evaluate/evaluate.ts";
import { contextEnd, visibleCharacter, visibleText } from "./characters.ts";
import { bigramModel, type CountedModel, meanLoss, uniformModel, unigramModel, writeCounted } from "./counted.ts";
import { count, nats, percent } from "./figures.ts";
import type { LessonInput } from "./input.ts";
import { softmax, untrainedModel } from "./model.ts";
import type { Lesson, Piece, Text } from "./piece.ts";
import {
  createLearner,
  type Learner,
  type LessonSize,
  lessonSize,
  recentLoss,
  trainTogether,
  write,
} from "./small-model.ts";
import { knowsByHeart, mostMeasured } from "./small-model-config.ts";

/** Predictions of a model for a line: the logits after each character except the last. */
interface ReadLine {
  readonly characters: readonly string[];
  readonly ids: Int32Array;
  readonly parameters: number;
  /** Logits [V] at position `at`. */
  readonly logits: (at: number) => Float32Array;
}

const readLine = async (input: LessonInput): Promise<ReadLine> => {
  const lm = untrainedModel(input);
  try {
    const characters = [...input.line].slice(0, lm.model.config.contextLength + 1);
    const ids = input.tokenizer.encode(characters.join(""));
    const { data, shape } = await lm.logits(ids.subarray(0, -1));
    const logits = (at: number): Float32Array => data.subarray(at * shape[1], (at + 1) * shape[1]);
    return { characters, ids, parameters: lm.model.layout.count, logits };
  } finally {
    await lm.close();
  }
};

/** Position of the example. There is a character before this position, and a letter after it. */
const exampleOf = (characters: readonly string[]): number => {
  const found = characters.findIndex((_, at) => at >= 4 && /^\p{L}$/u.test(characters[at + 1] ?? ""));
  return found === -1 ? Math.max(0, characters.length - 2) : found;
};

/** Number of candidates in the table. The actual next character is not counted. */
const likeliest = 2;
const dots = (columns: number): readonly Text[] => ["…", ...Array.from({ length: columns - 1 }, () => "")];

/** All numbers at one position, from the logits to the loss. */
const onePosition = ({ ids, logits }: ReadLine, at: number, { tokenizer }: LessonInput): readonly Piece[] => {
  const target = ids[at + 1] ?? 0;
  const values = logits(at);
  const p = softmax(values);
  const byProbability = Array.from(p, (_, id) => id).sort((a, b) => (p[b] ?? 0) - (p[a] ?? 0));
  const rank = byProbability.indexOf(target);
  const row = (id: number): readonly Text[] => {
    const logit = values[id] ?? 0;
    const cells = [
      visibleCharacter(tokenizer.token(id)),
      logit.toFixed(2),
      Math.exp(logit).toFixed(2),
      percent(p[id] ?? 0),
    ];
    if (id !== target) return cells;
    return [...cells, "← next character"].map((text) => [{ text, emphasis: "good" as const }]);
  };
  const sum = values.reduce((total, logit) => total + Math.exp(logit), 0);
  const probability = p[target] ?? 0;
  return [
    {
      kind: "table",
      columns: [
        { title: "next", align: "left" },
        { title: "logit", align: "right" },
        { title: "e^logit", align: "right" },
        { title: "p", align: "right" },
        { title: "", align: "left" },
      ],
      rows: [
        ...byProbability.slice(0, likeliest).map(row),
        ...(rank > likeliest ? [dots(5)] : []),
        ...(rank >= likeliest ? [row(target)] : []),
        [`all ${values.length}`, "", sum.toFixed(2), percent(p.reduce((a, b) => a + b, 0)), ""],
      ],
    },
    {
      kind: "prose",
      text: [
        { text: "The loss is −ln p of the actual next character, here  " },
        { text: `−ln ${probability.toFixed(4)} = ${nats(-Math.log(probability))} nats`, emphasis: "strong" },
        { text: `. The loss of the line is the mean of the losses at its ${ids.length - 1} positions:` },
      ],
    },
  ];
};

const longestContext = 34;

/** Shows the losses at all positions of the line, the mean of these losses, and losses for comparison. */
const allPositions = ({ characters, ids, logits }: ReadLine, vocabSize: number): readonly Piece[] => {
  const pairs = characters.length - 1;
  const p = Array.from({ length: pairs }, (_, at) => softmax(logits(at))[ids[at + 1] ?? 0] ?? 0);
  const mean = p.reduce((sum, probability) => sum - Math.log(probability), 0) / pairs;
  const first = [0, 1].filter((at) => at < pairs);
  return [
    {
      kind: "table",
      columns: [
        { title: "after", align: "left" },
        { title: "comes", align: "left" },
        { title: "p", align: "right" },
        { title: "loss", align: "right" },
      ],
      rows: [
        ...first.map((at) => [
          contextEnd(characters.slice(0, at + 1), longestContext),
          visibleCharacter(characters[at + 1] ?? ""),
          percent(p[at] ?? 0),
          nats(-Math.log(p[at] ?? 0)),
        ]),
        ...(pairs > first.length ? [dots(4)] : []),
        [{ text: `mean of ${pairs}` }, { text: "" }, { text: "" }, { text: nats(mean) }].map(({ text }) => [
          { text, emphasis: "strong" as const },
        ]),
        [`guessing: ln ${vocabSize}`, "", percent(1 / vocabSize), nats(Math.log(vocabSize))],
      ],
    },
    { kind: "heading", text: "Loss for a probability p of the right character" },
    {
      kind: "bars",
      bars: [...new Set([0.9, 0.5, 1 / vocabSize, 0.01])]
        .sort((a, b) => b - a)
        .map((probability) => ({
          label: `p = ${probability === 1 / vocabSize ? `1/${vocabSize}` : `${100 * probability}%`}`,
          value: -Math.log(probability),
          shown: nats(-Math.log(probability)),
        })),
    },
  ];
};

const toLosses = (read: ReadLine, input: LessonInput): readonly Piece[] => {
  const at = exampleOf(read.characters);
  const seen = contextEnd(read.characters.slice(0, at + 1), longestContext);
  return [
    {
      kind: "prose",
      text: [
        { text: `An untrained model (${count(read.parameters)} parameters) reads ` },
        { text: `“${visibleText(read.characters.join(""))}”`, emphasis: "strong" },
        {
          text: " and computes a number, the logit, for every character at each position. Softmax turns logits into probabilities: p = e^logit / Σ e^logit. After ",
        },
        { text: `“${seen}”`, emphasis: "strong" },
        { text: ":" },
      ],
    },
    ...onePosition(read, at, input),
    ...allPositions(read, input.tokenizer.vocabSize),
  ];
};

/** A simple guesser or a model, measured on the held-out text. */
interface Guesser {
  readonly name: string;
  /** Loss on the held-out text, in nats per token. */
  readonly loss: number;
  /** Sample of the text that the guesser or the model writes. */
  readonly text: string;
}

const writing = { length: 60, temperature: 1, topK: 0 };

/** Prompt that all guessers continue. If the text has lines, it is the beginning of a line. */
const promptOf = ({ corpus, tokenizer, valIds }: LessonInput): string =>
  corpus.val.includes("\n") ? "\n" : tokenizer.token(valIds[0] ?? 0);

const countedGuessers = (input: LessonInput, held: Int32Array): readonly Guesser[] => {
  const { tokenizer, trainIds, seed } = input;
  const [start = 0] = tokenizer.encode(promptOf(input));
  const { vocabSize } = tokenizer;
  const guesser = (name: string, model: CountedModel): Guesser => {
    const random = randomStream(randomKey(seed, "sampling"));
    const written = writeCounted(model, vocabSize, start, writing.length, random);
    return { name, loss: meanLoss(model, held), text: tokenizer.decode(written) };
  };
  return [
    guesser("uniform", uniformModel(vocabSize)),
    guesser("unigram", unigramModel(trainIds, vocabSize)),
    guesser("bigram", bigramModel(trainIds, vocabSize)),
  ];
};

const guesserTable = (guessers: readonly Guesser[]): Piece => ({
  kind: "table",
  columns: [
    { title: "guesser", align: "left" },
    { title: "nats", align: "right" },
    { title: "bits", align: "right" },
    { title: "choices", align: "right" },
    { title: "it writes", align: "left", cut: true },
  ],
  rows: guessers.map(({ name, loss, text }) => [
    name,
    nats(loss),
    nats(loss / Math.LN2),
    Math.exp(loss).toFixed(1),
    visibleText(text),
  ]),
});

/**
 * Compares the model's loss with the guessers' losses, in a sentence. Undefined if the table is clear without a
 * sentence.
 */
const verdict = (guessers: readonly Guesser[], learned: Learner, heldOut: number): string | undefined => {
  const better = guessers.filter(({ loss }) => loss < heldOut).map(({ name }) => name);
  const training = recentLoss(learned);
  const isByHeart = knowsByHeart(training, heldOut);
  const known = `${nats(training)} nats on its training text, ${nats(heldOut)} on held-out text`;
  const names = new Intl.ListFormat("en").format(better);
  if (better.length === 0) {
    return isByHeart
      ? `The ${learned.name} knows parts of its text by heart: ${known}. A longer text helps.`
      : undefined;
  }
  return isByHeart
    ? `The ${learned.name} predicts worse than ${names}: it has learned its text by heart (${known}). A longer text helps.`
    : `After so few steps, the ${learned.name} predicts worse than ${names}.`;
};

/**
 * Part of the lesson: what a loss means. Shows the losses of simple guessers next to the falling loss of a model during
 * training.
 */
async function* losses(input: LessonInput, size: LessonSize): Lesson {
  const { corpus, tokenizer, trainIds, valIds } = input;
  const held = input.valIds.subarray(0, Math.min(size.measured, mostMeasured) + 1);
  const guessers = countedGuessers(input, held);
  yield { kind: "heading", text: "What a loss means" };
  const learner = createLearner(input, size, "small model", "causal");
  try {
    const { model } = learner.trainer;
    const { steps } = learner.config.train;
    yield {
      kind: "prose",
      text: `Three simple guessers use counts from ${count(trainIds.length)} characters of ${corpus.name}. Uniform: all ${tokenizer.vocabSize} characters are equally likely. Unigram: a character that is frequent is likely. Bigram: a character that is frequent after the previous character is likely. 1 is added to each count. A model of ${count(model.layout.count)} parameters trains on the same characters for ${count(steps)} steps. The losses on held-out text while the model learns:`,
    };
    const compared = guessers.slice(1).map(({ name, loss }) => ({ name, loss }));
    const heldOut = measureTokens(held, tokenizer);
    yield* trainTogether(input, "loss", [learner], { compared, heldOut });
    const loss = learner.measured.at(-1)?.loss ?? Number.NaN;
    const text = await write(input, model, { ...writing, prompt: promptOf(input) });
    yield guesserTable([...guessers, { name: learner.name, loss, text }]);
    const said = verdict(guessers, learner, loss);
    if (said !== undefined) yield { kind: "prose", text: [{ text: said, emphasis: "strong" }] };
  } finally {
    learner.trainer.close();
  }
  const choices = (loss: number): string => Math.exp(loss).toFixed(1);
  const isAll = held.length === valIds.length;
  const measuredOn = isAll
    ? `the ${count(held.length - 1)}`
    : `the first ${count(held.length - 1)} of ${count(valIds.length)}`;
  yield {
    kind: "prose",
    text: [
      {
        text: `Mean losses on ${measuredOn} held-out characters. bits = nats / ln 2. Choices = e^nats is the perplexity. `,
      },
      {
        text: `A loss of 1.5 is like guessing among ${choices(1.5)} equally likely characters, and a loss of 1.0 like guessing among ${choices(1)}`,
        emphasis: "strong",
      },
      { text: ". No model reaches 0: a text can continue in more than one way." },
    ],
  };
}

/** Lesson: from logits to the loss, and what a loss means. */
export async function* lossLesson(input: LessonInput, size = lessonSize(input.backend)): Lesson {
  yield { kind: "title", part: "loss", text: "How wrong a guess is" };
  yield* toLosses(await readLine(input), input);
  yield { kind: "pause" };
  yield* losses(input, size);
}

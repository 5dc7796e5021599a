import { yieldToHost } from "../core/system/yield.ts";
import { contextEnd, visibleCharacter, visibleText } from "./characters.ts";
import { count } from "./figures.ts";
import type { LessonInput } from "./input.ts";
import { lossOf, untrainedModel } from "./model.ts";
import type { Lesson, Piece, Text } from "./piece.ts";

const word = "HELLO";
const longestContext = 30;

/** Table row for position `at`, with the context and the next character. */
const pairRow = (characters: readonly string[], at: number): readonly Text[] => [
  contextEnd(characters.slice(0, at + 1), longestContext),
  "→",
  [{ text: visibleCharacter(characters[at + 1] ?? ""), emphasis: "good" }],
];

const pairTable = (rows: readonly (readonly Text[])[]): Piece => ({
  kind: "table",
  columns: [
    { title: "sees", align: "left" },
    { title: "", align: "left" },
    { title: "must predict", align: "left" },
  ],
  rows,
});

const pairsOfWord = (): readonly Piece[] => {
  const characters = [...word];
  const pairs = characters.length - 1;
  const x = characters.slice(0, -1);
  const early = 1;
  return [
    {
      kind: "prose",
      text: `A language model reads the beginning of a text and predicts what comes next. Every text contains many such questions and their answers. ${word} has ${characters.length} characters, so it has ${pairs} questions:`,
    },
    pairTable(x.map((_, at) => pairRow(characters, at))),
    {
      kind: "prose",
      text: "All questions fit into two rows. The model reads row x. Row y is x shifted by one position: below each character is the next one.",
    },
    {
      kind: "aligned",
      rows: [
        { name: "position", cells: x.map((_, at) => [{ text: String(at), emphasis: "muted" }]) },
        { name: "x", cells: x },
        { name: "y", cells: characters.slice(1).map((character) => [{ text: character, emphasis: "good" }]) },
      ],
    },
    {
      kind: "prose",
      text: `Position ${early} sees ${x.slice(0, early + 1).join(" ")} and must predict ${characters[early + 1]}. But row x contains this ${x[early + 1]} one position later, so a position must not see later positions.`,
    },
  ];
};

const pairsOfLine = ({ line, isReadersLine, corpus, tokenizer }: LessonInput): readonly Piece[] => {
  const characters = [...line];
  const pairs = characters.length - 1;
  const ids = tokenizer.encode(line);
  const shown = [0, 1, 2].filter((at) => at < pairs - 1);
  const gap: readonly (readonly Text[])[] = pairs > shown.length + 1 ? [["…", "", ""]] : [];
  return [
    { kind: "heading", text: isReadersLine ? "Your line" : `A line of ${corpus.name}` },
    {
      kind: "prose",
      text: [
        { text: `“${visibleText(line)}”`, emphasis: "strong" },
        {
          text: ` has ${characters.length} characters: ${pairs} pairs. Each of the ${tokenizer.vocabSize} characters of ${corpus.name} has a number, its token id. The model reads only these ids.`,
        },
      ],
    },
    pairTable([...shown.map((at) => pairRow(characters, at)), ...gap, pairRow(characters, pairs - 1)]),
    {
      kind: "aligned",
      rows: [
        { name: "x", cells: characters.slice(0, -1).map(visibleCharacter) },
        { name: "y", cells: characters.slice(1).map((c) => [{ text: visibleCharacter(c), emphasis: "good" }]) },
        { name: "ids of x", cells: Array.from(ids.subarray(0, -1), String) },
        { name: "ids of y", cells: Array.from(ids.subarray(1), (id) => [{ text: String(id), emphasis: "good" }]) },
      ],
    },
  ];
};

/** Number of passes over which the time of one pass is averaged. */
const repeats = 10;

interface Comparison {
  /** Positions, T. */
  readonly time: number;
  readonly parameters: number;
  readonly onePassMs: number;
  readonly manyPassesMs: number;
  /** Mean loss over the positions, in nats. */
  readonly onePassLoss: number;
  readonly manyPassesLoss: number;
  /** Maximum difference at a position between its two losses. */
  readonly difference: number;
}

/**
 * Measures the losses at T positions twice: in one forward pass over T tokens, and in T forward passes over 1, 2, …, T
 * tokens.
 */
const compare = async (input: LessonInput): Promise<Comparison> => {
  const { backend, valIds, clock, signal } = input;
  const lm = untrainedModel(input);
  try {
    // The reference backend is slow, so it gets fewer tokens.
    const longest = backend.name === "reference" ? 16 : lm.model.config.contextLength;
    const time = Math.min(longest, valIds.length - 1);
    const x = valIds.subarray(0, time);
    const target = (t: number): number => valIds[t + 1] ?? 0;
    const mean = (losses: readonly number[]): number => losses.reduce((a, b) => a + b, 0) / time;

    const { data, shape } = await lm.logits(x);
    const oneStarted = clock();
    for (let i = 0; i < repeats; i++) await lm.logits(x);
    const onePassMs = (clock() - oneStarted) / repeats;
    const atOnce = Array.from({ length: time }, (_, t) =>
      lossOf(data.subarray(t * shape[1], (t + 1) * shape[1]), target(t)),
    );

    const inTurn: number[] = [];
    const manyStarted = clock();
    for (let t = 0; t < time; t++) {
      signal.throwIfAborted();
      const { data: upTo } = await lm.logits(x.subarray(0, t + 1));
      inTurn.push(lossOf(upTo.subarray(t * shape[1]), target(t)));
      await yieldToHost();
    }
    const manyPassesMs = clock() - manyStarted;
    return {
      time,
      parameters: lm.model.layout.count,
      onePassMs,
      manyPassesMs,
      onePassLoss: mean(atOnce),
      manyPassesLoss: mean(inTurn),
      difference: Math.max(...atOnce.map((loss, t) => Math.abs(loss - (inTurn[t] ?? 0)))),
    };
  } finally {
    await lm.close();
  }
};

const milliseconds = (ms: number): string => `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;

const comparisonPieces = ({ corpus, backend }: LessonInput, found: Comparison): readonly Piece[] => {
  const { time, parameters, onePassMs, manyPassesMs, onePassLoss, manyPassesLoss, difference } = found;
  const { threads } = backend.capabilities;
  const ratio = manyPassesMs / onePassMs;
  const agreement = difference === 0 ? "to the last bit" : `within ${difference.toExponential(1)} nats`;
  return [
    { kind: "heading", text: `One pass over T tokens gives T examples` },
    {
      kind: "prose",
      text: `Measured on this machine: an untrained model of ${count(parameters)} parameters reads T = ${time} tokens of ${corpus.name} (${backend.name}, ${threads} thread${threads === 1 ? "" : "s"}).`,
    },
    {
      kind: "bars",
      bars: [
        { label: `one pass over ${time} tokens`, value: onePassMs, shown: milliseconds(onePassMs), emphasis: "good" },
        { label: `${time} passes over 1, 2, … ${time} tokens`, value: manyPassesMs, shown: milliseconds(manyPassesMs) },
      ],
    },
    {
      kind: "prose",
      text: [
        {
          text: `One pass gives the same ${time} losses (${agreement}) and is ${ratio.toFixed(ratio < 10 ? 1 : 0)} times as fast`,
          emphasis: "strong",
        },
        {
          text: `. The mean loss is ${onePassLoss.toFixed(4)} nats in one pass and ${manyPassesLoss.toFixed(4)} nats in ${time} passes. For training, one pass gives ${time} examples. This works because position t sees only tokens 0 to t. The causal mask hides the later tokens; see npx foretoken lesson mask.`,
        },
      ],
    },
  ];
};

/** Lesson: how one text becomes many examples, and why one forward pass over T tokens gives T examples. */
export async function* pairsLesson(input: LessonInput): Lesson {
  yield { kind: "title", part: "pairs", text: "One text, many examples" };
  yield* pairsOfWord();
  yield { kind: "pause" };
  yield* pairsOfLine(input);
  yield* comparisonPieces(input, await compare(input));
}

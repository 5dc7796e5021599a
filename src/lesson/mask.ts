import { evaluate, type MeasuredTokens, measureTokens } from "../evaluate/evaluate.ts";
import { generateDefaults } from "../generate/options.ts";
import type { Model } from "../models/model.ts";
import { foldLineEnds, visibleCharacter, visibleText } from "./characters.ts";
import { count, nats, percent } from "./figures.ts";
import type { LessonInput } from "./input.ts";
import type { Lesson, Piece, Span, Text } from "./piece.ts";
import { createLearner, type Learner, lessonSize, recentLoss, trainTogether, withMask, write } from "./small-model.ts";
import { knowsByHeart } from "./small-model-config.ts";
import { dictionaryOf, hasWords, shortestWord, type WordShare, wordShare } from "./words.ts";

/** Number of positions in the table, and number of characters of the window in the table. */
const shown = { positions: 4, characters: 16 };

/** Tokens of a window that position i sees. If position i sees the answer, the answer is in brackets. */
const seenRow = (window: readonly string[], i: number): readonly Text[] => {
  const text = (from: number, end?: number): string => visibleText(window.slice(from, end).join(""));
  const answer: Span = { text: visibleCharacter(window[i + 1] ?? ""), emphasis: "strong" };
  return [
    String(i),
    text(0, i + 1),
    [{ text: text(0, i + 1) }, { text: `[${answer.text}]`, emphasis: "bad" }, { text: text(i + 2) }],
    [answer],
  ];
};

const explanation = (input: LessonInput): readonly Piece[] => {
  const window = [...input.line].slice(0, shown.characters);
  const rows = Math.min(shown.positions, window.length - 1);
  return [
    {
      kind: "prose",
      text: "A model reads a whole window at once and predicts the next character at each position. But the next character is in the window too, one position later. The causal mask hides the next character: position i sees only positions 0 to i. Without a mask, position i sees the whole window, even the answer (in brackets):",
    },
    {
      kind: "table",
      columns: [
        { title: "i", align: "right" },
        { title: "with the mask", align: "left" },
        { title: "without", align: "left" },
        { title: "must predict", align: "left" },
      ],
      rows: Array.from({ length: rows }, (_, i) => seenRow(window, i)),
    },
  ];
};

/** Explains the training losses with and without the mask. `uniform` is the loss of guessing. */
const trainingRemark = (causal: Learner, cheater: Learner, uniform: number): Text => {
  const [honest, cheated] = [recentLoss(causal), recentLoss(cheater)];
  const figures = `At the end the loss is ${nats(honest)} nats with the mask and ${nats(cheated)} nats without the mask. `;
  if (cheated >= honest / 4) {
    // Only a model that has memorised its text has a loss below this number.
    return honest < uniform / 4
      ? `${figures}Both losses are low: the text is so short that a model learns it by heart even with the mask. A longer text shows the difference.`
      : `${figures}After so few steps, the model without a mask has not learned to copy yet.`;
  }
  return [
    { text: figures, emphasis: "strong" },
    {
      text: "The model without a mask has learned that the answer for position i is at position i+1, and copies it. It has not learned to predict.",
    },
  ];
};

/** Loss of one model on held-out text, and a sample of text that it wrote. */
interface Outcome {
  readonly learner: Learner;
  /** Loss on held-out text in nats per token, with the mask that was used in training. */
  readonly asTrained: number;
  /** Loss on held-out text of the same weights with the causal mask. */
  readonly masked: number;
  readonly text: string;
  /** Words of the text that the model wrote. Undefined if the corpus has no spaces between words. */
  readonly words: WordShare | undefined;
}

/** Maximum number of characters of a sample in the table. */
const charactersShown = 180;

const outcomeOf = async (
  input: LessonInput,
  length: number,
  learner: Learner,
  held: MeasuredTokens,
  dictionary: ReadonlySet<string> | undefined,
): Promise<Outcome> => {
  const { model } = learner.trainer;
  const loss = async (of: Model): Promise<number> => (await evaluate(of, held, input.signal)).natsPerToken;
  const asTrained = await loss(model);
  const masked = model.config.mask === "causal" ? asTrained : await loss(withMask(model, "causal"));
  const { prompt } = input.corpus;
  const text = await write(input, model, { ...generateDefaults, prompt, length });
  return { learner, asTrained, masked, text, words: dictionary && wordShare(dictionary, text, prompt) };
};

const wordsCounted = (outcomes: readonly Outcome[], { size }: ReadonlySet<string>): string =>
  `A dictionary word has ${shortestWord} or more letters and is one of the ${count(size)} different words of the training text. The table counts dictionary words in the ${outcomes.map(({ text }) => [...text].length)[0]} characters that each model wrote. `;

const shareText = ({ words, known, share }: WordShare): string =>
  words === 0 ? "no words" : `${known} of ${words} (${percent(share, 0)})`;

/** States that the model with the mask has memorised its text. Undefined if the model has not. */
const byHeartText = ({ learner, asTrained }: Outcome, uniform: number): string | undefined => {
  const training = recentLoss(learner);
  if (!knowsByHeart(training, asTrained)) return undefined;
  const worse = asTrained > uniform ? ", worse than guessing" : "";
  const known = training < asTrained / 4 ? "the text" : "parts of the text";
  return ` The model with the mask has learned ${known} by heart: ${nats(training)} nats on its training text, ${nats(asTrained)} on held-out text${worse}. A longer text helps.`;
};

const outcomePieces = (
  { corpus, seed, tokenizer }: LessonInput,
  contextLength: number,
  outcomes: readonly Outcome[],
  held: MeasuredTokens,
  dictionary: ReadonlySet<string> | undefined,
): readonly Piece[] => {
  const uniform = Math.log(tokenizer.vocabSize);
  const byHeart = outcomes[0] && byHeartText(outcomes[0], uniform);
  const cheater = outcomes.at(-1);
  const worse = cheater !== undefined && cheater.asTrained < uniform && cheater.masked > uniform;
  return [
    { kind: "heading", text: "What each model writes" },
    {
      kind: "prose",
      text: `Both models continue “${visibleText(corpus.prompt)}”, with seed ${seed} at temperature ${generateDefaults.temperature}. While a model writes, position i+1 is still empty: there is nothing to copy. In training, a window had ${contextLength} positions, and only the last position had nothing to copy.`,
    },
    {
      kind: "columns",
      columns: outcomes.map(({ learner, text }) => ({
        title: learner.name,
        text: foldLineEnds([...text.trimStart()].slice(0, charactersShown).join("")),
      })),
    },
    { kind: "heading", text: `On held-out text (${count(held.ids.length - 1)} characters), in nats per character` },
    {
      kind: "table",
      columns: [
        { title: "trained", align: "left" },
        { title: "loss as trained", align: "right" },
        { title: "loss with the mask", align: "right" },
        ...(dictionary === undefined ? [] : [{ title: "dictionary words", align: "right" } as const]),
      ],
      rows: outcomes.map(({ learner, asTrained, masked, words }) => [
        learner.name,
        nats(asTrained),
        nats(masked),
        ...(words === undefined ? [] : [shareText(words)]),
      ]),
    },
    {
      kind: "prose",
      text: [
        ...(dictionary === undefined ? [] : [{ text: wordsCounted(outcomes, dictionary), emphasis: "muted" } as const]),
        {
          text: `Guessing has a loss of ln ${tokenizer.vocabSize} = ${nats(uniform)} nats.${
            worse ? " With the mask, the weights that learned to copy predict worse than guessing." : ""
          }`,
        },
        ...(byHeart === undefined ? [] : [{ text: byHeart, emphasis: "strong" } as const]),
      ],
    },
  ];
};

/** Lesson: a model that is trained twice, with the causal mask and without it, side by side. */
export async function* maskLesson(input: LessonInput, size = lessonSize(input.backend)): Lesson {
  const { corpus, tokenizer, valIds } = input;
  yield { kind: "title", part: "mask", text: "Why a model must not look ahead" };
  yield* explanation(input);

  const causal = createLearner(input, size, "with the mask", "causal");
  try {
    const cheater = createLearner(input, size, "without a mask", "none");
    try {
      const { layout, config } = causal.trainer.model;
      const { steps, batchSize } = causal.config.train;
      yield { kind: "heading", text: "The same model, trained twice" };
      yield {
        kind: "prose",
        text: `Both models have ${count(layout.count)} parameters and the same initial weights. Both read the same ${steps} batches of ${batchSize} windows from ${corpus.name}. A window has ${config.contextLength} characters. Only the mask differs. The two models train alternately, one step each:`,
      };
      yield* trainTogether(input, "mask", [causal, cheater]);
      yield { kind: "pause" };
      yield { kind: "prose", text: trainingRemark(causal, cheater, Math.log(tokenizer.vocabSize)) };

      const held = measureTokens(valIds.slice(0, size.measured), tokenizer);
      const dictionary = hasWords(corpus.train) ? dictionaryOf(corpus.train) : undefined;
      const outcomes = [
        await outcomeOf(input, size.written, causal, held, dictionary),
        await outcomeOf(input, size.written, cheater, held, dictionary),
      ];
      yield* outcomePieces(input, config.contextLength, outcomes, held, dictionary);
    } finally {
      cheater.trainer.close();
    }
  } finally {
    causal.trainer.close();
  }
}

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

/** Positions and characters of the window in the table. */
const shown = { positions: 4, characters: 16 };

/** The tokens that position i sees of a window, with the answer in brackets if it is among them. */
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
      text: "A model reads a whole window at once and is asked at each position which character comes next. But the one that comes next is in the window too, one place further on. The causal mask hides it: position i sees what stands at 0 to i. Without a mask it sees all, the answer in brackets too:",
    },
    {
      kind: "table",
      columns: [
        { title: "i", align: "right" },
        { title: "with the mask", align: "left" },
        { title: "without", align: "left" },
        { title: "asked for", align: "left" },
      ],
      rows: Array.from({ length: rows }, (_, i) => seenRow(window, i)),
    },
  ];
};

/** The text about the two losses of the training, by their values. `uniform`: the loss of guessing. */
const trainingRemark = (causal: Learner, cheater: Learner, uniform: number): Text => {
  const [honest, cheated] = [recentLoss(causal), recentLoss(cheater)];
  const figures = `At the end the loss is ${nats(honest)} nats with the mask and ${nats(cheated)} without. `;
  if (cheated >= honest / 4) {
    // A loss so low is not reached by skill.
    return honest < uniform / 4
      ? `${figures}The two are close: so short a text is learned by heart with the mask, too. A longer text shows the difference.`
      : `${figures}So soon, the model without a mask has not found out that it can copy.`;
  }
  return [
    { text: figures, emphasis: "strong" },
    {
      text: "The model without a mask has found out that the answer to position i stands at position i+1, and copies it. It has not learned to predict.",
    },
  ];
};

/** Each model's loss on held-out text, and its writing. */
interface Outcome {
  readonly learner: Learner;
  /** Nats per token of held-out text, with the mask of its training. */
  readonly asTrained: number;
  /** The same weights with the causal mask. */
  readonly masked: number;
  readonly text: string;
  /** Undefined where the text has no spaces between words. */
  readonly words: WordShare | undefined;
}

/** Most characters of a sample that are shown. */
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
  `Dictionary words: of the runs of ${shortestWord} letters or more in all ${outcomes.map(({ text }) => [...text].length)[0]} characters written, those among the ${count(size)} different ones of the training part. `;

const shareText = ({ words, known, share }: WordShare): string =>
  words === 0 ? "no words" : `${known} of ${words} (${percent(share, 0)})`;

/** A model with the mask that has learned its text by heart, in a sentence. */
const byHeartText = ({ learner, asTrained }: Outcome, uniform: number): string | undefined => {
  const training = recentLoss(learner);
  if (!knowsByHeart(training, asTrained)) return undefined;
  const worse = asTrained > uniform ? ", worse than guessing" : "";
  const known = training < asTrained / 4 ? "the text" : "parts of the text";
  return ` The model with the mask has learned ${known} by heart: ${nats(training)} nats on the text that it learned from, ${nats(asTrained)} on held-out text${worse}. A longer text helps.`;
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
    { kind: "heading", text: "What each of them writes" },
    {
      kind: "prose",
      text: `Both continue “${visibleText(corpus.prompt)}”, with seed ${seed} at temperature ${generateDefaults.temperature}. While a model writes, nothing stands at position i+1 yet: there is nothing to copy. In training that was so only at the last of the ${contextLength} places of a window.`,
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
          text: `Guessing blindly costs ln ${tokenizer.vocabSize} = ${nats(uniform)} nats.${
            worse ? " The same weights that copied so well do worse than that as soon as they may not look ahead." : ""
          }`,
        },
        ...(byHeart === undefined ? [] : [{ text: byHeart, emphasis: "strong" } as const]),
      ],
    },
  ];
};

/** The same model trained with and without the causal mask, side by side. */
export async function* maskLesson(input: LessonInput, size = lessonSize(input.backend)): Lesson {
  const { corpus, tokenizer, valIds } = input;
  yield { kind: "title", part: "mask", text: "Why a model may not look ahead" };
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
        text: `${count(layout.count)} parameters, the same first weights, the same ${steps} batches of ${batchSize} windows of ${config.contextLength} characters of ${corpus.name}. Only the mask differs. They learn in turn, step by step:`,
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

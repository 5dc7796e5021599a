/** Figures of a measured text. Each figure says what it is a mean or a sum of, so that a reader can compute it again. */
import type { ScoreAnswer } from "../../src/serve/studio/protocol.ts";
import { count, loss, some } from "../parts/format.ts";

export interface ScoreFigure {
  readonly label: string;
  readonly value: string;
  readonly note: string;
}

/** From this number of bits on, a decimal is noise. */
const bitsWithoutDecimal = 1000;

export const figuresOf = ({
  predicted: { tokens, characters, bytes },
  total,
  natsPerToken,
  natsPerCharacter,
  bitsPerByte,
}: Pick<
  ScoreAnswer,
  "predicted" | "total" | "natsPerToken" | "natsPerCharacter" | "bitsPerByte"
>): readonly ScoreFigure[] => {
  const bits = -total / Math.LN2;
  return [
    {
      label: "Bits per byte",
      value: loss(bitsPerByte),
      note: `over ${some(bytes, "byte")}; comparable across tokenizers`,
    },
    { label: "Nats per token", value: loss(natsPerToken), note: `mean of ${some(tokens, "predicted token")}` },
    {
      label: "Nats per character",
      value: loss(natsPerCharacter),
      note: `over ${some(characters, "character")}; comparable across tokenizers`,
    },
    {
      label: "Total bits",
      value: bits < bitsWithoutDecimal ? bits.toFixed(1) : count(bits),
      note: `to encode ${tokens === 1 ? "this token" : `these ${count(tokens)} tokens`} with this model`,
    },
  ];
};

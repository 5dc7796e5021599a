import { compareEvaluations } from "../../../evaluate/compare.ts";
import type { Evaluation } from "../../../evaluate/evaluate.ts";
import { noInterval } from "./comparison-table.ts";
import { formatCount } from "./format.ts";
import { padRight } from "./width.ts";

/** Losses before and after encoding. */
export interface Losses {
  readonly before: Evaluation;
  readonly after: Evaluation;
}

/** Nats per token. If a quantized model loses more, the command proposes a calibration. */
const muchLost = 0.01;

/**
 * Table of the losses, and what the user can do about them.
 * @param measured the text and its windows
 * @param couldCalibrate whether a calibration could make the loss smaller
 */
export const quantizationLoss = ({ before, after }: Losses, measured: string, couldCalibrate: boolean): string => {
  const { natsPerToken, halfWidth95, windows } = compareEvaluations(after, before);
  const interval = halfWidth95 === null ? "" : ` ± ${halfWidth95.natsPerToken.toFixed(4)}`;
  const rows: readonly (readonly [string, number, number, string])[] = [
    [
      "nats per token",
      before.natsPerToken,
      after.natsPerToken,
      `${natsPerToken > 0 ? "+" : ""}${natsPerToken.toFixed(4)}${interval}`,
    ],
    ["nats per character", before.natsPerCharacter, after.natsPerCharacter, ""],
    ["perplexity", before.perplexity, after.perplexity, ""],
  ];
  return [
    `${padRight("", 20)}${padRight("before", 12)}${padRight("after", 12)}difference`,
    ...rows.map(([label, one, other, difference]) =>
      `${padRight(label, 20)}${padRight(one.toFixed(4), 12)}${padRight(other.toFixed(4), 12)}${difference}`.trimEnd(),
    ),
    `${padRight("measured on", 20)}${formatCount(after.tokens)} tokens of ${measured}`,
    ...(halfWidth95 === null ? [noInterval(windows)] : []),
    ...(couldCalibrate && natsPerToken > muchLost
      ? ["To lose less: --calibrate FILE, with a text like the texts that the model will read and write."]
      : []),
    "",
  ].join("\n");
};

/** Loss curves of models in training, with the loss of guessing as a horizontal line. */
import { useComputed, useSignal } from "@preact/signals";
import { Chart } from "../chart/chart.tsx";
import type { Curve, CurveStyle, Interval } from "../chart/curve.ts";
import { comparedStyle, trainingStyle, validationStyle } from "../chart/palette.ts";
import { stepAxis } from "../chart/ticks.ts";
import type { SessionRecord } from "./engine/client.ts";

/** Style of the line at ln V. */
export const guessStyle: CurveStyle = { color: "--series-3", dash: [2, 3], width: 2, marks: false };

const plain = { pyramid: undefined, smoothed: undefined } as const;
const twoDigits = (value: number): string => value.toFixed(2);

const lossCurve = (label: string, style: CurveStyle, losses: readonly number[], latest: number): Curve => ({
  ...{ key: label, label, style, length: losses.length, ...plain },
  // Without a value, the key has a dash.
  latest: losses.length === 0 ? undefined : latest,
  x: losses.map((_, i) => i + 1),
  y: Float64Array.from(losses),
});

export interface LossChartProps {
  readonly record: SessionRecord;
  readonly name: string;
  /** Names of the learners. A single learner also has a curve for held-out text. */
  readonly learners: readonly string[];
  readonly vocabSize: number;
  readonly steps: number;
  /** Loss that the text of the page names. The key of the chart shows the same value while there is no cursor. */
  readonly shownLoss: (losses: readonly number[]) => number;
}

export const LossChart = ({ record, name, learners, vocabSize, steps, shownLoss }: LossChartProps) => {
  const link = { cursor: useSignal<number | null>(null), zoom: useSignal<Interval | null>(null) };
  const curves = useComputed((): readonly Curve[] => {
    void record.version.value;
    const level = Math.log(vocabSize);
    const guess: Curve = {
      ...{ key: "guess", label: `ln ${vocabSize}`, style: guessStyle, x: [0, steps], length: 2, ...plain },
      y: Float64Array.of(level, level),
    };
    const measured = record.measured.filter(({ learner }) => learner === 0);
    const heldOut: Curve = {
      ...{ key: "held-out", label: "held out", style: validationStyle, length: measured.length, ...plain },
      x: measured.map(({ step }) => step),
      y: Float64Array.from(measured, ({ loss }) => loss),
    };
    const isSingle = learners.length === 1;
    const own = learners.map((label, i) => {
      const losses = record.losses[i] ?? [];
      return lossCurve(label, isSingle ? trainingStyle : comparedStyle(i, false), losses, shownLoss(losses));
    });
    return [...own, ...(isSingle ? [heldOut] : []), guess];
  });
  return (
    <Chart
      title="Loss"
      unit="nats per character"
      name={name}
      curves={curves}
      xLabel="Steps"
      xAxis={stepAxis}
      log={false}
      fromZero
      height={260}
      link={link}
      format={twoDigits}
      latestWords="recent mean"
    />
  );
};

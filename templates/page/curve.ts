// The loss curve as SVG: the loss of each step, the moving average of these losses, and the loss on held-out text.
import { count } from "./parts.ts";

const height = 240;
const margin = { top: 12, bottom: 28, left: 40 };
/** The least space at the right, and the space for half of each character of the last label. */
const [leastRight, halfCharacter] = [14, 4];
/** Number of steps in a moving average. The number is odd, so that the average belongs to the middle step. */
const averaged = 5;
const half = (averaged - 1) / 2;
const namespace = "http://www.w3.org/2000/svg";

interface Point {
  readonly step: number;
  /** Loss in nats per token. */
  readonly loss: number;
}

const element = (name: string, attributes: Readonly<Record<string, string | number>>, text = ""): Element => {
  const made = document.createElementNS(namespace, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  made.textContent = text;
  return made;
};

/** About `count` round numbers from `low` to `high`. */
const ticks = (low: number, high: number, count: number): readonly number[] => {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const size = [1, 2, 5, 10].map((factor) => factor * power).find((value) => value >= rough) ?? rough;
  const first = Math.ceil(low / size);
  return Array.from({ length: Math.floor(high / size) - first + 1 }, (_, i) => Number(((first + i) * size).toFixed(6)));
};

/**
 * Mean loss of the steps around `index`. At both ends the mean covers fewer steps, so that `index` stays in the middle.
 */
export const meanAround = (losses: readonly Point[], index: number): number => {
  const reach = Math.min(half, index, losses.length - 1 - index);
  const around = losses.slice(index - reach, index + reach + 1);
  return around.reduce((sum, { loss }) => sum + loss, 0) / around.length;
};

/** The last step on the axis. The axis grows in jumps as the training proceeds, up to the planned number of steps. */
export const axisEnd = (done: number, planned: number): number => {
  let end = planned;
  while (done > 0 && 0.8 * end >= 1.1 * done) end *= 0.8;
  return Math.max(end, done);
};

/** Draws the curve into `svg`. Draws it again whenever the width of `svg` changes. */
export const createCurve = (svg: Element) => {
  let losses: Point[] = [];
  let means: Point[] = [];
  let measured: Point[] = [];
  let planned = 1;
  let isPlanned = false;

  const draw = (): void => {
    isPlanned = false;
    const width = Math.max(240, svg.clientWidth);
    const steps = axisEnd(losses.at(-1)?.step ?? 0, planned);
    const right = width - Math.max(leastRight, count.format(Math.round(steps)).length * halfCharacter);
    const values = [...losses, ...measured].map(({ loss }) => loss);
    const high = values.reduce((most, loss) => Math.max(most, loss), 1) * 1.03;
    const low = values.reduce((least, loss) => Math.min(least, loss), high - 0.5) - 0.05;
    const x = (step: number): number => margin.left + (step / steps) * (right - margin.left);
    const y = (loss: number): number =>
      margin.top + ((high - loss) / (high - low)) * (height - margin.top - margin.bottom);
    const path = (points: readonly Point[]): string =>
      points.map(({ step, loss }) => `${x(step).toFixed(1)},${y(loss).toFixed(1)}`).join(" ");
    const wholeTicks = ticks(0, steps, width < 420 ? 4 : 8).filter(Number.isInteger);
    const bottom = height - margin.bottom;
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute("height", String(height));
    if (values.length === 0) {
      const middle = { class: "tick", x: width / 2, y: height / 2, "text-anchor": "middle" };
      svg.replaceChildren(
        element("rect", { class: "empty", x: 1, y: 1, width: width - 2, height: height - 2, rx: 6 }),
        element("text", middle, "The curve appears after the first step."),
      );
      return;
    }
    svg.replaceChildren(
      ...ticks(low, high, 4).flatMap((loss) => [
        element("line", { class: "grid", x1: margin.left, x2: right, y1: y(loss), y2: y(loss) }),
        element("text", { class: "tick", x: margin.left - 8, y: y(loss) + 4, "text-anchor": "end" }, String(loss)),
      ]),
      ...wholeTicks.flatMap((step) => [
        element("line", { class: "grid", x1: x(step), x2: x(step), y1: margin.top, y2: bottom }),
        element("text", { class: "tick", x: x(step), y: bottom + 20, "text-anchor": "middle" }, count.format(step)),
      ]),
      element("polyline", { class: "each", points: path(losses) }),
      element("polyline", { class: "mean", points: path(means) }),
      element("polyline", { class: "validation", points: path(measured) }),
      ...measured.map(({ step, loss }) => element("circle", { class: "dot", cx: x(step), cy: y(loss), r: 3.5 })),
    );
  };

  /** Many steps arrive between two frames, so they are drawn together. */
  const plan = (): void => {
    if (isPlanned) return;
    isPlanned = true;
    requestAnimationFrame(draw);
  };

  new ResizeObserver(plan).observe(svg);
  plan();

  return {
    clear(): void {
      [losses, means, measured] = [[], [], []];
      plan();
    },
    /** Sets the planned number of steps. */
    extend(plannedSteps: number): void {
      planned = plannedSteps;
      plan();
    },
    /** Adds the loss of a step, in nats per token. */
    addStep(step: number, loss: number): void {
      losses.push({ step, loss });
      means.push({ step, loss });
      // The new step is part of the averages of earlier steps, so these averages change.
      for (let i = Math.max(0, losses.length - 1 - half); i < losses.length; i++) {
        means[i] = { step: losses[i]?.step ?? step, loss: meanAround(losses, i) };
      }
      plan();
    },
    /** Adds a loss on held-out text, in nats per token. */
    addMeasured(step: number, loss: number): void {
      measured.push({ step, loss });
      plan();
    },
  };
};

/** Legends of saved pictures. */
import { type Block, box, label, light, mixed, widthOf } from "./frame.ts";

const size = 12;

/** Shades of the lens, the shares of `share-0` to `share-5` in `web/style/inside.css`. */
const strengths = [0, 0.06, 0.13, 0.22, 0.34, 0.48] as const;
const grey = mixed(light.edge, 0.45);

/** Colour of a lens cell. @param level 0 to 5. */
export const lensShade = (level: number, isFinal: boolean): string =>
  mixed(isFinal ? light.shade : grey, strengths[level] ?? 0);

/** Legend of the lens: two strips above one scale. */
export const lensKey = (): Block => {
  const [wide, tall, left] = [32, 15, 120];
  const parts = [label(0, tall, "Probability in %", { size, color: light.soft })];
  for (const [row, name] of ["the final prediction", "another token"].entries()) {
    for (const [level] of strengths.entries())
      parts.push(box(left + wide * level, tall * row, wide, tall, lensShade(level, row === 0)));
    parts.push(
      box(left, tall * row, wide * strengths.length, tall, "none", `stroke="${light.edge}"`),
      label(left + wide * strengths.length + 8, tall * (row + 0.5), name, { size, color: light.soft }),
    );
  }
  for (const [n, text] of ["1", "5", "20", "50", "90"].entries())
    parts.push(label(left + wide * (n + 1), 2 * tall + 9, text, { size: 11, color: light.soft, anchor: "middle" }));
  return { width: left + wide * strengths.length + 140, height: 2 * tall + 18, parts };
};

/** Legend of attention. */
export const attentionKey = (isCausal: boolean): Block => {
  const parts: string[] = [];
  const values = [0, 0.05, 0.25, 0.5, 1];
  for (const [n, value] of values.entries())
    parts.push(box(20 * n, 0, 20, 14, mixed(light.shade, Math.sqrt(value)), `stroke="${light.edge}"`));
  const words = "0, 5, 25, 50, 100 % of a row’s attention";
  parts.push(label(110, 7, words, { size, color: light.soft }));
  const end = 110 + widthOf(words, size) + 24;
  if (!isCausal) return { width: end, height: 16, parts };
  parts.push(
    box(end, 0, 24, 14, "url(#masked)", `stroke="${light.edge}"`),
    label(end + 32, 7, "masked: a later token", { size, color: light.soft }),
  );
  return { width: end + 32 + widthOf("masked: a later token", size), height: 16, parts };
};

export interface Scale {
  /** Labels of the left end, the middle and the right end. */
  readonly labels: readonly [string, string, string];
  /** Colours of the two ends at full strength. */
  readonly against: string;
  readonly for: string;
  /** Strengths at the two ends, from 0 to 1. */
  readonly ends: readonly [number, number];
  /** Meaning of a grey cell. Undefined: no cell is grey. */
  readonly none?: string | undefined;
}

/** Legend of a heat map: one strip with three labels. */
export const scaleKey = (scale: Scale, none: string): Block => {
  const [wide, half] = [400, 200];
  const steps = 20;
  const parts: string[] = [];
  for (let n = 0; n < 2 * steps; n++) {
    const at = (n + 0.5 - steps) / steps;
    const [color, strength] = at < 0 ? [scale.against, scale.ends[0] * -at] : [scale.for, scale.ends[1] * at];
    parts.push(box((half / steps) * n, 0, half / steps, 14, mixed(color, strength), 'shape-rendering="crispEdges"'));
  }
  const [left, middle, right] = scale.labels;
  const style = { size, color: light.soft } as const;
  parts.push(
    box(0, 0, wide, 14, "none", `stroke="${light.edge}"`),
    label(0, 24, left, style),
    label(half, 24, middle, { ...style, anchor: "middle" }),
    label(wide, 24, right, { ...style, anchor: "end" }),
  );
  if (scale.none === undefined) return { width: wide, height: 34, parts };
  parts.push(box(wide + 24, 0, 24, 14, none, `stroke="${light.edge}"`), label(wide + 56, 7, scale.none, style));
  return { width: wide + 56 + widthOf(scale.none, size), height: 34, parts };
};

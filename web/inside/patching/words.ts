/** Describes two texts and the map of their patches in short sentences. Each sentence states one fact. */
import type { PatchAnswer, PatchReading } from "../../../src/serve/studio/inside/protocol.ts";
import { percent, some } from "../../parts/format.ts";
import { visible } from "../../tokens/surprise.ts";
import { rangesWords } from "../ranges.ts";
import { changedIn, placeKey } from "./restored.ts";

type Base = Omit<PatchAnswer, "patched">;

/** Spaces around a word are left out. */
const quoted = (text: string): string => `“${visible(text.trim() || text)}”`;

const isPredicted = ({ top }: PatchReading, { answer }: Base): boolean => top[0]?.id === answer.id;

const differenceWords = ({ clean, corrupted }: Base["tokens"], changed: readonly number[]): string => {
  const [first, ...others] = changed;
  if (first === undefined || others.length > 0) return `The two texts differ in ${some(changed.length, "token")}.`;
  const both = [clean, corrupted].map((tokens) => tokens[first]?.text ?? "");
  const unit = both.every((text) => [...text].length === 1) ? "character" : "token";
  return `The two texts differ in one ${unit}: ${both.map(quoted).join(" and ")}.`;
};

/** How the two texts differ, and what the model predicts after each of them. */
export const textsWords = (base: Base): string => {
  const { tokens, answer, clean, corrupted } = base;
  const [other] = corrupted.top;
  const own = quoted(answer.text);
  const [first, second] = [percent(clean.probability), percent(corrupted.probability)];
  const after = isPredicted(clean, base) ? `the model predicts ${own} (${first})` : `${own} has ${first}`;
  const then =
    other === undefined
      ? `${own} has ${second}.`
      : isPredicted(corrupted, base)
        ? `it predicts ${own} (${second})${isPredicted(clean, base) ? ", too. So the map shows only changes of its probability" : ""}.`
        : `it predicts ${quoted(other.text)} (${percent(other.probability)}). There, ${own} has ${second}.`;
  return `${differenceWords(tokens, changedIn(tokens))} After the first text, ${after}. After the second text, ${then}`;
};

/** What a cell of the map is. */
export const cellWords = ({ answer, clean }: Base): string =>
  `Each cell of the map copies one inner state (activation) of the first text into the second text. The greener a cell, the nearer ${quoted(answer.text)} comes to ${percent(clean.probability)} again.`;

const isRun = (layers: readonly number[]): boolean => layers.every((one, n) => one === (layers[0] ?? 0) + n);

/** As `the states of layers 1 to 3 make`. Layers count from 1. */
const statesWords = (layers: readonly number[], nLayer: number): string => {
  if (layers.length === 1) return `the state of layer ${layers[0]} makes`;
  if (layers.length === nLayer) return "the states of all layers make";
  if (isRun(layers) && layers.at(-1) === nLayer) return `the states from layer ${layers[0]} on make`;
  return `the states of layers ${rangesWords(layers)} make`;
};

/**
 * At which layers the changed token and the last token contain the information that makes the model predict the answer.
 * Undefined until both columns are tried. Also undefined if the texts differ in several tokens or in the last token, or
 * if their predictions are not different.
 */
export const movedWords = (found: ReadonlyMap<string, PatchReading>, base: PatchAnswer): string | undefined => {
  const { tokens, answer, shape } = base;
  const { nLayer } = shape;
  const last = tokens.clean.length - 1;
  const [changed, ...others] = changedIn(tokens);
  if (changed === undefined || changed === last || others.length > 0) return undefined;
  if (!isPredicted(base.clean, base) || isPredicted(base.corrupted, base)) return undefined;
  const column = (position: number): readonly PatchReading[] =>
    Array.from({ length: nLayer }, (_, layer) => found.get(placeKey({ layer, position })) ?? []).flat();
  const [early, late] = [column(changed), column(last)];
  if (early.length < nLayer || late.length < nLayer) return undefined;
  const layersOf = (readings: readonly PatchReading[]): readonly number[] =>
    readings.flatMap((one, layer) => (isPredicted(one, base) ? [layer + 1] : []));
  const words = (place: string, readings: readonly PatchReading[]): string => {
    const layers = layersOf(readings);
    const shares = (layers.length === 0 ? readings : layers.map((layer) => readings[layer - 1]))
      .flatMap((one) => (one === undefined ? [] : [one.probability]))
      .sort((a, b) => a - b);
    const [least, most] = [percent(shares[0] ?? 0), percent(shares.at(-1) ?? 0)];
    const again = `the model predict ${quoted(answer.text)} again`;
    if (layers.length === 0) return `Copied at ${place}, no state makes ${again} (at most ${most}).`;
    const range = least === most ? most : `${least} to ${most}`;
    return `Copied at ${place}, ${statesWords(layers, nLayer)} ${again} (${range}).`;
  };
  const [here, there] = [layersOf(early), layersOf(late)];
  const until = here.length;
  const from = there[0] ?? 0;
  const isMoved = isRun(here) && (here[0] ?? 1) === 1 && isRun(there) && there.at(-1) === nLayer;
  const first = Math.min(until + 1, from);
  const moved = first === from ? `layer ${from} moves` : `layers ${first} to ${from} move`;
  return [
    words(`token ${changed + 1}, where the texts differ`, early),
    words(`token ${last + 1}, the last`, late),
    ...(isMoved ? [`So ${moved} this information to the last token.`] : []),
  ].join(" ");
};

/** Rules about how the fields of a model's configuration must fit together. */
import { type LearnedPositionConfig, type RopeConfig, rotaryDimOf, type WindowConfig } from "./config-parts.ts";

/** Maximum number of heads of a layer. */
export const mostHeads = 2 ** 16;

/** Maximum number of cosines and sines in a model's table: a million positions with 128 channels. */
const maxAngles = 2 ** 27;

/** The fields to which the rules apply. */
interface Fields {
  readonly contextLength: number;
  readonly nHead: number;
  readonly nKvHead?: number | undefined;
  readonly headDim?: number | undefined;
  readonly nEmbd: number;
  readonly position: LearnedPositionConfig | RopeConfig;
  readonly window?: WindowConfig | undefined;
  readonly qkNorm: boolean;
  readonly qkNormWidth?: string | undefined;
  readonly mask: "causal" | "none";
}

/** Reports an error in a field. */
type Wrong = (field: string, message: string) => void;

/** Whether the head size is valid: nEmbd is a multiple of nHead, or headDim is set. */
const isDivided = ({ nEmbd, nHead, headDim }: Fields): boolean => headDim !== undefined || nEmbd % nHead === 0;

const checkHeads = (config: Fields, wrong: Wrong): void => {
  const { nEmbd, nHead, nKvHead = nHead, position } = config;
  if (!isDivided(config)) {
    // Rotary positions need an even number of channels per head.
    const unit = position.kind === "rope" ? 2 * nHead : nHead;
    const below = Math.floor(nEmbd / unit) * unit;
    const options = below === 0 ? `${unit}` : `${below} or ${below + unit}`;
    wrong("nEmbd", `must be divisible by nHead; got ${nEmbd} and ${nHead}; try ${options}`);
  }
  // Another check reports too many heads, so this check does not search for a divisor.
  if (nHead % nKvHead !== 0 && nHead <= mostHeads) {
    let hint = Math.floor(Math.min(nHead, nKvHead));
    while (hint > 1 && nHead % hint !== 0) hint--;
    wrong("nKvHead", `must divide nHead; got ${nKvHead} and ${nHead}; try ${Math.max(1, hint)}`);
  }
};

const checkNormsOfHeads = ({ qkNorm, qkNormWidth, position }: Fields, wrong: Wrong): void => {
  if (qkNorm && position.kind !== "rope") {
    wrong(
      "qkNorm",
      `must be false if position.kind is not rope; got true with ${position.kind}; try position.kind rope`,
    );
  }
  if (!qkNorm && qkNormWidth !== undefined) {
    wrong("qkNormWidth", `must be absent if qkNorm is false; got ${qkNormWidth} with false; try qkNorm true`);
  }
};

const checkWindow = ({ window, mask, position }: Fields, wrong: Wrong): void => {
  if (window === undefined) return;
  if (mask !== "causal") {
    wrong("window", `must be absent if mask is not causal; got a window with ${mask}; try mask causal`);
  }
  if (window.theta !== undefined && position.kind !== "rope") {
    const must = "must be absent if position.kind is not rope";
    wrong("window.theta", `${must}; got ${window.theta} with ${position.kind}; try position.kind rope`);
  }
};

/** Checks the rotated channels of a head, and the size of the table of angles. */
const checkRotated = (config: Fields, position: RopeConfig, wrong: Wrong): void => {
  const { nEmbd, nHead, headDim, contextLength } = config;
  const { fraction = 1 } = position;
  const divided = isDivided(config);
  const size = headDim ?? nEmbd / nHead;
  if (divided && size % 2 !== 0) {
    const must = "must give an even number of channels per head, since rope rotates pairs of channels";
    if (headDim === undefined) wrong("nEmbd", `${must}; got ${nEmbd} and ${nHead}; try ${nEmbd + nHead}`);
    else wrong("headDim", `${must}; got ${headDim}; try ${headDim + 1}`);
  } else if (divided && (rotaryDimOf(config, position) % 2 !== 0 || rotaryDimOf(config, position) === 0)) {
    const must = "must select a positive even number of channels per head, since rope rotates pairs of channels";
    const pairs = Math.max(1, Math.round((size * fraction) / 2));
    // The fraction is rounded up, because a smaller fraction would rotate fewer channels.
    const hint = Math.ceil(((2 * pairs) / size) * 1e5) / 1e5;
    wrong("position.fraction", `${must}; got ${fraction} of ${size}; try ${hint}`);
  }
  const angles = Math.max(1, rotaryDimOf(config, position));
  if (contextLength * angles > maxAngles) {
    wrong(
      "contextLength",
      `must be at most ${maxAngles} divided by the channels that rope rotates in a head; ` +
        `got ${contextLength}, and ${angles} channels; try ${Math.floor(maxAngles / angles)}`,
    );
  }
};

const checkScaling = ({ contextLength }: Fields, { scaling }: RopeConfig, wrong: Wrong): void => {
  if (scaling?.kind === "llama3" && scaling.originalContext >= contextLength) {
    const { originalContext, factor } = scaling;
    const hint = Math.max(1, Math.floor(contextLength / factor));
    wrong(
      "position.scaling.originalContext",
      `must be below contextLength, since wavelengths are stretched to it; got ${originalContext} and ${contextLength}; try ${hint}`,
    );
  }
  if (scaling?.kind === "llama3" && scaling.highFrequency <= scaling.lowFrequency) {
    const { lowFrequency, highFrequency } = scaling;
    wrong(
      "position.scaling.highFrequency",
      `must be greater than lowFrequency; got ${highFrequency} and ${lowFrequency}; try ${4 * lowFrequency}`,
    );
  }
};

/**
 * Calls `wrong` for each field that conflicts with another field. The arguments of `wrong` are the condition, the given
 * value and a hint.
 */
export const checkModel = (config: Fields, wrong: Wrong): void => {
  const { position } = config;
  checkHeads(config, wrong);
  checkNormsOfHeads(config, wrong);
  checkWindow(config, wrong);
  if (position.kind !== "rope") return;
  checkRotated(config, position, wrong);
  checkScaling(config, position, wrong);
};

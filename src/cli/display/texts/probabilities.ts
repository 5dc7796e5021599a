/** Shows the probability of each token in a model's text: as background colours, or as numbers without colours. */
import type { GenerateEvent } from "../../../generate/events.ts";
import { textStream } from "../../../tokenizer/text-stream.ts";
import type { Tokenizer } from "../../../tokenizer/tokenizer.ts";
import { type ColorDepth, printable, type Style } from "../../process/terminal.ts";
import { flow } from "./format.ts";

/** Style of the output that the probabilities are written to. */
export interface ProbabilityStyle extends Style {
  readonly depth: ColorDepth;
}

/** A background colour with a matching text colour, so that the text is readable with any colours of the terminal. */
interface Shade {
  /** Lowest probability for this shade. */
  readonly from: number;
  readonly name: string;
  /** Parameters of the escape code for each colour depth. If undefined, the text has no colour. */
  readonly codes: Readonly<Record<Exclude<ColorDepth, 1>, string>> | undefined;
}

/** Shades from dark blue to yellow and red. Less probable tokens are more conspicuous. */
const shades: readonly Shade[] = [
  { from: 0.9, name: "90-100%", codes: undefined },
  { from: 0.5, name: "50-90%", codes: { 4: "44;97", 8: "48;5;24;38;5;231" } },
  { from: 0.2, name: "20-50%", codes: { 4: "46;30", 8: "48;5;37;38;5;16" } },
  { from: 0.05, name: "5-20%", codes: { 4: "43;30", 8: "48;5;220;38;5;16" } },
  { from: 0, name: "under 5%", codes: { 4: "41;97", 8: "48;5;203;38;5;16" } },
];

const paint = (text: string, { codes }: Shade, depth: ColorDepth): string =>
  codes === undefined || depth === 1 || text === "" ? text : `\u001b[${codes[depth]}m${text}\u001b[0m`;

/**
 * Colours each line separately, so that the background does not fill the rest of the row. A coloured space represents a
 * line end.
 */
const shaded = (text: string, probability: number, depth: ColorDepth): string => {
  const shade = shades.find(({ from }) => probability >= from) ?? shades[0];
  if (shade?.codes === undefined) return text;
  const lines = text.split("\n");
  return lines.map((line, i) => paint(i < lines.length - 1 ? `${line} ` : line, shade, depth)).join("\n");
};

/** Whole percent. Only a probability of exactly 0 is shown as 0, and only a probability of exactly 1 as 100. */
const percent = (probability: number): string => {
  if (probability > 0 && probability < 0.01) return "<1";
  return String(probability < 1 ? Math.min(99, Math.round(100 * probability)) : 100);
};

/** The number comes before the line ends of the token, so that it is on the token's line. */
const figured = (text: string, probability: number): string => {
  const body = text.replace(/\n+$/u, "");
  return `${body}[${percent(probability)}]${text.slice(body.length)}`;
};

/** Legend of the colours or numbers, in lines of at most `width` columns. */
export const probabilityLegend = ({ depth }: ProbabilityStyle, width: number): readonly string[] => {
  if (depth === 1)
    return flow(["[n] after a token: the probability that the model gave the token, in per cent"], " ", width);
  const parts = shades.map((shade) => paint(` ${shade.name} `, shade, depth));
  return flow(["probability of each token:", ...parts], " ", width);
};

/**
 * A part of a text, and the probability of its token. If several tokens form one character, the probability is the
 * product of the tokens' probabilities.
 */
interface Piece {
  readonly text: string;
  readonly probability: number;
}

/**
 * Formats events as text with probabilities. A token is shown when all of its text has arrived, because text that may
 * begin a stop string arrives with a later event.
 * @param tokenizer the model's tokenizer; the events must have probabilities.
 * @param showSpecialTokens as in the options of the events.
 * @returns a function that formats an event for a terminal, without control characters.
 */
export const probabilityText = (
  tokenizer: Tokenizer,
  showSpecialTokens: boolean,
  { depth, symbols }: ProbabilityStyle,
): ((event: GenerateEvent) => string) => {
  const stream = textStream(tokenizer, { showSpecialTokens });
  /** Tokens that are not shown yet. The last token may be an incomplete character. */
  let pending: Piece[] = [];
  /** Text that has arrived but is not yet matched to a token. */
  let shown = "";
  const show = ({ text, probability }: Piece): string => {
    const visible = printable(text, symbols.unicode);
    return depth === 1 ? figured(visible, probability) : shaded(visible, probability, depth);
  };
  const take = (isLast: boolean): string => {
    let out = "";
    for (let [first] = pending; first !== undefined && shown !== ""; [first] = pending) {
      const isWhole = first.text !== "" && shown.length >= first.text.length;
      if (!isWhole && !isLast) break;
      // At the end, the remaining text belongs to the last token. This text is an incomplete character, or the part
      // before a stop string.
      const text = isWhole ? shown.slice(0, first.text.length) : shown;
      out += show({ ...first, text });
      shown = shown.slice(text.length);
      pending = pending.slice(1);
    }
    return out;
  };
  return (event) => {
    if (event.type === "done") return `${take(true)}\n`;
    const last = pending.at(-1);
    const isPart = last !== undefined && last.text === "";
    if (isPart) pending = pending.slice(0, -1);
    const probability = (event.probability ?? 1) * (isPart ? last.probability : 1);
    pending.push({ text: stream.push(event.id), probability });
    shown += event.text;
    return take(false);
  };
};

/** A model's text with its probability of each token: shaded where there are colours, else in figures. */
import type { GenerateEvent } from "../../../generate/events.ts";
import { textStream } from "../../../tokenizer/text-stream.ts";
import type { Tokenizer } from "../../../tokenizer/tokenizer.ts";
import { type ColorDepth, printable, type Style } from "../../process/terminal.ts";
import { flow } from "./format.ts";

/** A place to write probabilities to. */
export interface ProbabilityStyle extends Style {
  readonly depth: ColorDepth;
}

/** A shade: background and text are both its own, so it can be read on terminals of any colours. */
interface Shade {
  /** From this probability on. */
  readonly from: number;
  readonly name: string;
  /** Parameters of the escape code, by the terminal's number of colours; none: the text as it is. */
  readonly codes: Readonly<Record<Exclude<ColorDepth, 1>, string>> | undefined;
}

/** The less probable a token was, the more it stands out: from dark blue to yellow and red. */
const shades: readonly Shade[] = [
  { from: 0.9, name: "90-100%", codes: undefined },
  { from: 0.5, name: "50-90%", codes: { 4: "44;97", 8: "48;5;24;38;5;231" } },
  { from: 0.2, name: "20-50%", codes: { 4: "46;30", 8: "48;5;37;38;5;16" } },
  { from: 0.05, name: "5-20%", codes: { 4: "43;30", 8: "48;5;220;38;5;16" } },
  { from: 0, name: "under 5%", codes: { 4: "41;97", 8: "48;5;203;38;5;16" } },
];

const paint = (text: string, { codes }: Shade, depth: ColorDepth): string =>
  codes === undefined || depth === 1 || text === "" ? text : `\u001b[${codes[depth]}m${text}\u001b[0m`;

/** A line end has no background of its own, or the rest of the row would have it too: a space stands for it. */
const shaded = (text: string, probability: number, depth: ColorDepth): string => {
  const shade = shades.find(({ from }) => probability >= from) ?? shades[0];
  if (shade?.codes === undefined) return text;
  const lines = text.split("\n");
  return lines.map((line, i) => paint(i < lines.length - 1 ? `${line} ` : line, shade, depth)).join("\n");
};

/** In whole per cent; a small share is not nothing, and a large one not all. */
const percent = (probability: number): string => {
  if (probability > 0 && probability < 0.01) return "<1";
  return String(probability < 1 ? Math.min(99, Math.round(100 * probability)) : 100);
};

/** Before the line ends of a token: its figure is in the same line. */
const figured = (text: string, probability: number): string => {
  const body = text.replace(/\n+$/u, "");
  return `${body}[${percent(probability)}]${text.slice(body.length)}`;
};

/** What the shades or the figures mean, in lines of at most `width` columns. */
export const probabilityLegend = ({ depth }: ProbabilityStyle, width: number): readonly string[] => {
  if (depth === 1) return flow(["[n] after a token: the model's own probability of it, in per cent"], " ", width);
  const parts = shades.map((shade) => paint(` ${shade.name} `, shade, depth));
  return flow(["probability of each token:", ...parts], " ", width);
};

/** A part of a text, and the probability of its token; of several tokens that make a character together, of them all. */
interface Piece {
  readonly text: string;
  readonly probability: number;
}

/**
 * Writes events as text with probabilities. Text that is held back for a stop string comes when its event has it.
 * @param tokenizer of the model, whose events have probabilities.
 * @param showSpecialTokens as in the options of the events.
 * @returns the text of an event for a terminal: nothing in it moves a cursor.
 */
export const probabilityText = (
  tokenizer: Tokenizer,
  showSpecialTokens: boolean,
  { depth, symbols }: ProbabilityStyle,
): ((event: GenerateEvent) => string) => {
  const stream = textStream(tokenizer, { showSpecialTokens });
  /** Tokens that are not shown yet; the last one's character may lack bytes. */
  let pending: Piece[] = [];
  /** Text that may be shown. */
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
      // At the end the rest is of the last token: a character that lacks bytes, or the beginning before a stop string.
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

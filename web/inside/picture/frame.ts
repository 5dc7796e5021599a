/**
 * Frame of a saved picture: an SVG file with a title, the model, the text and a drawing. The file is readable without
 * the page. Saved files have the light theme, as the charts of `web/chart/svg.ts`.
 */
import { escaped } from "../../chart/svg.ts";
import { visible } from "../../tokens/surprise.ts";

/** Colours of the light theme in `web/style/colors.css`. */
export const light = {
  raised: "#ffffff",
  sunk: "#f2f2ee",
  ink: "#191b1c",
  soft: "#585d60",
  line: "#e0e0da",
  edge: "#868b8c",
  wash: "#e3efeb",
  accent: "#0b6b58",
  bad: "#a3261c",
  shade: "#0b6b58",
  rise: "#b45309",
  fall: "#2456b5",
} as const;

/** Mixes a colour into another one. @param share share of `color`, from 0 to 1. */
export const mixed = (color: string, share: number, ground: string = light.raised): string => {
  const parts = [1, 3, 5].map((from) => {
    const [a, b] = [color, ground].map((hex) => Number.parseInt(hex.slice(from, from + 2), 16)) as [number, number];
    return Math.round(a * share + b * (1 - share))
      .toString(16)
      .padStart(2, "0");
  });
  return `#${parts.join("")}`;
};

export const rounded = (value: number): string => String(Math.round(value * 100) / 100);

/** Average width of a character, as a share of the font size. Fonts differ, so these numbers are rather large. */
const share = { mono: 0.61, sans: 0.57 } as const;
/** Characters that are about twice as wide as a letter. */
const wide = /\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}|\p{Script=Hangul}|\p{Extended_Pictographic}/u;

export type Font = keyof typeof share;

const unitsOf = (text: string): number => [...text].reduce((sum, one) => sum + (wide.test(one) ? 2 : 1), 0);

/** Approximate width of a text in pixels. */
export const widthOf = (text: string, size: number, font: Font = "sans"): number => unitsOf(text) * size * share[font];

/** The text, or its beginning with an ellipsis if it is too wide. */
export const fitted = (text: string, width: number, size: number, font: Font = "sans"): string => {
  if (widthOf(text, size, font) <= width) return text;
  const kept = [...text];
  while (kept.length > 0 && widthOf(`${kept.join("")}…`, size, font) > width) kept.pop();
  return `${kept.join("")}…`;
};

/** Lines of a text. If there are more than `most` lines, the last line ends with an ellipsis. */
export const wrapped = (text: string, width: number, size: number, most = 12): readonly string[] => {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/(?<= )/u)) {
    let rest = word;
    if (line !== "" && widthOf((line + rest).trimEnd(), size) > width) {
      lines.push(line.trimEnd());
      line = "";
    }
    // A word without spaces may be longer than a line.
    while (widthOf(rest.trimEnd(), size) > width) {
      const head = [...fitted(rest, width, size)].slice(0, -1).join("");
      if (head === "") break;
      lines.push(head);
      rest = rest.slice(head.length);
    }
    line += rest;
  }
  if (line.trim() !== "") lines.push(line.trimEnd());
  if (lines.length <= most) return lines;
  return [...lines.slice(0, most - 1), fitted(lines.slice(most - 1, most + 1).join(" "), width, size)];
};

export interface LabelStyle {
  readonly size?: number;
  readonly color?: string;
  readonly font?: Font;
  readonly bold?: boolean;
  readonly anchor?: "start" | "middle" | "end";
  /** Draws the text from bottom to top. */
  readonly turned?: boolean;
  readonly struck?: boolean;
}

/** A line of text. `y` is the vertical middle of the line. */
export const label = (x: number, y: number, text: string, style: LabelStyle = {}): string => {
  const { size = 13, color = light.ink, font = "sans", bold = false, anchor = "start", turned = false } = style;
  // The baseline is a third of the font size below the middle. Some programs ignore `dominant-baseline`.
  const down = rounded(size * 0.35);
  const attributes = [
    `x="${rounded(x)}" y="${rounded(y)}" dy="${down}" font-size="${size}" fill="${color}"`,
    ...(anchor === "start" ? [] : [`text-anchor="${anchor}"`]),
    ...(font === "mono" ? ['font-family="ui-monospace, Menlo, Consolas, monospace"'] : []),
    ...(bold ? ['font-weight="600"'] : []),
    ...(style.struck === true ? ['text-decoration="line-through"'] : []),
    ...(turned ? [`transform="rotate(-90 ${rounded(x)} ${rounded(y)})"`] : []),
  ];
  return `<text ${attributes.join(" ")}>${escaped(text)}</text>`;
};

/** Several lines of text. Returns the height, too. */
export const paragraph = (
  x: number,
  y: number,
  lines: readonly string[],
  style: LabelStyle = {},
): { readonly parts: readonly string[]; readonly height: number } => {
  const tall = Math.round((style.size ?? 13) * 1.5);
  return { parts: lines.map((line, n) => label(x, y + tall * (n + 0.5), line, style)), height: tall * lines.length };
};

/** A rectangle. @param more further attributes. */
export const box = (x: number, y: number, width: number, height: number, fill: string, more?: string): string =>
  `<rect x="${rounded(x)}" y="${rounded(y)}" width="${rounded(width)}" height="${rounded(height)}" fill="${fill}"${more === undefined ? "" : ` ${more}`}/>`;

/** Part of a picture. Its upper left corner is (0, 0). */
export interface Block {
  readonly width: number;
  readonly height: number;
  readonly parts: readonly string[];
}

export const moved = ({ parts }: Block, x: number, y: number): string =>
  `<g transform="translate(${rounded(x)} ${rounded(y)})">\n${parts.join("\n")}\n</g>`;

/** Blocks from top to bottom. */
export const stacked = (blocks: readonly Block[], gap: number): Block => {
  let y = 0;
  const parts = blocks.map((block) => {
    const at = y;
    y += block.height + gap;
    return moved(block, 0, at);
  });
  return { width: Math.max(0, ...blocks.map(({ width }) => width)), height: Math.max(0, y - gap), parts };
};

/** Blocks from left to right. */
export const inRow = (blocks: readonly Block[], gap: number): Block => {
  const width = blocks.reduce((sum, block) => sum + block.width, gap * (blocks.length - 1));
  let x = 0;
  const parts = blocks.map((block) => {
    const at = x;
    x += block.width + gap;
    return moved(block, at, 0);
  });
  return { width, height: Math.max(0, ...blocks.map(({ height }) => height)), parts };
};

export interface PictureHead {
  readonly title: string;
  /** Name of the model. */
  readonly model: string;
  /** The text that the model read. If there are several texts, each has a name. Undefined: the picture shows no text. */
  readonly texts: readonly { readonly name: string; readonly text: string }[];
  /** Sentences below the drawing that explain it. */
  readonly notes: readonly string[];
}

const margin = 32;
const leastWidth = 600;
const mostTextLines = 3;

/** The whole file. */
export const pictureOf = ({ title, model, texts, notes }: PictureHead, body: Block): string => {
  const inner = Math.max(leastWidth, Math.ceil(body.width));
  const parts: string[] = [];
  let y = margin - 8;
  const add = (lines: readonly string[], style: LabelStyle): void => {
    const added = paragraph(margin, y, lines, style);
    parts.push(...added.parts);
    y += added.height;
  };
  add(wrapped(title, inner, 20), { size: 20, bold: true });
  y += 4;
  add([fitted(`Model: ${model}`, inner, 13)], { color: light.soft });
  // Spaces remain spaces here, because the text is a sentence. Other invisible characters have signs.
  for (const { name, text } of texts)
    add(wrapped(`${name}: “${text.split(" ").map(visible).join(" ")}”`, inner, 13, mostTextLines), {
      color: light.soft,
    });
  y += 20;
  parts.push(moved(body, margin, y));
  y += body.height + 16;
  for (const note of notes) {
    add(wrapped(note, inner, 13), { color: light.soft });
    y += 4;
  }
  const [width, height] = [inner + 2 * margin, Math.ceil(y + margin - 12)];
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="13">
<title>${escaped(title)}</title>
<rect width="100%" height="100%" fill="${light.raised}"/>
${parts.join("\n")}
</svg>
`;
};

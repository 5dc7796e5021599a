/** Picture of the lens: the table of predictions, and the rank of one prediction at each stage. */
import type { LensPosition, LensReading } from "../../../src/inside/lens.ts";
import { count } from "../../parts/format.ts";
import { visible } from "../../tokens/surprise.ts";
import { shareLevel } from "../cells/share.ts";
import { rankLines } from "../lens/lens-rows.ts";
import {
  type Block,
  box,
  fitted,
  inRow,
  label,
  light,
  paragraph,
  pictureOf,
  rounded,
  stacked,
  widthOf,
  wrapped,
} from "./frame.ts";
import { lensKey, lensShade } from "./keys.ts";

export interface LensPicture {
  readonly kind: "lens";
  readonly model: string;
  readonly text: string;
  /** Positions of the shown columns. */
  readonly positions: readonly LensPosition[];
  /** Number of tokens of the text. */
  readonly tokens: number;
  /** Stages of the shown rows, and the names of the rows. */
  readonly rows: readonly { readonly stage: number; readonly name: string }[];
  readonly chosen: { readonly column: number; readonly stage: number };
  /** Readings that contain the rank of the final prediction. Undefined: the rank is not known. */
  readonly ranks: readonly LensReading[] | undefined;
  readonly vocabSize: number;
  readonly nLayer: number;
  /** Sentences about the prediction of the chosen column. */
  readonly says: readonly string[];
}

const [tall, gap, head] = [21, 1, 22];
const [namesLeast, leastColumn, mostColumn] = [70, 40, 100];

const columnWidth = ({ positions, rows }: LensPicture): number => {
  const needed = positions.flatMap(({ token, position, readings }) => [
    12 + widthOf(`${position + 1} `, 12) + widthOf(visible(token.text), 12, "mono"),
    // A check mark takes 14 pixels.
    ...rows.map(({ stage }) => 26 + widthOf(visible(readings[stage]?.top[0]?.text ?? ""), 12, "mono")),
  ]);
  return Math.max(leastColumn, Math.min(mostColumn, Math.ceil(Math.max(...needed))));
};

const table = (picture: LensPicture): Block => {
  const { positions, rows, chosen } = picture;
  const wide = columnWidth(picture);
  const names = Math.max(namesLeast, ...rows.map(({ name }) => Math.ceil(widthOf(name, 12)) + 14));
  const parts: string[] = [];
  for (const [c, { position, token }] of positions.entries()) {
    const [x, number] = [names + c * (wide + gap), String(position + 1)];
    const after = widthOf(`${number} `, 12);
    parts.push(
      label(x + 4, head / 2, number, { size: 12, color: light.soft }),
      label(x + 4 + after, head / 2, fitted(visible(token.text), wide - 6 - after, 12, "mono"), {
        size: 12,
        font: "mono",
      }),
    );
  }
  for (const [r, { stage, name }] of rows.entries()) {
    const y = head + r * (tall + gap);
    parts.push(label(0, y + tall / 2, name, { size: 12, color: light.soft }));
    for (const [c, { readings }] of positions.entries()) {
      const reading = readings[stage];
      const [top] = reading?.top ?? [];
      if (reading === undefined || top === undefined) continue;
      const isFinal = top.id === readings.at(-1)?.top[0]?.id;
      const x = names + c * (wide + gap);
      const isRight = reading.next?.rank === 1;
      parts.push(
        box(x, y, wide, tall, lensShade(shareLevel(top.probability), isFinal), `rx="2" stroke="${light.line}"`),
        label(x + 6, y + tall / 2, fitted(visible(top.text), wide - (isRight ? 22 : 10), 12, "mono"), {
          size: 12,
          font: "mono",
          bold: isFinal,
          color: isFinal ? light.ink : light.soft,
        }),
      );
      if (isRight) parts.push(label(x + wide - 5, y + tall / 2, "✓", { size: 11, anchor: "end" }));
    }
  }
  const row = rows.findIndex(({ stage }) => stage === chosen.stage);
  if (row !== -1)
    parts.push(
      box(
        names + chosen.column * (wide + gap),
        head + row * (tall + gap),
        wide,
        tall,
        "none",
        `rx="2" stroke="${light.ink}" stroke-width="2"`,
      ),
    );
  return {
    width: names + positions.length * (wide + gap),
    height: head + rows.length * (tall + gap),
    parts,
  };
};

const [curveWidth, curveHeight] = [420, 200];

/** The rank of the final prediction at each stage. */
const curveOf = ({ ranks, positions, chosen, vocabSize, nLayer }: LensPicture): readonly Block[] => {
  const final = positions[chosen.column]?.readings.at(-1)?.top[0];
  if (ranks === undefined || final === undefined) return [];
  const name = fitted(visible(final.text), 160, 15, "mono");
  const [left, top, right, bottom] = [54, 40, curveWidth - 8, curveHeight];
  const most = Math.log10(Math.max(2, vocabSize));
  const up = (rank: number): number => top + ((bottom - top) * Math.log10(rank)) / most;
  const across = (n: number): number => left + ((right - left) * n) / Math.max(1, ranks.length - 1);
  const points = ranks.map(({ next }, n) => `${rounded(across(n))},${rounded(up(next?.rank ?? vocabSize))}`);
  const own = ranks[chosen.stage]?.next?.rank;
  const parts = [
    label(0, 12, "Rank of", { size: 15, bold: true }),
    label(74, 12, name, { size: 15, bold: true, font: "mono" }),
    label(84 + widthOf(name, 15, "mono"), 12, `of ${count(vocabSize)} tokens`, { size: 15, color: light.soft }),
    ...rankLines(vocabSize).flatMap((rank) => [
      `<line x1="${left}" x2="${right}" y1="${rounded(up(rank))}" y2="${rounded(up(rank))}" stroke="${light.line}"/>`,
      label(left - 8, up(rank), count(rank), { size: 12, color: light.soft, anchor: "end" }),
    ]),
    `<polyline points="${points.join(" ")}" fill="none" stroke="${light.accent}" stroke-width="2" stroke-linejoin="round"/>`,
    ...(own === undefined
      ? []
      : [`<circle cx="${rounded(across(chosen.stage))}" cy="${rounded(up(own))}" r="4" fill="${light.accent}"/>`]),
    label(left, bottom + 14, "embedding", { size: 12, color: light.soft }),
    label(right, bottom + 14, `layer ${nLayer}`, { size: 12, color: light.soft, anchor: "end" }),
  ];
  return [{ width: curveWidth, height: bottom + 22, parts }];
};

/** Sentences about the chosen column. */
const sentences = ({ says }: LensPicture): Block => {
  const lines = says.flatMap((sentence) => wrapped(sentence, curveWidth, 14));
  return { width: curveWidth, ...paragraph(0, 0, lines, { size: 14 }) };
};

/** Maximum width of a table with its curve at the right. */
const mostBeside = 1200;

export const lensPicture = (picture: LensPicture): string => {
  const { positions, tokens, model, text } = picture;
  const [from, to] = [positions[0], positions.at(-1)].map((one) => (one?.position ?? 0) + 1);
  const grid = table(picture);
  const about = [...curveOf(picture), sentences(picture)];
  const isPart = positions.length < tokens;
  return pictureOf(
    {
      title: "Logit lens: what the model would predict at each layer",
      model,
      texts: [{ name: "Text", text }],
      notes: [
        "A cell shows the next token that the model would predict if this layer were its last. ✓ marks the token that really follows.",
        ...(isPart ? [`The columns are tokens ${from} to ${to} of ${count(tokens)}.`] : []),
      ],
    },
    stacked(
      [
        lensKey(),
        grid.width + 40 + curveWidth <= mostBeside
          ? inRow([grid, stacked(about, 16)], 40)
          : stacked([grid, inRow(about, 40)], 24),
      ],
      16,
    ),
  );
};

/** Pictures of attention: the map of one head, and the arcs of one token. */
import type { AttentionAnswer } from "../../../src/serve/studio/inside/protocol.ts";
import { arcNames, arcOpacity, arcsLayout, arcsWords, arcWidth } from "../attention/arcs-layout.ts";
import { strengthOf } from "../attention/strength.ts";
import { clipped, isOne, spanName, tokenAt } from "../names.ts";
import { type Block, box, label, light, pictureOf, rounded, stacked, widthOf } from "./frame.ts";
import { attentionKey } from "./keys.ts";

interface OfAttention {
  readonly model: string;
  readonly text: string;
  /** Attention of one head. */
  readonly answer: AttentionAnswer;
}

export interface MapPicture extends OfAttention {
  readonly kind: "attention map";
  readonly isCausal: boolean;
}

export interface ArcsPicture extends OfAttention {
  readonly kind: "attention arcs";
  readonly row: number;
}

const headName = ({ maps }: AttentionAnswer): string => {
  const [map] = maps;
  return map === undefined ? "" : `layer ${map.layer + 1}, head ${map.head + 1}`;
};

const texts = (text: string) => [{ name: "Text", text }];

/** Pattern of masked cells. */
const masked = `<defs><pattern id="masked" width="6" height="6" patternUnits="userSpaceOnUse"><rect width="6" height="6" fill="${light.sunk}"/><path d="M0 0L6 6M-1 5L1 7M5 -1L7 1" stroke="${light.edge}"/></pattern></defs>`;

const side = 640;
const leastNamed = 12;
const nameSize = 11;

/** Cells with the same shade are one path, so the file of a large map stays small. */
const cellsOf = (values: readonly (readonly number[])[]): readonly string[] => {
  const shades = new Map<string, string[]>();
  for (const [row, cells] of values.entries()) {
    for (const [column, value] of cells.entries()) {
      const opacity = strengthOf(value).toFixed(2);
      if (opacity === "0.00") continue;
      shades.set(opacity, [...(shades.get(opacity) ?? []), `M${column} ${row}h1v1h-1z`]);
    }
  }
  return [...shades].map(([opacity, paths]) => `<path fill-opacity="${opacity}" d="${paths.join("")}"/>`);
};

const mapOf = ({ answer, isCausal }: MapPicture): Block => {
  const { rows, columns, tokens, maps } = answer;
  const values = maps[0]?.values ?? [];
  const nameOf = (span: { readonly from: number; readonly to: number }): string =>
    isOne(span) ? clipped(tokenAt(tokens, span.from), 14) : spanName(tokens, span);
  const [own, others] = [rows.map(nameOf), columns.map(nameOf)];
  const cell = Math.min(40, side / columns.length);
  const isNamed = cell >= leastNamed;
  const longest = Math.max(...[...own, ...others].map((name) => widthOf(name, nameSize, "mono")));
  const left = isNamed ? longest + 10 : 40;
  const isTurned = isNamed && longest > cell - 3;
  const top = isTurned ? longest + 10 : 20;
  const [width, height] = [cell * columns.length, cell * rows.length];
  // Without space for names, the positions of some tokens are shown.
  const every = isNamed ? 1 : Math.ceil(36 / cell);
  const style = { size: nameSize, color: light.soft, font: "mono" } as const;
  const parts = [masked];
  for (const [r, { from }] of rows.entries())
    if (r % every === 0)
      parts.push(
        label(left - 6, top + cell * (r + 0.5), isNamed ? (own[r] ?? "") : String(from + 1), {
          ...style,
          anchor: "end",
        }),
      );
  for (const [c, { from }] of columns.entries())
    if (c % every === 0)
      parts.push(
        label(left + cell * (c + 0.5), top - (isTurned ? 6 : 10), isNamed ? (others[c] ?? "") : String(from + 1), {
          ...style,
          ...(isTurned ? { turned: true } : { anchor: "middle" }),
        }),
      );
  const open = values.map((cells, row) => `M0 ${row}h${cells.length}v1h-${cells.length}z`);
  parts.push(
    box(left, top, width, height, isCausal ? "url(#masked)" : light.raised),
    `<g transform="translate(${rounded(left)} ${rounded(top)}) scale(${cell})" fill="${light.shade}" shape-rendering="crispEdges">`,
    `<path fill="${light.raised}" d="${open.join("")}"/>`,
    ...cellsOf(values),
    "</g>",
    box(left, top, width, height, "none", `stroke="${light.edge}"`),
  );
  return { width: left + width, height: top + height, parts };
};

export const attentionPicture = (picture: MapPicture): string => {
  const { answer, model, text, isCausal } = picture;
  return pictureOf(
    {
      title: `Attention of ${headName(answer)}`,
      model,
      texts: texts(text),
      notes: [
        "A row shows how this head divides a token’s attention among the tokens of the text (columns). Each row sums to 100 %.",
        ...(answer.rows.some((span) => !isOne(span)) ? ["Each cell covers several tokens."] : []),
      ],
    },
    stacked([attentionKey(isCausal), mapOf(picture)], 12),
  );
};

/** The layout may be wider, if the text is long. */
const arcsWidth = 900;

export const arcsPicture = ({ answer, row, model, text }: ArcsPicture): string => {
  const { columns, rows, maps } = answer;
  const values = maps[0]?.values[row] ?? [];
  const own = columns.findIndex(({ from }) => from === rows[row]?.from);
  const { places, arcs, width, height, isTurned, numbers, shares } = arcsLayout(
    arcNames(answer),
    values,
    own,
    arcsWidth,
  );
  const parts = arcs.map(
    ({ value, path }) =>
      `<path d="${path}" fill="none" stroke="${light.accent}" stroke-width="${rounded(arcWidth(value))}" stroke-opacity="${rounded(arcOpacity(value))}" stroke-linecap="round"/>`,
  );
  for (const [column, place] of places.entries()) {
    const value = values[column];
    const color = value === undefined ? light.soft : light.ink;
    if (column === own)
      parts.push(box(place.left, place.top, place.width, place.height, light.wash, `rx="3" stroke="${light.accent}"`));
    parts.push(
      isTurned
        ? label(place.middle, place.top + 4, place.name, { size: 12, font: "mono", color, anchor: "end", turned: true })
        : label(place.middle, place.top + 9, place.name, { size: 13, font: "mono", color, anchor: "middle" }),
    );
    const share = shares.find((one) => one.column === column);
    if (share !== undefined)
      parts.push(
        label(place.middle, numbers, share.words, {
          size: 11,
          color: light.soft,
          anchor: "middle",
        }),
      );
  }
  return pictureOf(
    {
      title: `Attention of one token: ${headName(answer)}`,
      model,
      texts: texts(text),
      notes: [
        arcsWords(answer, values, row),
        "Arcs lead from the framed token to the tokens that it attends to. Wider arcs mean more attention; numbers are percentages from 10 % on.",
      ].filter((note) => note !== ""),
    },
    { width, height, parts },
  );
};

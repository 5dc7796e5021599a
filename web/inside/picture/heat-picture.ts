/** Pictures of heat maps (patches and heads), and of the neighbours of a token. */
import {
  type Block,
  box,
  fitted,
  label,
  light,
  mixed,
  paragraph,
  pictureOf,
  stacked,
  widthOf,
  wrapped,
} from "./frame.ts";
import { type Scale, scaleKey } from "./keys.ts";

export interface HeatColumn {
  readonly number: string;
  readonly name: string;
  /** Name of the token of the other text, if it is another token. */
  readonly other?: string | undefined;
}

export interface HeatPicture {
  readonly kind: "heat map";
  readonly title: string;
  readonly model: string;
  readonly texts: readonly { readonly name: string; readonly text: string }[];
  readonly corner: string;
  readonly rows: readonly string[];
  readonly columns: readonly HeatColumn[];
  /** Value from -1 to 1 for each row and column. Undefined if the value is unknown. */
  readonly values: readonly (readonly (number | undefined)[])[];
  /** Cell with a frame. */
  readonly framed?: { readonly row: number; readonly column: number } | undefined;
  /** Colours of positive and negative values. */
  readonly colors: "patches" | "losses";
  readonly scale: Pick<Scale, "labels" | "ends" | "none">;
  /** Sentences above the map. */
  readonly says: readonly string[];
  readonly notes: readonly string[];
}

const none = mixed(light.edge, 0.2, "#fbfbf9");

const pairs = {
  patches: { for: light.shade, against: light.bad },
  losses: { for: light.rise, against: light.fall },
} as const;

const [tall, gap] = [19, 1];
const [least, most] = [34, 110];

const mapOf = ({ rows, columns, values, corner, framed, colors }: HeatPicture): Block => {
  const size = 12;
  const nameOf = ({ number, name }: HeatColumn): number =>
    widthOf(`${number} `, size) + widthOf(name, size, "mono") + 8;
  // A struck name is below the name of its column.
  const hasOther = columns.some(({ other }) => other !== undefined);
  const wide = Math.max(
    least,
    Math.min(
      most,
      ...[Math.max(...columns.map((one) => Math.max(nameOf(one), widthOf(one.other ?? "", size, "mono") + 8)))],
    ),
  );
  const left = Math.max(widthOf(corner, size) + 10, ...rows.map((name) => widthOf(name, size) + 10));
  const head = hasOther ? 40 : 24;
  const parts = [label(0, head - 11, corner, { size, color: light.soft })];
  for (const [c, { number, name, other }] of columns.entries()) {
    const x = left + c * (wide + gap);
    const after = name === "" ? 0 : widthOf(`${number} `, size);
    const own = fitted(name, wide - after - 2, size, "mono");
    const start = x + Math.max(0, (wide - after - widthOf(own, size, "mono")) / 2);
    if (name === "") parts.push(label(x + wide / 2, head - 11, number, { size, color: light.soft, anchor: "middle" }));
    else
      parts.push(
        label(start, head - (other === undefined ? 11 : 27), number, { size, color: light.soft }),
        label(start + after, head - (other === undefined ? 11 : 27), own, { size, font: "mono" }),
      );
    if (other !== undefined)
      parts.push(
        label(x + wide / 2, head - 11, fitted(other, wide - 4, size, "mono"), {
          size,
          font: "mono",
          color: light.soft,
          anchor: "middle",
          struck: true,
        }),
      );
  }
  const color = pairs[colors];
  for (const [r, name] of rows.entries()) {
    const y = head + r * (tall + gap);
    parts.push(label(0, y + tall / 2, name, { size, color: light.soft }));
    for (const [c] of columns.entries()) {
      const value = values[r]?.[c];
      const fill =
        value === undefined ? none : mixed(value < 0 ? color.against : color.for, Math.min(1, Math.abs(value)));
      parts.push(box(left + c * (wide + gap), y, wide, tall, fill, `rx="2" stroke="${light.line}"`));
    }
  }
  if (framed !== undefined)
    parts.push(
      box(
        left + framed.column * (wide + gap),
        head + framed.row * (tall + gap),
        wide,
        tall,
        "none",
        `rx="2" stroke="${light.ink}" stroke-width="2"`,
      ),
    );
  return { width: left + columns.length * (wide + gap), height: head + rows.length * (tall + gap), parts };
};

export const heatPicture = (picture: HeatPicture): string => {
  const { title, model, texts, scale, colors, says, notes } = picture;
  const map = mapOf(picture);
  const words = paragraph(
    0,
    0,
    says.flatMap((sentence) => wrapped(sentence, Math.max(600, map.width), 14)),
    { size: 14 },
  );
  return pictureOf(
    { title, model, texts, notes },
    stacked(
      [...(says.length === 0 ? [] : [{ width: 0, ...words }]), scaleKey({ ...scale, ...pairs[colors] }, none), map],
      14,
    ),
  );
};

export interface NeighboursPicture {
  readonly kind: "neighbours";
  readonly model: string;
  readonly token: string;
  /** Which vectors are compared. */
  readonly vectors: string;
  readonly bars: readonly { readonly name: string; readonly share: number; readonly text: string }[];
}

export const neighboursPicture = ({ model, token, vectors, bars }: NeighboursPicture): string => {
  const size = 14;
  const names = Math.max(80, ...bars.map(({ name }) => Math.min(200, widthOf(name, size, "mono") + 16)));
  const [wide, row] = [420, 26];
  const parts = bars.flatMap(({ name, share, text }, n) => {
    const y = row * (n + 0.5);
    return [
      label(0, y, fitted(name, names - 10, size, "mono"), { size, font: "mono" }),
      box(names, y - 5, wide, 10, light.line),
      box(names, y - 5, wide * Math.max(0, Math.min(1, share)), 10, light.accent),
      label(names + wide + 60, y, text, { size, anchor: "end" }),
    ];
  });
  return pictureOf(
    {
      title: `Tokens nearest to “${token}”`,
      model,
      texts: [],
      notes: [
        `The numbers are cosines between ${vectors}: 1 means the same direction, 0 means unrelated. Bars go from 0 to 1.`,
      ],
    },
    { width: names + wide + 60, height: row * bars.length, parts },
  );
};

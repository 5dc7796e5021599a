/**
 * Chart as a standalone SVG file. The file has the light theme, a title, and names at the curves. PNG files are
 * rendered from the SVG file.
 */
import { logTicks } from "../../src/plot/ticks.ts";
import {
  type Curve,
  type DrawnCurve,
  drawnCurve,
  extentOf,
  type HeightOptions,
  heightsOf,
  type Points,
} from "./curve.ts";
import { endOf, fittingNames, type LabelPlace, moveOffLines, placeLabels } from "./labels.ts";
import { marksOf, tickTexts, type XAxis, xMarks } from "./ticks.ts";

export interface Figure extends HeightOptions {
  readonly title: string;
  readonly xLabel: string;
  readonly curves: readonly Curve[];
  readonly xAxis: XAxis;
  /** Value of a custom property in the light theme. */
  readonly colorOf: (name: string) => string;
  /** Lines of text below the chart. */
  readonly notes: readonly string[];
  /** What the short names of the curves contain. A line of the key has these words if the key has short names. */
  readonly keyTitle?: string | undefined;
}

const size = { width: 960, height: 480, left: 64, right: 150, top: 48, bottom: 48 } as const;

const noteHeight = 20;
/** Free space below the last line of text. */
const below = 12;

const lineHeight = 15;
/** Approximate width of a character, in pixels. */
const textWidth = 7.5;
/**
 * Maximum number of characters of a name at the end of its curve, and of a name in a line of the key below the chart.
 */
const mostAtEnd = 18;
const mostInKey = 110;

interface Place extends LabelPlace {
  readonly text: string;
  readonly color: string;
}

/** Text for an XML file. */
export const escaped = (text: string): string =>
  text
    // Replaces characters that XML forbids. They would make the file unreadable.
    // biome-ignore lint/suspicious/noControlCharactersInRegex: those are the ones to find
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "\ufffd")
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");

const namesOf = (drawn: readonly DrawnCurve[], most: number, shortest: "short" | "tag"): readonly string[] =>
  fittingNames(
    drawn.map(({ curve }) => curve),
    most,
    shortest,
  );

const rounded = (value: number): string => String(Math.round(value * 100) / 100);

export const svgOf = (figure: Figure): string => {
  const { title, xLabel, curves, log, zoom, xAxis, colorOf } = figure;
  const { width, left, right, top, bottom } = size;
  const [wide, high] = [width - left - right, size.height - top - bottom];
  const x = zoom ?? extentOf(curves);
  const drawn = curves.filter(({ length }) => length > 0).map((curve) => drawnCurve(curve, x, wide));
  // Names that do not fit next to their curves are listed in full below the chart.
  const keyed = drawn.some(({ curve }) => [...curve.label].length > mostAtEnd) ? drawn : [];
  const keyNames = namesOf(keyed, mostInKey, "short");
  const isShort = keyed.some(({ curve }, i) => curve.shorter !== undefined && keyNames[i] !== curve.label);
  const keyTitles = isShort && figure.keyTitle !== undefined ? [figure.keyTitle] : [];
  const { range: y, startsAt } = heightsOf(drawn, x, figure);
  const hidden = figure.start === "hidden" && startsAt !== undefined ? startsAt.toPrecision(3) : undefined;
  const notes =
    hidden === undefined ? figure.notes : [...figure.notes, `The first values, up to ${hidden}, are above the chart.`];
  const rows = keyTitles.length + keyed.length + notes.length;
  const height = size.height + noteHeight * rows + (rows === 0 ? 0 : below);
  const across = (value: number): number => left + (wide * (value - x[0])) / (x[1] - x[0]);
  const share = (value: number): number =>
    log ? Math.log(value / y[0]) / Math.log(y[1] / y[0]) : (value - y[0]) / (y[1] - y[0]);
  const up = (value: number): number => top + high * (1 - share(value));
  const path = ({ x: xs, y: ys }: Points): string =>
    xs
      .map((value, i) => [across(value), up(ys[i] as number)] as const)
      .filter(([, at]) => Number.isFinite(at))
      .map(([px, py], i) => `${i === 0 ? "M" : "L"}${rounded(px)} ${rounded(py)}`)
      .join("");

  const parts: string[] = [];
  const yTicks = log ? logTicks(...y, 7) : marksOf(y, 7);
  const yTexts = tickTexts(yTicks);
  for (const [i, tick] of yTicks.entries()) {
    const at = rounded(up(tick));
    parts.push(
      `<line x1="${left}" x2="${left + wide}" y1="${at}" y2="${at}" stroke="#dcdcd6"/>`,
      `<text x="${left - 8}" y="${at}" text-anchor="end" dominant-baseline="middle">${escaped(yTexts[i] ?? "")}</text>`,
    );
  }
  const xTicks = xMarks(xAxis, x, 8);
  const xTexts = xAxis.texts(xTicks);
  for (const [i, tick] of xTicks.entries()) {
    const at = rounded(across(tick));
    parts.push(`<text x="${at}" y="${top + high + 18}" text-anchor="middle">${escaped(xTexts[i] ?? "")}</text>`);
  }
  parts.push(`<text x="${left + wide / 2}" y="${size.height - 10}" text-anchor="middle">${escaped(xLabel)}</text>`);
  const rowAt = (row: number): number => size.height + noteHeight * (row + 0.4);
  for (const title of keyTitles) parts.push(`<text x="${left}" y="${rowAt(0)}">${escaped(title)}</text>`);
  for (const [i, { curve }] of keyed.entries()) {
    const row = rowAt(keyTitles.length + i);
    const { color, dash, width: stroke } = curve.style;
    const at = rounded(row - 4);
    const dashes = dash.length === 0 ? "" : ` stroke-dasharray="${dash.join(" ")}"`;
    parts.push(
      `<line x1="${left}" x2="${left + 36}" y1="${at}" y2="${at}" stroke="${colorOf(color)}" stroke-width="${stroke}"${dashes}/>`,
      `<text x="${left + 46}" y="${row}">${escaped(keyNames[i] ?? "")}</text>`,
    );
  }
  for (const [i, note] of notes.entries())
    parts.push(`<text x="${left}" y="${rowAt(keyTitles.length + keyed.length + i)}">${escaped(note)}</text>`);
  const ends: Place[] = [];
  const names = namesOf(drawn, mostAtEnd, "tag");
  for (const [n, { curve, line, band }] of drawn.entries()) {
    const color = colorOf(curve.style.color);
    if (band !== undefined) {
      const back = { x: band.x.toReversed(), y: band.low.toReversed() };
      parts.push(
        `<path d="${path({ x: band.x, y: band.high })}${path(back).replace("M", "L")}Z" fill="${color}" fill-opacity="0.18"/>`,
      );
    }
    const dash = curve.style.dash.length === 0 ? "" : ` stroke-dasharray="${curve.style.dash.join(" ")}"`;
    parts.push(`<path d="${path(line)}" fill="none" stroke="${color}" stroke-width="${curve.style.width}"${dash}/>`);
    if (curve.style.marks) {
      for (const [i, value] of line.x.entries()) {
        // Marks are not clipped at the edges, so marks outside the chart are left out.
        if (value < x[0] || value > x[1] || (line.y[i] as number) > y[1]) continue;
        parts.push(
          `<circle cx="${rounded(across(value))}" cy="${rounded(up(line.y[i] as number))}" r="2.5" fill="${color}"/>`,
        );
      }
    }
    const end = endOf(line, x);
    const text = names[n] ?? "";
    const width = textWidth * text.length;
    if (end !== undefined)
      ends.push({
        text,
        color,
        width,
        x: across(end.x) + 8,
        y: Math.max(top, Math.min(top + high, up(end.y))),
      });
  }
  const room = {
    gap: lineHeight,
    top: top + lineHeight / 2,
    bottom: top + high - lineHeight / 2,
    right: size.width,
  };
  placeLabels(ends, room);
  // A name without a free place stays at its curve, because nothing else in the file names the curve.
  moveOffLines(
    ends,
    drawn.map(({ line }) => ({ x: line.x.map(across), y: line.y.map(up) })),
    room,
  );
  for (const end of ends) {
    // An outline in the background colour keeps a name readable on top of other curves.
    parts.push(
      `<text x="${rounded(end.x)}" y="${rounded(end.y)}" dominant-baseline="middle" fill="${end.color}" stroke="#ffffff" stroke-width="4" stroke-linejoin="round" paint-order="stroke">${escaped(end.text)}</text>`,
    );
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="13" fill="#55595c">
<rect width="100%" height="100%" fill="#ffffff"/>
<clipPath id="plot"><rect x="${left}" y="${top}" width="${wide}" height="${high}"/></clipPath>
<text x="${left}" y="26" font-size="16" fill="#191b1c">${escaped(title)}</text>
${parts.map((part) => (part.startsWith("<path") ? part.replace("/>", ' clip-path="url(#plot)"/>') : part)).join("\n")}
</svg>
`;
};

/** How far forms of a model are from it, as a table. */
import type { ModelsDifference } from "../../../evaluate/compare-models.ts";
import { formatPlural } from "./format.ts";
import { textDifferenceText } from "./text-difference.ts";
import { columns, padRight } from "./width.ts";

/** A form that was compared with its model. */
export interface VerifiedForm extends ModelsDifference {
  readonly file: string;
  /** null: there was no text to measure. */
  readonly bitsPerByte: number | null;
  /** Tokens of the windows that it was measured in. */
  readonly contextLength: number;
}

/** What the forms are compared with. */
export interface VerifiedModel {
  readonly model: string;
  readonly bitsPerByte: number | null;
  /** Name of the text; undefined: there was none. */
  readonly measuredOn: string | undefined;
  /** Tokens of the windows that it was measured in. */
  readonly contextLength: number;
}

/** Five digits, however small. */
const shown = (value: number): string =>
  value === 0 ? "0" : value >= 1e-3 ? value.toPrecision(4) : value.toExponential(1);

/** The first greedy token that differs. */
const firstText = ({ differences: [first] }: VerifiedForm): string =>
  first === undefined ? "none" : `prompt ${first.prompt + 1}, token ${first.index + 1}: margin ${shown(first.margin)}`;

const bitsText = (bits: number | null): string => (bits === null ? "" : bits.toFixed(4));

/** @param nameOf shows a path. */
export const verifyTable = (
  { model, bitsPerByte, measuredOn, contextLength }: VerifiedModel,
  forms: readonly VerifiedForm[],
  nameOf: (path: string) => string,
): string => {
  const rows: readonly (readonly string[])[] = [
    [
      "",
      "largest difference",
      "same tokens after",
      "first other token",
      measuredOn === undefined ? "" : "bits per byte",
    ],
    [nameOf(model), "", "", "", bitsText(bitsPerByte)],
    ...forms.map((form) => [
      ...[nameOf(form.file), shown(form.largestLogit)],
      ...[`${form.sameTokens} of ${form.prompts} prompts`, firstText(form), bitsText(form.bitsPerByte)],
    ]),
  ];
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => columns(row[column] ?? ""))));
  return [
    ...rows.map((row) =>
      row
        .map((cell, column) => padRight(cell, (widths[column] ?? 0) + 2))
        .join("")
        .trimEnd(),
    ),
    ...forms.flatMap(({ file, textDifference }) =>
      textDifference === null ? [] : [`${nameOf(file)}: ${textDifferenceText(textDifference)}`],
    ),
    measuredOn === undefined
      ? "No text was measured: prompts are tokens drawn at random."
      : `Measured on ${nameOf(measuredOn)}, its held-out end, in windows of ${formatPlural(contextLength, "token")}; prompts are from there.`,
    ...(measuredOn === undefined ? [] : forms)
      .filter((form) => form.contextLength !== contextLength)
      .map(
        (form) =>
          `${nameOf(form.file)}: has a shorter context, and was measured in windows of ${formatPlural(form.contextLength, "token")}: its bits per byte do not compare.`,
      ),
    "",
  ].join("\n");
};

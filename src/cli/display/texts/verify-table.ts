/** Table of the differences between files and the model they were made from. */
import type { ModelsDifference } from "../../../evaluate/compare-models.ts";
import { formatPlural } from "./format.ts";
import { textDifferenceText } from "./text-difference.ts";
import { columns, padRight } from "./width.ts";

/** A file that was compared with the model. */
export interface VerifiedForm extends ModelsDifference {
  readonly file: string;
  /** Null if no text was measured. */
  readonly bitsPerByte: number | null;
  /** Number of tokens in each window of the text. */
  readonly contextLength: number;
}

/** The model that the files were compared with. */
export interface VerifiedModel {
  readonly model: string;
  readonly bitsPerByte: number | null;
  /** Name of the text. Undefined if no text was measured. */
  readonly measuredOn: string | undefined;
  /** Number of tokens in each window of the text. */
  readonly contextLength: number;
}

/** Formats a value with four digits, or with two digits and an exponent if the value is below 0.001. */
const shown = (value: number): string =>
  value === 0 ? "0" : value >= 1e-3 ? value.toPrecision(4) : value.toExponential(1);

/** The first position with different greedy tokens in the file and the model. */
const firstText = ({ differences: [first] }: VerifiedForm): string =>
  first === undefined ? "none" : `prompt ${first.prompt + 1}, token ${first.index + 1}: margin ${shown(first.margin)}`;

const bitsText = (bits: number | null): string => (bits === null ? "" : bits.toFixed(4));

/** @param nameOf formats a path for the terminal. */
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
      "first differing token",
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
      ? "No text was measured: the prompts are random tokens."
      : `Measured on the held-out end of ${nameOf(measuredOn)}, in windows of ${formatPlural(contextLength, "token")}; the prompts come from the same part.`,
    ...(measuredOn === undefined ? [] : forms)
      .filter((form) => form.contextLength !== contextLength)
      .map(
        (form) =>
          `${nameOf(form.file)}: has a shorter context and was measured in windows of ${formatPlural(form.contextLength, "token")}, so its bits per byte cannot be compared.`,
      ),
    "",
  ].join("\n");
};

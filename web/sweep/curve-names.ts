/** Names of settings in the chart. A short name keeps the values that the sweep varies, and leaves out their fields. */
import type { Curve } from "../chart/curve.ts";
import type { SettingRow } from "./settings.ts";

const between = " · ";

/** The label of a setting's curve, and its shorter names. */
export const curveNames = ({ number, name, parts }: Pick<SettingRow, "number" | "name" | "parts">) =>
  ({
    label: `${number} ${name}`,
    shorter: { short: `${number}: ${parts.map(({ value }) => value).join(between)}`, tag: String(number) },
  }) satisfies Pick<Curve, "label" | "shorter">;

/** What the short names contain: the fields in the same order. Undefined: the sweep varies no field. */
export const shortNamesTitle = (rows: readonly Pick<SettingRow, "parts">[]): string | undefined => {
  const [first = []] = rows.map(({ parts }) => parts);
  if (first.every(({ field }) => field === null)) return undefined;
  return `${first.map(({ field }) => field ?? "setting").join(between)}:`;
};

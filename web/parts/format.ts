/** Formats of numbers, the same in all views. */

import type { RunConfig } from "../../src/config/config.ts";
import type { Extension } from "../../src/optim/config.ts";

const grouped = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

/** 12,345 */
export const count = (value: number): string => grouped.format(value);

/** 1 head, 4 heads. */
export const some = (number: number, thing: string): string => `${count(number)} ${thing}${number === 1 ? "" : "s"}`;

/** Makes the first letter a capital. */
export const capital = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1);

/** Turns a description into a sentence: capital letter, full stop, and curly apostrophes. */
export const asSentence = (text: string): string => {
  const sentence = capital(text).replaceAll("'", "’");
  return /[.!?…]$/u.test(sentence) ? sentence : `${sentence}.`;
};

/** 824,832 as 825 K; 9,400,000 as 9.40 M. */
export const compact = (value: number): string => {
  const units = [
    [1e9, "G"],
    [1e6, "M"],
    [1e3, "K"],
  ] as const;
  for (const [size, unit] of units) {
    if (Math.abs(value) >= size * 0.9995) return `${Number((value / size).toPrecision(3))} ${unit}`;
  }
  return String(Number(value.toPrecision(3)));
};

/** A loss with four decimals, so that digits align in columns. */
export const loss = (value: number | null | undefined): string =>
  value === null || value === undefined || !Number.isFinite(value) ? "–" : value.toFixed(4);

/**
 * Any number in a few characters, for example a learning rate or a norm. Large numbers have a suffix, as on the axes:
 * 300 M.
 */
export const short = (value: number): string => {
  if (!Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e15) return Number(value.toPrecision(3)).toExponential().replace("e+", "e");
  if (size >= 1e5) return compact(value);
  if (size < 1e-3) return value.toExponential(2).replace("e-", "e−");
  return String(Number(value.toPrecision(4)));
};

/** Formats a learning rate. A large rate, which is a mistake, is formatted as 3e8. */
export const rate = (value: number): string =>
  Number.isFinite(value) && Math.abs(value) >= 1e5
    ? Number(value.toPrecision(3)).toExponential().replace("e+", "e")
    : short(value);

/** A number and a percent sign. A line never breaks between them. */
export const inPercent = (value: number | string): string => `${value}\u00a0%`;

export const percent = (probability: number): string => {
  const value = probability * 100;
  if (value >= 99.95) return inPercent(100);
  if (value >= 10) return inPercent(value.toFixed(1));
  if (value >= 0.1) return inPercent(value.toFixed(2));
  if (value === 0) return inPercent(0);
  return value < 0.0001 ? inPercent("below 0.0001") : inPercent(Number(value.toFixed(value < 0.001 ? 4 : 3)));
};

export const bytes = (value: number): string => {
  if (value < 1024) return `${value} B`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  const power = Math.min(units.length, Math.floor(Math.log2(value) / 10));
  return `${Number((value / 1024 ** power).toPrecision(3))} ${units[power - 1]}`;
};

/** Approximate duration: 45 s, 3 min, 2 h 10 min. */
export const duration = (seconds: number): string => {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.round(hours / 24)} days`;
};

const dayAndTime = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });

/** 27 Nov 2026, 10:05 */
export const moment = (iso: string): string => {
  const date = new Date(iso);
  return Number.isNaN(date.getTime()) ? "–" : dayAndTime.format(date);
};

export interface FlatField {
  readonly path: string;
  readonly value: string;
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** A value as text. Commas separate the items of a list. An object in a list is shown as its fields. */
const valueText = (value: unknown): string => {
  if (value === null) return "none";
  if (Array.isArray(value)) return value.map(valueText).join(value.some(isRecord) ? "; " : ", ") || "none";
  if (!isRecord(value)) return String(value);
  return Object.entries(value)
    .map(([key, inner]) => `${key} ${valueText(inner)}`)
    .join(", ");
};

const extensionsText = (extensions: readonly Extension[]): string =>
  extensions
    .map(({ after, planned, schedule }) => `at step ${count(after)}, planned to ${count(planned)} (${schedule})`)
    .join("; ");

/** A configuration as pairs of a path and a value: ["model.norm.eps", "1e-5"]. */
export const flatten = (config: RunConfig | Readonly<Record<string, unknown>>): readonly FlatField[] => {
  const visit = (value: unknown, path: string): FlatField[] => {
    if (value === undefined) return [];
    if (path === "train.extensions") return [{ path, value: extensionsText(value as readonly Extension[]) }];
    if (!isRecord(value)) return [{ path, value: valueText(value) }];
    return Object.entries(value).flatMap(([key, child]) => visit(child, path === "" ? key : `${path}.${key}`));
  };
  return visit(config, "");
};

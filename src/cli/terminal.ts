import type { WriteStream } from "node:tty";
import pc from "picocolors";
import { controls } from "../core/one-line.ts";

export type Colors = ReturnType<typeof pc.createColors>;

/** Signs outside of ASCII, or their stand-ins. */
export interface Symbols {
  readonly unicode: boolean;
  readonly dot: string;
  readonly approximately: string;
  readonly ellipsis: string;
  readonly times: string;
  readonly mark: string;
  readonly star: string;
  readonly rule: string;
  readonly arrow: string;
  readonly full: string;
  readonly empty: string;
}

const unicodeSymbols: Symbols = {
  unicode: true,
  dot: "·",
  approximately: "≈",
  ellipsis: "…",
  times: "×",
  mark: "●",
  star: "★",
  rule: "│",
  arrow: "→",
  full: "━",
  empty: "─",
};

const asciiSymbols: Symbols = {
  unicode: false,
  dot: "-",
  approximately: "~",
  ellipsis: "...",
  times: "x",
  mark: "o",
  star: "*",
  rule: "|",
  arrow: "->",
  full: "#",
  empty: ".",
};

export const symbolsFor = (unicode: boolean): Symbols => (unicode ? unicodeSymbols : asciiSymbols);

/** How to write text: which signs and which colours. */
export interface Style {
  readonly symbols: Symbols;
  readonly colors: Colors;
}

/** What is known of the place that text is written to. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** As Node calls it. */
  readonly platform: string;
  /** Whether it is a terminal, as opposed to a pipe or a file. */
  readonly isTerminal: boolean;
}

/**
 * Whether escape codes for colours are wanted. NO_COLOR (any text) refuses them everywhere, as no-color.org has it; then
 * FORCE_COLOR asks for them everywhere ("0" and "false" refuse); else a terminal has them that is not a dumb one.
 */
export const hasColor = ({ env, isTerminal }: Surroundings): boolean => {
  const { NO_COLOR, FORCE_COLOR, TERM } = env;
  if (NO_COLOR !== undefined && NO_COLOR !== "") return false;
  if (FORCE_COLOR !== undefined) return !/^(0|false)$/iu.test(FORCE_COLOR);
  return isTerminal && TERM !== "dumb";
};

/** Terminals that have few glyphs beside those of ASCII, whatever the locale says: none at all, and the Linux console. */
const poorInGlyphs = /^(dumb|linux)/u;

/**
 * Whether signs outside of ASCII (braille, arrows, boxes) arrive: the locale's encoding is UTF-8, by the variables of
 * POSIX in their order, and a terminal has the glyphs.
 */
export const hasUnicode = ({ env, platform, isTerminal }: Surroundings): boolean => {
  if (isTerminal && poorInGlyphs.test(env.TERM ?? "")) return false;
  const locale = [env.LC_ALL, env.LC_CTYPE, env.LANG].find((value) => value !== undefined && value !== "");
  if (locale !== undefined) return /utf-?8/iu.test(locale);
  // These speak UTF-8 without being asked.
  return platform === "darwin" || (platform === "win32" && (env.WT_SESSION ?? env.TERM_PROGRAM) !== undefined);
};

/** How text is to be written to a place. */
export const styleIn = (surroundings: Surroundings): Style => ({
  symbols: symbolsFor(hasUnicode(surroundings)),
  colors: pc.createColors(hasColor(surroundings)),
});

const surroundingsOf = ({ isTTY }: Pick<WriteStream, "isTTY">): Surroundings => ({
  env: process.env,
  platform: process.platform,
  isTerminal: isTTY === true,
});

/** How text is to be written to `stream`. */
export const styleFor = (stream: Pick<WriteStream, "isTTY">): Style => styleIn(surroundingsOf(stream));

/** For what is read as lines by programs too: never an escape code, whatever the environment asks for. */
export const plainStyle = (): Style => ({ ...styleFor(process.stdout), colors: pc.createColors(false) });

/** Whether lines can be redrawn in place. */
export const canRedraw = (stream: WriteStream): boolean => stream.isTTY === true && process.env.TERM !== "dumb";

/** Columns to draw in: 80 for a pipe, and for a terminal that does not say how wide it is. */
export const terminalColumns = ({ columns }: { readonly columns?: number | undefined }): number =>
  columns === undefined || columns < 1 ? 80 : columns;

const showControls = (text: string, kept: string, unicode: boolean): string =>
  text.replace(controls, (control) => {
    if (kept.includes(control)) return control;
    const code = control.charCodeAt(0);
    if (!unicode) return code < 0x80 ? `^${String.fromCodePoint(code ^ 0x40)}` : "?";
    return code < 0x20 ? String.fromCodePoint(0x2400 + code) : "\ufffd";
  });

/**
 * Text of a model as a terminal may show it: control characters but line end and tab become visible.
 * @param unicode whether there are glyphs for that; else carets show them, as in ^[.
 */
export const printable = (text: string, unicode = true): string => showControls(text, "\n\t", unicode);

/** The name of a file, a folder or a text as `printable` shows text, in one line: names may hold any character. */
export const printableName = (name: string, unicode = true): string => showControls(name, "", unicode);

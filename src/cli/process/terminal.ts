import type { WriteStream } from "node:tty";
import pc from "picocolors";
import { controls } from "../../core/text/one-line.ts";
import { host } from "./host.ts";

export type Colors = ReturnType<typeof pc.createColors>;

/** Non-ASCII signs, or their ASCII stand-ins. */
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

/** How to write text: its signs and its colours. */
export interface Style {
  readonly symbols: Symbols;
  readonly colors: Colors;
}

/** Facts about the place that text is written to. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** As Node calls it. */
  readonly platform: string;
  /** Whether it is a terminal, as opposed to a pipe or a file. */
  readonly isTerminal: boolean;
}

/**
 * Whether to write escape codes for colours. NO_COLOR (any text) refuses them everywhere, as no-color.org says; then
 * FORCE_COLOR asks for them everywhere ("0" and "false" refuse); else a terminal gets them, unless it is a dumb one.
 */
export const hasColor = ({ env, isTerminal }: Surroundings): boolean => {
  const { NO_COLOR, FORCE_COLOR, TERM } = env;
  if (NO_COLOR !== undefined && NO_COLOR !== "") return false;
  if (FORCE_COLOR !== undefined) return !/^(0|false)$/iu.test(FORCE_COLOR);
  return isTerminal && TERM !== "dumb";
};

/** Bits of a colour that a terminal is sure to know: 1 for none, 4 for sixteen colours, 8 for 256. */
export type ColorDepth = 1 | 4 | 8;

/** Names of terminals with 256 colours or more, besides those that say so in TERM. */
const rich = /256|direct|truecolor|kitty|alacritty|ghostty|wezterm|foot/iu;

/** How many colours to write, by the variables that terminals set. */
export const colorDepth = (surroundings: Surroundings): ColorDepth => {
  if (!hasColor(surroundings)) return 1;
  const { TERM = "", COLORTERM = "", TERM_PROGRAM, WT_SESSION } = surroundings.env;
  const isRich = rich.test(TERM) || COLORTERM !== "" || TERM_PROGRAM !== undefined || WT_SESSION !== undefined;
  return isRich ? 8 : 4;
};

/** Terminals with few non-ASCII glyphs, whatever the locale says: none at all, and the Linux console. */
const poorInGlyphs = /^(dumb|linux)/u;

/**
 * Whether non-ASCII signs (braille, arrows, boxes) can be shown: the locale's encoding is UTF-8, by the variables of
 * POSIX in their order, and the terminal has the glyphs.
 */
export const hasUnicode = ({ env, platform, isTerminal }: Surroundings): boolean => {
  if (isTerminal && poorInGlyphs.test(env.TERM ?? "")) return false;
  const locale = [env.LC_ALL, env.LC_CTYPE, env.LANG].find((value) => value !== undefined && value !== "");
  if (locale !== undefined) return /utf-?8/iu.test(locale);
  // These are UTF-8 by default.
  return platform === "darwin" || (platform === "win32" && (env.WT_SESSION ?? env.TERM_PROGRAM) !== undefined);
};

/** How to write text to a place. */
export const styleIn = (surroundings: Surroundings): Style => ({
  symbols: symbolsFor(hasUnicode(surroundings)),
  colors: pc.createColors(hasColor(surroundings)),
});

const surroundingsOf = ({ isTTY }: Pick<WriteStream, "isTTY">): Surroundings => ({
  env: process.env,
  platform: process.platform,
  isTerminal: isTTY === true,
});

/** How to write text to `stream`. */
export const styleFor = (stream: Pick<WriteStream, "isTTY">): Style => styleIn(surroundingsOf(stream));

/** How many colours to write to `stream`. */
export const colorDepthFor = (stream: Pick<WriteStream, "isTTY">): ColorDepth => colorDepth(surroundingsOf(stream));

/** For lines that programs read too: never an escape code, whatever the environment asks for. */
export const plainStyle = (): Style => ({ ...styleFor(host.stdout), colors: pc.createColors(false) });

/** Whether lines can be redrawn in place. */
export const canRedraw = (stream: WriteStream): boolean => stream.isTTY === true && process.env.TERM !== "dumb";

/** Columns to draw in: 80 for a pipe, and for a terminal of unknown width. */
export const terminalColumns = ({ columns }: { readonly columns?: number | undefined }): number =>
  columns === undefined || columns < 1 ? 80 : columns;

/** What a terminal does with lines that are wider than it has become. */
export interface Reflow {
  /** Whether it wraps them anew, as most do; else it cuts them. */
  readonly lines: boolean;
  /** The same for the line that the cursor is in. */
  readonly cursorLine: boolean;
}

/** By the variables that terminals set: xterm and GNU screen cut lines; VS Code's leaves the cursor's line to the program. */
export const reflowIn = ({ TMUX, STY, XTERM_VERSION, TERM_PROGRAM }: Surroundings["env"]): Reflow => {
  const lines = TMUX !== undefined || (STY === undefined && XTERM_VERSION === undefined);
  return { lines, cursorLine: lines && TERM_PROGRAM !== "vscode" };
};

/**
 * Asks the system for the terminal's size; if it has changed, `stream` emits "resize" at once. Node asks only when the
 * signal for it comes, which a busy program sees late: until then rows would be counted for the old size. The method is
 * Node's own for that signal, and has no public name.
 */
export const checkSize = (stream: WriteStream): void => {
  const { _refreshSize: refresh } = stream as { readonly _refreshSize?: () => void };
  refresh?.call(stream);
};

const showControls = (text: string, kept: string, unicode: boolean): string =>
  text.replace(controls, (control) => {
    if (kept.includes(control)) return control;
    const code = control.charCodeAt(0);
    if (!unicode) return code < 0x80 ? `^${String.fromCodePoint(code ^ 0x40)}` : "?";
    return code < 0x20 ? String.fromCodePoint(0x2400 + code) : "\ufffd";
  });

/**
 * A model's text for a terminal: control characters except line end and tab become visible.
 * @param unicode whether there are glyphs for them; else carets show them, as in ^[.
 */
export const printable = (text: string, unicode = true): string => showControls(text, "\n\t", unicode);

/** The name of a file, a folder or a text for a terminal, in one line: names may have any character. */
export const printableName = (name: string, unicode = true): string => showControls(name, "", unicode);

import type { WriteStream } from "node:tty";
import pc from "picocolors";
import { controls } from "../../core/text/one-line.ts";
import { host } from "./host.ts";

export type Colors = ReturnType<typeof pc.createColors>;

/** Non-ASCII symbols, or their ASCII replacements. */
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

/** Style of an output: its symbols and colours. */
export interface Style {
  readonly symbols: Symbols;
  readonly colors: Colors;
}

/** Facts about an output that determine its style. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Node's name of the platform. */
  readonly platform: string;
  /** Whether the output is a terminal, as opposed to a pipe or a file. */
  readonly isTerminal: boolean;
}

/**
 * Whether to write colours. NO_COLOR (any text) turns colours off everywhere, as in no-color.org. Without NO_COLOR,
 * FORCE_COLOR turns colours on everywhere ("0" and "false" turn colours off). Without these variables, all terminals
 * except "dumb" terminals get colours.
 */
export const hasColor = ({ env, isTerminal }: Surroundings): boolean => {
  const { NO_COLOR, FORCE_COLOR, TERM } = env;
  if (NO_COLOR !== undefined && NO_COLOR !== "") return false;
  if (FORCE_COLOR !== undefined) return !/^(0|false)$/iu.test(FORCE_COLOR);
  return isTerminal && TERM !== "dumb";
};

/** Bits per colour that the terminal certainly supports: 1 for no colours, 4 for 16 colours, 8 for 256 colours. */
export type ColorDepth = 1 | 4 | 8;

/** Names in TERM of terminals with at least 256 colours. */
const rich = /256|direct|truecolor|kitty|alacritty|ghostty|wezterm|foot/iu;

/** Colour depth, from the environment variables that terminals set. */
export const colorDepth = (surroundings: Surroundings): ColorDepth => {
  if (!hasColor(surroundings)) return 1;
  const { TERM = "", COLORTERM = "", TERM_PROGRAM, WT_SESSION } = surroundings.env;
  const isRich = rich.test(TERM) || COLORTERM !== "" || TERM_PROGRAM !== undefined || WT_SESSION !== undefined;
  return isRich ? 8 : 4;
};

/** Terminals with no non-ASCII glyphs ("dumb") or only a few (the Linux console). The locale does not change this. */
const poorInGlyphs = /^(dumb|linux)/u;

/**
 * Whether non-ASCII symbols (braille, arrows, boxes) can be shown. Two conditions must be true: the terminal has the
 * glyphs, and the POSIX variables set UTF-8 as the locale's encoding.
 */
export const hasUnicode = ({ env, platform, isTerminal }: Surroundings): boolean => {
  if (isTerminal && poorInGlyphs.test(env.TERM ?? "")) return false;
  const locale = [env.LC_ALL, env.LC_CTYPE, env.LANG].find((value) => value !== undefined && value !== "");
  if (locale !== undefined) return /utf-?8/iu.test(locale);
  // These terminals use UTF-8 by default.
  return platform === "darwin" || (platform === "win32" && (env.WT_SESSION ?? env.TERM_PROGRAM) !== undefined);
};

/** Style for the given facts. */
export const styleIn = (surroundings: Surroundings): Style => ({
  symbols: symbolsFor(hasUnicode(surroundings)),
  colors: pc.createColors(hasColor(surroundings)),
});

const surroundingsOf = ({ isTTY }: Pick<WriteStream, "isTTY">): Surroundings => ({
  env: process.env,
  platform: process.platform,
  isTerminal: isTTY === true,
});

/** Style of `stream`. */
export const styleFor = (stream: Pick<WriteStream, "isTTY">): Style => styleIn(surroundingsOf(stream));

/** Colour depth of `stream`. */
export const colorDepthFor = (stream: Pick<WriteStream, "isTTY">): ColorDepth => colorDepth(surroundingsOf(stream));

/**
 * Style for lines that programs also read. This style never has escape codes, even if the environment requests colours.
 */
export const plainStyle = (): Style => ({ ...styleFor(host.stdout), colors: pc.createColors(false) });

/** Whether lines can be redrawn in place. */
export const canRedraw = (stream: WriteStream): boolean => stream.isTTY === true && process.env.TERM !== "dumb";

/** Number of columns for drawing: 80 for a pipe or an unknown width. */
export const terminalColumns = ({ columns }: { readonly columns?: number | undefined }): number =>
  columns === undefined || columns < 1 ? 80 : columns;

/** How a terminal handles lines that are wider than its new width. */
export interface Reflow {
  /** Whether the terminal rewraps lines, as most terminals do. If false, the terminal cuts lines. */
  readonly lines: boolean;
  /** Whether the terminal rewraps the line with the cursor. */
  readonly cursorLine: boolean;
}

/**
 * Reflow behaviour, from the environment variables that terminals set: xterm and GNU screen cut lines; VS Code leaves
 * the cursor's line to the program.
 */
export const reflowIn = ({ TMUX, STY, XTERM_VERSION, TERM_PROGRAM }: Surroundings["env"]): Reflow => {
  const lines = TMUX !== undefined || (STY === undefined && XTERM_VERSION === undefined);
  return { lines, cursorLine: lines && TERM_PROGRAM !== "vscode" };
};

/**
 * Queries the terminal's size. If it has changed, `stream` emits "resize" at once. Node itself does this only after a
 * signal. A busy program gets the signal late, and would use the old size until then. The method is Node's internal
 * handler for this signal and has no public name.
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
 * Makes control characters in a model's text visible, except line end and tab.
 * @param unicode whether to show control characters as Unicode symbols. If false, carets are used, such as ^[.
 */
export const printable = (text: string, unicode = true): string => showControls(text, "\n\t", unicode);

/** Makes the name of a file, folder or text printable in one line, because a name may contain any character. */
export const printableName = (name: string, unicode = true): string => showControls(name, "", unicode);

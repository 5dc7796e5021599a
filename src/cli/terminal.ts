import type { WriteStream } from "node:tty";
import pc from "picocolors";

export type Colors = ReturnType<typeof pc.createColors>;

/** Signs outside of ASCII, or their stand-ins. */
export interface Symbols {
  readonly unicode: boolean;
  readonly dot: string;
  readonly approximately: string;
  readonly ellipsis: string;
  readonly times: string;
  readonly mark: string;
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

/** Whether the locale's encoding is UTF-8, from the variables of POSIX in their order. */
export const isUtf8Locale = (env: Readonly<Record<string, string | undefined>>, platform: string): boolean => {
  const locale = [env.LC_ALL, env.LC_CTYPE, env.LANG].find((value) => value !== undefined && value !== "");
  if (locale !== undefined) return /utf-?8/iu.test(locale);
  // macOS and the Windows Terminal speak UTF-8 without being asked.
  return platform === "darwin" || (platform === "win32" && env.WT_SESSION !== undefined);
};

const symbolsHere = (): Symbols => symbolsFor(isUtf8Locale(process.env, process.platform));

/** For pipes and files: never an escape code. */
export const plainStyle = (): Style => ({ symbols: symbolsHere(), colors: pc.createColors(false) });

/** For a terminal, with colours where picocolors allows them (NO_COLOR and the like). */
export const terminalStyle = (): Style => ({ symbols: symbolsHere(), colors: pc.createColors(pc.isColorSupported) });

/** Whether lines can be redrawn in place. */
export const canRedraw = (stream: WriteStream): boolean => stream.isTTY === true && process.env.TERM !== "dumb";

/** Text of a model as a terminal may show it: control characters but line end and tab become visible. */
export const printable = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it looks for
  text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/gu, (control) => {
    const code = control.codePointAt(0) as number;
    return code < 0x20 ? String.fromCodePoint(0x2400 + code) : "\ufffd";
  });

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { escapeText, parseFraction, parseInteger, parseNumber, parseText } from "#foretoken/cli/flags/flags.js";
import { ConfigError, type ErrorDetails } from "#foretoken/core/errors/errors.js";
import { commandLine } from "#foretoken/core/text/shell-word.js";
import { onWindows, shell } from "../cli.ts";

describe("numbers", () => {
  test("every finite number is read back as it is written", () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        expect(parseNumber("--x")(String(value)) - value).toBe(0);
      }),
    );
  });

  test.each(["", " ", "abc", "0x10", "1_000", "1,5", "NaN", "Infinity", "1e", ".", "--1", "1 2", "１"])(
    "%j is none",
    (text) => {
      expect(() => parseNumber("--x")(text)).toThrow(ConfigError);
      expect(() => parseNumber("--x")(text)).toThrow(`--x: must be a number; got ${JSON.stringify(text)}`);
    },
  );

  test.each(["1e999", "-1e999"])("%s is too large for one", (text) => {
    expect(() => parseNumber("--x")(text)).toThrow(
      `--x: must be within the range of a 64-bit floating-point number; got "${text}"`,
    );
  });

  test.each([
    ["1,000", "1000, or 1.000 if the comma is a decimal point"],
    ["1,000,000", "1000000"],
    ["1.000.000", "1000000"],
    ["1.000,5", "1000.5"],
    ["1,000.5", "1000.5"],
    ["12'345", "12345"],
    ["12 345,6", "12345.6"],
    ["1_000", "1000"],
    ["0,01", "0.01"],
    ["0,001", "0.001"],
    ["-1,5", "-1.5"],
    ["3,5e-4", "3.5e-4"],
    ["1,2,3", undefined],
    ["1,000,5", undefined],
    ["1.00.000", undefined],
    ["1,", "1."],
    [",", undefined],
    ["many", undefined],
  ])("%j is refused, with the number as it is to be written", (text, hint) => {
    const details = ((): ErrorDetails | undefined => {
      try {
        parseNumber("--x")(text);
        return undefined;
      } catch (error) {
        return error instanceof ConfigError ? error.details : undefined;
      }
    })();
    expect(details).toMatchObject({ where: "--x", must: "must be a number", got: JSON.stringify(text) });
    expect(details?.hint).toBe(hint);
    for (const number of hint?.replace(" if the comma is a decimal point", "").split(", or ") ?? [])
      expect(parseNumber("--x")(number)).toBe(Number(number));
  });

  test("ranges are kept", () => {
    expect(parseInteger("--threads", 1, 256)("256")).toBe(256);
    for (const text of ["0", "257", "1.5"]) expect(() => parseInteger("--threads", 1, 256)(text)).toThrow(/1 to 256/u);
    expect(parseFraction("--val-fraction")("0.25")).toBe(0.25);
    for (const text of ["0", "1", "-0.1"]) expect(() => parseFraction("--val-fraction")(text)).toThrow(/above 0/u);
  });
});

describe("escapes", () => {
  test("\\n, \\t and \\\\ are interpreted, once", () => {
    expect(parseText("--prompt")("a\\nb\\tc\\\\nd")).toBe("a\nb\tc\\nd");
  });

  test("whatever is escaped is read as it was", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        expect(parseText("--prompt")(escapeText(text))).toBe(text);
      }),
    );
  });

  test.each(["\\q", "\\", "a\\\\\\", "\\N", "\\\n"])("%j is refused", (text) => {
    expect(() => parseText("--stop")(text)).toThrow(/^--stop: a backslash must be followed/u);
  });
});

test.skipIf(onWindows)(
  `a suggested command means the same in a shell${onWindows ? " (Windows has no POSIX shell)" : ""}`,
  async () => {
    const words = [
      "ROMEO:",
      "it's",
      "a b",
      "$HOME",
      "`x`",
      'say "hi"',
      "\\n",
      "!",
      "*",
      "é",
      "",
      "--model.nLayer",
      "a;b",
    ];
    const { stdout } = await shell(`npx() { shift; printf '%s|' "$@"; }; ${commandLine(words)}`, "/");
    expect(stdout).toBe(words.map((word) => `${word}|`).join(""));
  },
);

test("a suggested command takes a path that begins with - for no flag, and its values as they are", () => {
  expect(commandLine(["generate", "-y", "--prompt", "-y"])).toBe("npx foretoken generate ./-y --prompt -y");
  expect(commandLine(["train", "--resume", "-y", "--steps", "20"])).toBe("npx foretoken train --resume -y --steps 20");
});

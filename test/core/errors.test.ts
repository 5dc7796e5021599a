import { inspect } from "node:util";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ConfigError, longestMessage } from "#foretoken/core/errors/errors.js";
import { nearest } from "#foretoken/core/text/nearest.js";
import { oneLine, shorten } from "#foretoken/core/text/one-line.js";

describe("an error's message", () => {
  test("says where, what must hold, what came and what to try", () => {
    const error = new ConfigError({ where: "--steps", must: "must be above 0", got: "0", hint: "1" });
    expect(error.message).toBe("--steps: must be above 0; got 0; try 1");
    expect(new ConfigError({ where: "a", must: "must be" }).message).toBe("a: must be");
  });

  test("is one line of bounded length whatever came; what must hold stays whole, and the details are as they were", () => {
    const must = "must be a whole number";
    for (const long of ["x".repeat(100_000), "\u001b".repeat(5000), "\u{1f600}".repeat(5000), "a\nb".repeat(5000)]) {
      for (const details of [
        { where: long, must },
        { where: "--steps", must, got: long },
        { where: "--steps", must, got: "1.5", hint: long },
        { where: long, must, got: long, hint: long },
      ]) {
        const error = new ConfigError(details);
        expect(error.message.length).toBeLessThanOrEqual(longestMessage);
        // Even with a hint, the shortened message has more than half of the maximum length.
        expect(error.message.length).toBeGreaterThan(
          details.hint === undefined ? longestMessage - 10 : longestMessage / 2,
        );
        expect(error.message).toContain(must);
        expect(error.message).toContain("…");
        // Throws for half of a surrogate pair.
        expect(encodeURIComponent(error.message)).not.toBe("");
        expect(error.message).toBe(oneLine(error.message));
        expect(error.details).toEqual(details);
      }
    }
  });

  test("shortens the long part alone: the short ones are whole", () => {
    const where = `runs/${"deep/".repeat(800)}model.safetensors`;
    const { message } = new ConfigError({ where, must: "must be readable", got: "EIO", hint: "a copy" });
    expect(message).toMatch(/^runs\/deep\/.*….*deep\/model\.safetensors: must be readable; got EIO; try a copy$/u);
  });

  test("holds no control character, however they are mixed", () => {
    const unit = fc.constantFrom("a", "\n", "\u001b", "\u009b", "\u007f", "\u2028", "\u202e", "\u{1f600}");
    const any = fc.string({ unit, maxLength: 400 });
    fc.assert(
      fc.property(any, any, any, any, (where, must, got, hint) => {
        const { message } = new ConfigError({ where, must, got, hint });
        expect(message).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e]/u);
        expect(message.length).toBeLessThanOrEqual(longestMessage);
        expect(encodeURIComponent(message)).not.toBe("");
      }),
    );
  });
});

test("text is spelt out in one line", () => {
  expect(oneLine("a\n\t\u001b[2J\u009b\u007f\u2028\u202e\u2066é")).toBe(
    "a\\n\\t\\u001b[2J\\u009b\\u007f\\u2028\\u202e\\u2066é",
  );
});

test("text loses its middle, and no half of a character", () => {
  expect(shorten("abcdefghij", 10)).toBe("abcdefghij");
  expect(shorten("abcdefghij", 6)).toBe("abc…ij");
  for (let most = 1; most < 12; most++) {
    const short = shorten("\u{1f600}".repeat(10), most);
    expect(short.length).toBeLessThanOrEqual(most);
    expect(short).toMatch(/^(?:\u{1f600})*…(?:\u{1f600})*$/u);
  }
});

test("nothing is like a word of many megabytes", () => {
  expect(nearest("stpes", ["steps", "seed"])).toBe("steps");
  expect(nearest("x".repeat(4_000_000), ["steps"])).toBeUndefined();
});

test("an uncaught error prints its message once, with its cause, and programs read its details", () => {
  const details = { where: "notes.txt", must: "must exist", got: "no such file", cause: new Error("ENOENT: open") };
  const error = new ConfigError(details);
  // Node prints an uncaught error in this way.
  const printed = inspect(error, { customInspect: false, depth: Number.POSITIVE_INFINITY });
  expect(printed.match(/must exist/gu)).toHaveLength(1);
  expect(printed.match(/ENOENT: open/gu)).toHaveLength(1);
  expect(error.details).toEqual(details);
});

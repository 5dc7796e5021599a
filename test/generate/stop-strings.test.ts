import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { stopWatch } from "#foretoken/generate/stop-strings.js";

/** The text that is shown after each piece of text. */
const watch = (stop: readonly string[], pieces: readonly string[]) => {
  const watched = stopWatch(stop);
  const shown: string[] = [];
  for (const piece of pieces) {
    const { text, stopped } = watched.push(piece);
    shown.push(text);
    if (stopped) return { shown, text: shown.join(""), stopped };
  }
  shown.push(watched.end());
  return { shown, text: shown.join(""), stopped: false };
};

describe("stop strings", () => {
  it("end the text before them, across any borders between tokens", () => {
    expect(watch(["END"], ["abEND"])).toMatchObject({ text: "ab", stopped: true });
    expect(watch(["END"], ["a", "bE", "N", "Dx"])).toMatchObject({ text: "ab", stopped: true });
    expect(watch(["\n\n"], ["a\n", "b\n", "\nc"])).toMatchObject({ text: "a\nb", stopped: true });
  });

  it("are held back while they may be coming, and shown when they are not", () => {
    expect(watch(["END"], ["aE", "N", "ENx"]).shown).toEqual(["a", "", "ENENx", ""]);
    expect(watch(["END"], ["aEN"])).toMatchObject({ shown: ["a", "EN"], stopped: false });
    // The end of a partial match may be the beginning of the next match.
    expect(watch(["aab"], ["a", "a", "a", "b"])).toMatchObject({ shown: ["", "", "a", ""], text: "a", stopped: true });
  });

  it("may be several: the one that is complete first counts, of those the longest", () => {
    expect(watch(["xyz", "y"], ["axy"])).toMatchObject({ text: "ax", stopped: true });
    expect(watch(["bc", "abcd"], ["abcd"])).toMatchObject({ text: "a", stopped: true });
    expect(watch(["bc", "abc"], ["ab", "c"])).toMatchObject({ text: "", stopped: true });
  });

  it("none: text passes straight through", () => {
    expect(watch([], ["a", "", "b"]).shown).toEqual(["a", "", "b", ""]);
  });

  it("for any text and any cuts: what one character at a time would give", () => {
    const text = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 30 });
    const stops = fc.array(fc.string({ unit: fc.constantFrom("a", "b", "c"), minLength: 1, maxLength: 4 }), {
      maxLength: 3,
    });
    fc.assert(
      fc.property(text, stops, fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1 }), (whole, stop, sizes) => {
        const pieces: string[] = [];
        for (let at = 0, i = 0; at < whole.length; i++) {
          const size = sizes[i % sizes.length] as number;
          pieces.push(whole.slice(at, at + size));
          at += size;
        }
        const { text: shown, stopped } = watch(stop, pieces);
        expect(watch(stop, [...whole])).toMatchObject({ text: shown, stopped });
        expect(stopped).toBe(stop.some((string) => whole.includes(string)));
        expect(whole.startsWith(shown)).toBe(true);
        for (const string of stop) expect(shown.includes(string)).toBe(false);
        if (!stopped) expect(shown).toBe(whole);
        else expect(stop.some((string) => whole.startsWith(string, shown.length))).toBe(true);
      }),
    );
  });
});

import { describe, expect, it } from "vitest";
import { defaults, queryOf, settingsIn } from "../../web/playground/settings-in-address.ts";

const paramsOf = (changes: ReturnType<typeof queryOf>): URLSearchParams =>
  new URLSearchParams(Object.entries(changes).flatMap(([key, value]) => (value === null ? [] : [[key, value]])));

describe("the playground's address", () => {
  it("leads back to every setting", () => {
    const settings = {
      prompt: "The cat & a\n",
      seed: 7,
      maxNewTokens: 24,
      left: { temperature: 0, topK: 5, topP: 0.9, minP: 0.02 },
      right: { temperature: 1.2, topK: 40, topP: 1, minP: 0 },
      scoreText: "Measure this.",
      form: "regex" as const,
      formTexts: { regex: "[a-z]+ & more", choice: "yes\nno" },
      guesses: true,
    };
    const query = paramsOf(queryOf(settings));
    expect([...query.keys()].sort()).toEqual([
      ...["form", "form-text", "guesses", "min-p", "prompt", "seed", "temperature", "text", "tokens", "top-k", "top-p"],
      "with-temperature",
    ]);
    const kept = { ...defaults, formTexts: { regex: "kept", choice: "yes\nno" } };
    expect(settingsIn(new URLSearchParams(query.toString()), kept)).toEqual(settings);
  });

  it("names nothing that is as usual, and then nothing is taken from it", () => {
    expect(paramsOf(queryOf(defaults)).toString()).toBe("");
    expect(settingsIn(new URLSearchParams("model=a&tab=score"), { ...defaults, seed: 4 })).toBeUndefined();
  });

  it("goes before what was kept, but for a text that it does not name", () => {
    const kept = { ...defaults, prompt: "kept", seed: 4, left: { ...defaults.left, topK: 1 } };
    expect(settingsIn(new URLSearchParams("tokens=9"), kept)).toEqual({
      ...defaults,
      prompt: "kept",
      maxNewTokens: 9,
    });
    expect(queryOf({ ...defaults, prompt: "ж".repeat(1000) }).prompt).toBeNull();
    // A form without its text would be a different form.
    const long = { ...defaults, form: "regex" as const, formTexts: { regex: "ж".repeat(1000) } };
    expect(queryOf(long)).toMatchObject({ form: null, "form-text": null });
    expect(settingsIn(new URLSearchParams("form=sonnet"), defaults)).toEqual(defaults);
  });

  it("has numbers in their ranges alone", () => {
    const wrong = new URLSearchParams("seed=-1&tokens=1.5&temperature=&top-k=x&top-p=3&prompt=a");
    expect(settingsIn(wrong, defaults)).toEqual({ ...defaults, prompt: "a" });
  });
});

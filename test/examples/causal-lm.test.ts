import { dirname } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { useFolder, wordsText } from "../support/runs.ts";
import { numbersIn, readExample, runExample } from "./run-example.ts";

const { writeText } = useFolder();

describe("examples/causal-lm.ts", () => {
  const lesson = wordsText("lesson", 2500);
  const vocabSize = new Set(lesson).size;
  let printed = "";
  beforeAll(async () => {
    const data = await writeText(lesson);
    printed = await runExample("causal-lm", ["--data", data, "--steps", "60"], dirname(data));
  });

  it("shows pairs in which each beginning is followed by what comes next", () => {
    const pairs = [...printed.matchAll(/after "(.*)" comes "(.*)"/g)].map(([, before, next]) => `${before}${next}`);
    const text = JSON.stringify(lesson).slice(1);
    expect(pairs).toEqual([2, 3, 4, 5, 6].map((length) => text.slice(0, length)));
  });

  it("makes one example of each token", () => {
    expect(printed).toContain(`One pass over 64 tokens gives logits [64, ${vocabSize}]: 64 examples.`);
  });

  it("starts beside ln V and learns", () => {
    const [, before, v] = /before training: (.*)\. A model that knows nothing: ln \d+ = (.*)\./.exec(printed) ?? [];
    expect(Number(v)).toBeCloseTo(Math.log(vocabSize), 3);
    expect(Math.abs(Number(before) - Number(v))).toBeLessThan(0.1 * Number(v));
    const losses = numbersIn(printed, /step \d+: (\d\.\d+)/g);
    expect(losses).toHaveLength(10);
    expect(losses.at(-1)).toBeLessThan(0.7 * (losses[0] ?? 0));
    const [heldOut] = numbersIn(printed, /held-out text: (\d\.\d+) nats/g);
    expect(heldOut).toBeLessThan(losses[0] ?? 0);
  });

  it("finds no logit before a changed token changed", () => {
    expect(printed).toContain("With another token at 32, the first row of logits to change is row 32.");
  });

  it("writes 300 tokens after the prompt, one by one", () => {
    const text = /\n9\. ([\s\S]*?)\n\n10\./.exec(printed)?.[1] ?? "";
    const prompt = /^\w+/.exec(lesson)?.[0] ?? "";
    expect(text.startsWith(prompt)).toBe(true);
    expect(text.length).toBe(prompt.length + 300);
  });

  it("is the loop of train(), to the bit", () => {
    const pairs = [...printed.matchAll(/there (\d\.\d+), here (\d\.\d+)\n/g)].map(([, there, here]) => [there, here]);
    expect(pairs).toHaveLength(3);
    for (const [there, here] of pairs) expect(there).toBe(here);
  });

  it("is a file that can be read in one sitting, on the public library alone", async () => {
    const source = await readExample("causal-lm");
    expect(source.split("\n").length).toBeLessThanOrEqual(171);
    const modules = [...source.matchAll(/from "(.*)";/g)].map(([, name]) => name);
    expect(modules.filter((name) => name !== "foretoken" && !name?.startsWith("node:"))).toEqual([]);
    expect(modules).toContain("foretoken");
  });
});

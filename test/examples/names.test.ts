import { writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import { useFolder } from "../support/runs.ts";
import { numbersIn, readExample, runExample } from "./run-example.ts";

const { newPath } = useFolder();

/** 64 made-up names: all combinations of three parts, with four choices for each. */
const names = ["Mar", "Lin", "Tor", "Bel"].flatMap((a) =>
  ["a", "e", "i", "o"].flatMap((b) => ["na", "ro", "la", "s"].map((c) => `${a}${b}${c}`)),
);

describe("examples/names.ts", () => {
  let folder = "";
  let printed = "";
  beforeAll(async () => {
    const file = newPath();
    folder = dirname(file);
    await writeFile(file, `${names.join("\n")}\n\n${names[0]}\n`);
    printed = await runExample("names", [file, "--steps", "60", "--out", join(folder, "model")], folder);
  });

  it("holds out every tenth name, and learns how names are made", () => {
    expect(printed).toContain("58 names to learn from, 6 held out");
    const losses = numbersIn(printed, /(\d\.\d+) on names held out/g);
    expect(losses).toHaveLength(10);
    expect(losses.at(-1)).toBeLessThan(0.8 * (losses[0] ?? 0));
  });

  it("calls new what is in no list", () => {
    const [, different, fresh] =
      /500 names generated; (\d+) different; (\d+) of these are not in the list/.exec(printed) ?? [];
    expect(Number(different)).toBeGreaterThan(10);
    expect(Number(fresh)).toBeLessThanOrEqual(Number(different));
    const shown = /not in the list:\n(.*)\n/.exec(printed)?.[1]?.split(", ") ?? [];
    expect(shown.length).toBe(Math.min(40, Number(fresh)));
    expect(shown.filter((name) => names.includes(name))).toEqual([]);
  });

  it("finds its own list from any folder", async () => {
    expect(await runExample("names", ["--steps", "0"], folder)).toMatch(/^names\.txt: \d+ names to learn from/u);
  });

  it("says in one line that there is no such list", async () => {
    await expect(runExample("names", ["nowhere.txt"], folder)).rejects.toMatchObject({
      code: 2,
      stderr: "names: the list must be a file with one name a line; got no file nowhere.txt\n",
    });
  });

  it("saves a model that loads", async () => {
    const lm = await loadPretrained(join(folder, "model"), { backend: "reference" });
    expect(lm.tokenizer.decode(lm.tokenizer.encode("Marina\n"))).toBe("Marina\n");
    expect((await lm.logits(lm.tokenizer.encode("\nMar"))).shape).toEqual([4, lm.tokenizer.vocabSize]);
    await lm.close();
  });

  it("has a list that holds each name once, and says how many", async () => {
    const list = (await readExample("names", "txt")).split("\n").slice(0, -1);
    expect(new Set(list).size).toBe(list.length);
    expect(list.filter((name) => !/^[A-Z][a-z]+$/.test(name))).toEqual([]);
    expect(await readExample("names")).toContain(`${list.length.toLocaleString("en")} first names`);
  });
});

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { probabilityLegend, probabilityText } from "#foretoken/cli/display/texts/probabilities.js";
import { type ColorDepth, colorDepth, styleIn } from "#foretoken/cli/process/terminal.js";
import type { GenerateEvent, TokenEvent } from "#foretoken/generate/events.js";
import { charTokenizer } from "#foretoken/tokenizer/char.js";
import type { Tokenizer } from "#foretoken/tokenizer/tokenizer.js";
import { byteTokenizer } from "../support/byte-tokenizer.ts";
import { cli, jsonLines, tiny, workplace } from "./cli.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const styleOf = (depth: ColorDepth) => ({
  ...styleIn({ env: { LC_ALL: "C.UTF-8" }, platform: "linux", isTerminal: true }),
  depth,
});

const done: GenerateEvent = {
  ...{ v: 1, type: "done", task: "generate", finishReason: "stop", text: "", promptTokens: 1, newTokens: 1 },
};

/** The events of tokens: [id, probability, text that can be shown]. */
type Drawn = readonly (readonly [id: number, probability: number, text: string])[];

const written = (tokenizer: Tokenizer, drawn: Drawn, depth: ColorDepth = 1, showSpecialTokens = false): string => {
  const textOf = probabilityText(tokenizer, showSpecialTokens, styleOf(depth));
  const tokens = drawn.map(([id, probability, text], index): TokenEvent => {
    return { v: 1, type: "token", index, id, text, probability, candidates: [] };
  });
  return [...tokens, done].map(textOf).join("");
};

const letters = charTokenizer([..."abc \n\t\u001b\u202e"], ["<|endoftext|>"]);

describe("a text with probabilities", () => {
  test("has each token's in figures, before its line ends", () => {
    const drawn: Drawn = [
      [0, 0.5, "a"],
      [1, 0.004, "b"],
      [4, 0.9999, "\n"],
      [2, 1, "c"],
      [3, 0, " "],
    ];
    expect(written(letters, drawn)).toBe("a[50]b[<1][99]\nc[100] [0]\n");
  });

  test("has the shade of each token, which the legend names, and none past a line end", () => {
    const drawn: Drawn = [
      [0, 0.95, "a"],
      [1, 0.6, "b"],
      [2, 0.3, "c"],
      [4, 0.1, "\n"],
      [0, 0.01, "a"],
    ];
    expect(written(letters, drawn, 8)).toBe(
      "a\u001b[48;5;24;38;5;231mb\u001b[0m\u001b[48;5;37;38;5;16mc\u001b[0m\u001b[48;5;220;38;5;16m \u001b[0m\n\u001b[48;5;203;38;5;16ma\u001b[0m\n",
    );
    expect(written(letters, drawn, 4)).toBe(
      "a\u001b[44;97mb\u001b[0m\u001b[46;30mc\u001b[0m\u001b[43;30m \u001b[0m\n\u001b[41;97ma\u001b[0m\n",
    );
    const legend = probabilityLegend(styleOf(8), 80).join(" ");
    for (const shade of ["90-100%", "\u001b[48;5;24;38;5;231m 50-90% ", "\u001b[48;5;203;38;5;16m under 5% "]) {
      expect(legend).toContain(shade);
    }
    expect(probabilityLegend(styleOf(1), 80).join(" ")).toBe(
      "[n] after a token: the probability that the model gave the token, in per cent",
    );
  });

  test.each<ColorDepth>([1, 4, 8])("moves no cursor, whatever the model writes, with colours of %i bits", (depth) => {
    const text = written(
      letters,
      [
        [6, 0.97, "\u001b"],
        [0, 0.3, "a"],
        [7, 0.2, "\u202e"],
        [5, 0.9, "\t"],
      ],
      depth,
    );
    const bare = text.replace(/\u001b\[[\d;]*m/gu, "");
    expect(bare.replace(/\[\d+\]/gu, "")).toBe("␛a\ufffd\t\n");
  });

  test("gives a character of several tokens the probability of all of them together", () => {
    const bytes = byteTokenizer();
    const drawn: Drawn = [
      [0x41, 0.9, "A"],
      [0xc3, 0.5, ""],
      [0xa9, 0.5, "é"],
      [0x42, 0.8, "B"],
    ];
    expect(written(bytes, drawn)).toBe("A[90]é[25]B[80]\n");
    // The last byte of this character never comes, so the incomplete character is shown with the last token.
    expect(
      written(bytes, [
        [0x41, 0.9, "A"],
        [0xc3, 0.5, "\ufffd"],
      ]),
    ).toBe("A[90]\ufffd[50]\n");
  });

  test("gives text that was held back its own tokens' probabilities, and shows nothing of a stop string", () => {
    const held: Drawn = [
      [0, 0.1, ""],
      [1, 0.2, ""],
      [2, 0.3, "abc"],
    ];
    expect(written(letters, held)).toBe("a[10]b[20]c[30]\n");
    expect(
      written(letters, [
        [0, 0.1, "a"],
        [1, 0.2, ""],
        [2, 0.3, ""],
      ]),
    ).toBe("a[10]\n");
    // A stop string that begins in the middle of a token.
    const pairs = byteTokenizer("abcd", 2);
    const [ab = 0, cd = 0] = pairs.encode("abcd");
    expect(
      written(pairs, [
        [ab, 0.4, ""],
        [cd, 0.5, "abc"],
      ]),
    ).toBe("ab[40]c[50]\n");
  });

  test("names special tokens only where it is to", () => {
    const end = letters.endOfText as number;
    expect(
      written(letters, [
        [0, 0.4, "a"],
        [end, 0.7, ""],
      ]),
    ).toBe("a[40]\n");
    expect(
      written(
        letters,
        [
          [0, 0.4, "a"],
          [end, 0.7, "<|endoftext|>"],
        ],
        1,
        true,
      ),
    ).toBe("a[40]<|endoftext|>[70]\n");
  });
});

test.each([
  [{ TERM: "xterm-256color" }, true, 8],
  [{ TERM: "xterm", COLORTERM: "truecolor" }, true, 8],
  [{ TERM: "xterm" }, true, 4],
  [{ TERM: "linux" }, true, 4],
  [{ TERM: "dumb" }, true, 1],
  [{ TERM: "xterm-256color", NO_COLOR: "1" }, true, 1],
  [{ TERM: "xterm-256color" }, false, 1],
  [{ TERM: "xterm-256color", FORCE_COLOR: "1" }, false, 8],
] as const)("%j in a terminal (%s) has colours of %i bits", (env, isTerminal, depth) => {
  expect(colorDepth({ env, isTerminal, platform: "linux" })).toBe(depth);
});

describe("generate --show-probabilities", () => {
  let cwd: string;
  let remove: () => Promise<void>;
  const args = ["generate", "run", "--backend", "reference", "--max-new-tokens", "20"];
  beforeAll(async () => {
    ({ cwd, remove } = await workplace());
    await cli(["train", ...tiny, "--out", "run"], { cwd });
  });
  afterAll(() => remove());

  test("in a pipe writes the text with figures, those of the events", async () => {
    const plain = await cli([...args, "--prompt", "The"], { cwd });
    const shown = await cli([...args, "--prompt", "The", "--show-probabilities"], { cwd, env: { NO_COLOR: "1" } });
    expect(shown.status, shown.stderr).toBe(0);
    expect(shown.stdout.replace(/\[(<?\d+)\]/gu, "")).toBe(plain.stdout);
    expect(shown.stderr).toContain("[n] after a token: the probability that the model gave the token, in per cent\n");
    const figures = [...shown.stdout.matchAll(/\[(<?\d+)\]/gu)].map(([, figure]) => figure);
    const listed = jsonLines(
      (await cli([...args, "--prompt", "The", "--show-probabilities", "--json"], { cwd })).stdout,
    );
    const probabilities = listed.slice(0, -1).map(({ probability }) => Number(probability));
    expect(figures).toEqual(probabilities.map((one) => String(Math.round(100 * one))));
    for (const { candidates } of listed.slice(0, -1)) expect(candidates).toHaveLength(5);
    const without = jsonLines((await cli([...args, "--prompt", "The", "--json"], { cwd })).stdout);
    expect(without[0]).not.toHaveProperty("probability");
  });

  test("shades the same text where colours are asked for, under a legend", async () => {
    const plain = await cli([...args, "--prompt", "The"], { cwd });
    const env = { FORCE_COLOR: "1", NO_COLOR: "", TERM: "xterm-256color" };
    const { stdout } = await cli([...args, "--prompt", "The", "--show-probabilities"], { cwd, env });
    const [legend = "", ...rest] = stdout.replace(/\u001b\[[\d;]*m/gu, "").split("\n");
    expect(legend).toContain("probability of each token:");
    expect(rest.map((line) => line.trimEnd())).toEqual(plain.stdout.split("\n").map((line) => line.trimEnd()));
    expect(stdout).toContain("\u001b[48;5;");
  });

  test("works line by line too", async () => {
    await writeFile(join(cwd, "prompts.txt"), "The\nIt\n");
    const input = await readFile(join(cwd, "prompts.txt"), "utf8");
    const plain = await cli([...args, "--interactive"], { cwd, input });
    const shown = await cli([...args, "--interactive", "--show-probabilities"], { cwd, input });
    expect(shown.status, shown.stderr).toBe(0);
    expect(shown.stdout).toMatch(/\[\d+\]/u);
    expect(shown.stdout.replace(/\[(<?\d+)\]/gu, "")).toBe(plain.stdout);
  });
});

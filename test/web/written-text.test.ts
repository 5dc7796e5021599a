import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { looksLikeCode } from "../../web/parts/code.ts";
import { isMainAction } from "../../web/parts/main-action.ts";
import { visible } from "../../web/tokens/surprise.ts";
import { beginningOf, candidateWords, plainText, spokenToken, tokenWords } from "../../web/tokens/token-words.ts";

const repository = new URL("../../", import.meta.url);
const read = (path: string): Promise<string> => readFile(new URL(path, repository), "utf8");

describe("a text in a face for code", () => {
  it.each(["src/ops/swiglu.ts", "native/narrow.h", "scripts/fit-math.py", "web/style/run.css", "package.json"])(
    "is one like %s",
    async (path) => {
      const lines = (await read(path)).split("\n");
      // Comments in code are ordinary text.
      const from = lines.findIndex((line) => /[;{:]$/u.test(line)) + 1;
      const code = lines.slice(from).join("\n");
      expect(looksLikeCode(code)).toBe(true);
      // Text that is added later does not change the result.
      expect(looksLikeCode(`${code.slice(0, 300)}${"And so on, as prose goes on. ".repeat(200)}`)).toBe(true);
    },
  );

  it.each([
    "for (let i = 0; i < 3; i++) f(i);",
    "def f(x):\n    return g(x) + 1\n",
    'print(x)\nprint("y")\nprint(z[0])',
    "int *p = *q; *p = (int)(a * b * c);",
  ])("is one like %j", (text) => {
    expect(looksLikeCode(text)).toBe(true);
  });

  it.each([
    "First Citizen:\nBefore we proceed any further, hear me speak.\n\nAll:\nSpeak, speak.\n\nFirst Citizen:\nYou are all",
    "Call me Ishmael. Some years ago—never mind how long precisely—having little or no money in my purse (and nothing",
    "“What’s that for, my lad?” he asked; “it’s a quarter past eight!” – 3.5 % of them, I’d say; it’s e.g. 12,000 & more.",
    "Die Würde des Menschen ist unantastbar. Sie zu achten und zu schützen ist Verpflichtung aller staatlichen Gewalt.",
    "1. Danube (Europäe)\n2. Nile (Nordia)\n3. Rhône (Rhône)",
    "# Rivers\n\n- **Danube** (Germany)\n* The *Rhine*, see [its source](https://example.org/rhine)\n\n> with `ls -l`",
    "HAMLET. [Aside] A little more than kin, and less than kind. [Exit]",
    "x = 1",
    "",
  ])("is none like %j", (text) => {
    expect(looksLikeCode(text)).toBe(false);
  });
});

describe("a token that has no text of its own", () => {
  const candidates = [
    { id: 0, text: "<|endoftext|>", probability: 0.5, logProb: Math.log(0.5) },
    { id: 7, text: "<c3>", probability: 0.2, logProb: Math.log(0.2) },
    { id: 8, text: "<e2><80>", probability: 0.1, logProb: Math.log(0.1) },
  ];

  it("has a name instead", () => {
    expect(tokenWords({ id: 0, text: "", isEnd: true })).toBe("end of text");
    expect(tokenWords({ id: 0, text: "", candidates })).toBe("end of text");
    expect(tokenWords({ id: 7, text: "", candidates })).toBe("byte c3");
    expect(tokenWords({ id: 8, text: "\ufffd", candidates })).toBe("bytes e2 80");
    expect(tokenWords({ id: 9, text: "", candidates })).toBe("byte");
    expect(tokenWords({ id: 9, text: "\ufffd" })).toBe("byte");
    expect(candidates.map(candidateWords)).toEqual(["end of text", "byte c3", "bytes e2 80"]);
    expect(["<|im_start|>", "<|im_end|>", "</s>", "<|fim_middle|>"].map((text) => candidateWords({ text }))).toEqual([
      "start of turn",
      "end of turn",
      "end of text",
      "fim middle",
    ]);
  });

  it("is no other one", () => {
    for (const text of ["a", " ", "\n", "<", "<b>", "<html>", "<|", "|>", "a\ufffd"]) {
      expect(tokenWords({ id: 1, text, candidates })).toBeUndefined();
      expect(plainText({ text })).toBe(text);
    }
    const sign = { id: 1, text: "\ufffd", probability: 0.1, logProb: Math.log(0.1) };
    expect(tokenWords({ ...sign, candidates: [sign] })).toBeUndefined();
    expect(spokenToken({ id: 1, text: " a\n" })).toBe("␣a↵");
    expect(spokenToken({ id: 0, text: "", isEnd: true })).toBe("end of text");
  });

  it("is seen, though it be a space of another kind or nothing to see", () => {
    expect(["\u00a0", " a\u00a0b\n", "\u3000\u2009", "\u200b", "\u0007\u00ad"].map(visible)).toEqual([
      ...["⍽", "␣a⍽b↵", "U+3000 U+2009", "U+200B", "U+0007 U+00AD"],
    ]);
    // A joining character is invisible by itself, but it changes how the joined characters look.
    expect(visible("👩\u200d🚀")).toBe("👩\u200d🚀");
  });

  it("adds nothing to a text that is copied", () => {
    expect(plainText({ text: "<|endoftext|>" })).toBe("");
  });
});

describe("the keys of a view's main action", () => {
  const key = { key: "Enter", ctrlKey: true, metaKey: false, shiftKey: false, altKey: false };
  const pressed = { ...key, repeat: false, isComposing: false };

  it("are Enter with Ctrl, or with the key of a Mac, once", () => {
    expect(isMainAction(pressed)).toBe(true);
    expect(isMainAction({ ...pressed, ctrlKey: false, metaKey: true })).toBe(true);
    for (const other of [
      { ctrlKey: false },
      { key: "a" },
      { shiftKey: true },
      { altKey: true },
      { repeat: true },
      { isComposing: true },
    ])
      expect(isMainAction({ ...pressed, ...other })).toBe(false);
  });
});

it("a text is named by its first characters, in one line and without special tokens", () => {
  const tokens = (...texts: readonly string[]) => texts.map((text) => ({ text }));
  expect(beginningOf(tokens("\n\n", "the", " whale", "<|endoftext|>"))).toBe("the whale");
  expect(beginningOf(tokens("a".repeat(30)))).toBe("a".repeat(30));
  expect(beginningOf(tokens("a".repeat(29), " b"))).toBe(`${"a".repeat(29)}…`);
});

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { drawPicture, type Picture } from "../../web/inside/picture/draw.ts";
import { fitted, light, mixed, widthOf, wrapped } from "../../web/inside/picture/frame.ts";

const model = "a <model> & co";
const text = "a “b” <c>\n";

const candidate = (id: number, name: string, probability: number) => ({
  ...{ id, text: name, probability },
  logProb: Math.log(probability),
});
const reading = (kind: "embedding" | "mlp", names: readonly string[], rank: number | null) => ({
  stage: kind === "embedding" ? { kind } : { kind, layer: 0 },
  top: names.map((name, n) => candidate(name.charCodeAt(0), name, 0.6 / (n + 1))),
  next: rank === null ? null : { ...candidate(99, "c", 0.3), rank },
});
const position = (at: number, name: string) => ({
  position: at,
  token: { id: at, text: name },
  readings: [reading("embedding", ["x", "y"], 3), reading("mlp", ["y", "x"], at === 0 ? 1 : 2)],
});
const shape = {
  ...{ nLayer: 1, nHead: 2, contextLength: 8, vocabSize: 9, parameters: 100 },
  ...{ isCausal: true, tieEmbeddings: true },
};
const spans = [0, 1, 2].map((from) => ({ from, to: from + 1 }));
const answer = {
  ...{ shape, left: 0, rows: spans, columns: spans },
  tokens: ["a", " <b>", "c"].map((name, id) => ({ id, text: name })),
  maps: [{ layer: 4, head: 2, values: [[1], [0.25, 0.75], [0.6, 0.001, 0.399]] }],
};

const pictures = {
  lens: {
    ...{ kind: "lens", model, text, tokens: 5, vocabSize: 100, nLayer: 1 },
    positions: [position(3, "a"), position(4, "<b>")],
    rows: [
      { stage: 0, name: "Embedding" },
      { stage: 1, name: "Layer 1" },
    ],
    chosen: { column: 1, stage: 1 },
    ranks: [reading("embedding", ["x"], 50), reading("mlp", ["y"], 1)],
    says: ["The model predicts “y” with 60 %."],
  },
  map: { kind: "attention map", model, text, answer, isCausal: true },
  arcs: { kind: "attention arcs", model, text, answer, row: 2 },
  heat: {
    kind: "heat map",
    title: "Patches of <b>",
    model,
    texts: [
      { name: "First text", text },
      { name: "Second text", text: "d" },
    ],
    corner: "Layer",
    rows: ["1", "2"],
    columns: [
      { number: "1", name: "a" },
      { number: "2", name: "<b>", other: "d" },
    ],
    values: [
      [1, -0.5],
      [undefined, 0],
    ],
    framed: { row: 0, column: 0 },
    colors: "patches",
    scale: { labels: ["further away", "second text, 1 %", "first text, 90 %"], ends: [1, 1], none: "not tried" },
    says: ["Layer 1 moves it."],
    notes: ["A note."],
  },
  neighbours: {
    kind: "neighbours",
    ...{ model, token: "<b>", vectors: "the vectors that the model reads" },
    bars: [
      { name: "c", share: 0.5, text: "0.500" },
      { name: "d", share: -0.25, text: "−0.250" },
    ],
  },
} as const satisfies Readonly<Record<string, Picture>>;

/** Tags without their closing tags. Throws if the tags are not nested correctly. */
const tagsOf = (svg: string): readonly string[] => {
  const open: string[] = [];
  const all: string[] = [];
  for (const [, close, name = "", , self] of svg.matchAll(/<(\/?)(\w+)((?:\s[\w:-]+="[^"<]*")*)(\/?)>/gu)) {
    if (close === "/") {
      if (open.pop() !== name) throw new Error(`${name} is not open`);
    } else {
      all.push(name);
      if (self !== "/") open.push(name);
    }
  }
  if (open.length > 0) throw new Error(`open: ${open.join(" ")}`);
  return all;
};

const wordsOf = (svg: string): string => [...svg.matchAll(/<text[^>]*>([^<]*)</gu)].map(([, words]) => words).join(" ");

describe("a saved picture", () => {
  it.each(Object.entries(pictures))("of the %s is a whole file with a title, the model and the text", (_, picture) => {
    const svg = drawPicture(picture);
    expect(svg).toMatch(
      /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" width="\d+" height="\d+" viewBox="0 0 \d+ \d+"/u,
    );
    expect(tagsOf(svg)).toContain("rect");
    // Without tags, nothing may look like a tag.
    expect(svg.replace(/<\/?\w+(?:\s[\w:-]+="[^"<]*")*\/?>/gu, "")).not.toMatch(/[<>]/u);
    expect(svg).not.toMatch(/NaN|undefined|Infinity|var\(|class=/u);
    const words = wordsOf(svg);
    expect(words).toContain("Model: a &lt;model&gt; &amp; co");
    if (picture.kind !== "neighbours") expect(words).toContain("“a “b” &lt;c&gt;↵”");
  });

  it("of the lens has each cell, the ranks, the marks of right predictions, and which tokens its columns are", () => {
    const svg = drawPicture(pictures.lens);
    const words = wordsOf(svg);
    for (const part of [
      "Logit lens",
      "Embedding",
      "Layer 1",
      "4 a",
      "5 &lt;b&gt;",
      "of 100 tokens",
      "tokens 4 to 5 of 5",
    ])
      expect(words).toContain(part);
    expect(words).toContain("The model predicts “y” with 60 %.");
    expect(tagsOf(svg)).toContain("polyline");
    expect(svg.match(/>✓</gu)).toBeNull();
    const right = { ...pictures.lens, positions: [position(0, "a")], chosen: { column: 0, stage: 1 } };
    expect(drawPicture(right).match(/>✓</gu)).toHaveLength(1);
    expect(tagsOf(drawPicture({ ...pictures.lens, ranks: undefined }))).not.toContain("polyline");
  });

  it("of attention names the head, and has each shade once and no cell for later tokens", () => {
    const svg = drawPicture(pictures.map);
    expect(wordsOf(svg)).toContain("Attention of layer 5, head 3");
    const shades = [...svg.matchAll(/fill-opacity="([\d.]+)" d="([^"]+)"/gu)];
    expect(shades.map(([, opacity]) => opacity)).toEqual(["1.00", "0.50", "0.87", "0.77", "0.03", "0.63"]);
    expect(shades.map(([, , path = ""]) => path.split("z").length - 1)).toEqual([1, 1, 1, 1, 1, 1]);
    expect(shades.some(([, , path]) => path?.startsWith("M2 0") || path?.startsWith("M2 1"))).toBe(false);
  });

  it("of arcs says in words where the token looks", () => {
    const words = wordsOf(drawPicture(pictures.arcs)).replaceAll("\u00a0", " ");
    expect(words).toContain("“c” (3) looks at “a” (1) with 60.0 % and at itself with 39.9 %.");
  });

  it("of a heat map has the colours of its values, the other token, and the meaning of each colour", () => {
    const svg = drawPicture(pictures.heat);
    const words = wordsOf(svg);
    for (const part of ["Patches of", "further away", "second text, 1 %", "first text, 90 %", "not tried", "A note."])
      expect(words).toContain(part);
    expect(words).toContain("Second text: “d”");
    expect(svg).toMatch(/text-decoration="line-through"[^>]*>d</u);
    expect(svg).toContain(`fill="${light.shade}" rx="2"`);
    expect(svg).toContain(`fill="${mixed(light.bad, 0.5)}" rx="2"`);
  });

  it("of neighbours says from where to where its bars go, and a negative cosine has an empty bar", () => {
    const svg = drawPicture(pictures.neighbours);
    expect(wordsOf(svg)).toContain("Bars go from 0 to 1.");
    expect(
      [...svg.matchAll(new RegExp(`width="([\\d.]+)" height="10" fill="${light.accent}"`, "gu"))].map(([, w]) => w),
    ).toEqual(["210", "0"]);
  });

  it("has the colours of the light theme", async () => {
    const css = await readFile(join(fileURLToPath(import.meta.url), "../../../web/style/colors.css"), "utf8");
    const root = /:root \{([^}]*)\}/u.exec(css)?.[1] ?? "";
    const colors = Object.fromEntries(
      [...root.matchAll(/--([\w-]+): (#\w+);/gu)].map(([, name = "", value]) => [name, value]),
    );
    const { rise, fall, ...others } = light;
    expect(colors).toMatchObject({ ...others, "loss-rise": rise, "loss-fall": fall });
  });
});

describe("words in a picture", () => {
  it("wrap at spaces, break long words, and end with an ellipsis after the last line", () => {
    expect(wrapped("aa bb cc", widthOf("aa bb", 10), 10)).toEqual(["aa bb", "cc"]);
    expect(wrapped("x".repeat(50), 100, 10).join("")).toBe("x".repeat(50));
    for (const line of wrapped("x".repeat(50), 100, 10)) expect(widthOf(line, 10)).toBeLessThanOrEqual(100);
    const cut = wrapped("word ".repeat(50), 100, 10, 2);
    expect(cut).toHaveLength(2);
    expect(cut[1]).toMatch(/…$/u);
    expect(wrapped("", 100, 10)).toEqual([]);
  });

  it("are cut if they are too wide, also wide characters", () => {
    expect(fitted("abc", 100, 10)).toBe("abc");
    expect(widthOf("日本", 10)).toBe(widthOf("abcd", 10));
    expect(fitted("日本日本", widthOf("abcd", 10), 10)).toBe("日…");
  });
});

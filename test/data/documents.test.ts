import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, test } from "vitest";
import { ForetokenError } from "#foretoken/core/errors/errors.js";
import {
  documentCount,
  documentsBuilder,
  type LocatedDocument,
  shuffled,
  splitDocuments,
} from "#foretoken/data/documents.js";
import { hasDocuments, loadDocuments } from "#foretoken/data/documents.node.js";
import { documentsOfText, lineOfDocument } from "#foretoken/data/documents-json.js";
import { hashInteger } from "../support/hash.ts";

const sources = (text: string) => documentsOfText(text, "chat.jsonl").map(({ source }) => source);
const refused = (text: string): string => {
  try {
    documentsOfText(text, "chat.jsonl");
  } catch (error) {
    if (error instanceof ForetokenError) return error.message;
    throw error;
  }
  return "accepted";
};

const conversation = {
  kind: "chat",
  messages: [
    { role: "user", content: "Hi", counted: false },
    { role: "assistant", content: "Yes", counted: true },
  ],
};

describe("a line of documents", () => {
  test.each([
    ["messages", '{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Yes"}]}'],
    ["ShareGPT", '{"id":7,"conversations":[{"from":"human","value":"Hi"},{"from":"gpt","value":"Yes"}]}'],
    ["pairs", '{"prompt":"Hi","completion":"Yes"}'],
    [
      "a prompt beside messages",
      '{"prompt":"Hi","messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Yes","weight":1}],"tools":[]}',
    ],
    [
      "what is said after the last answer",
      '{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Yes"},{"role":"user","content":"?"}]}',
    ],
  ])("is the same conversation in the spelling of %s", (_, line) => {
    expect(sources(line)).toEqual([conversation]);
  });

  it("may be a text, and may follow blank ones, a byte order mark aside", () => {
    expect(sources('\n  \n{"text":"A b\\nc"}\r\n')).toEqual([{ kind: "text", text: "A b\nc" }]);
  });

  it("may leave an answer out of the loss", () => {
    const line =
      '{"messages":[{"role":"assistant","content":"a","weight":0},{"role":"user","content":"b"},{"role":"assistant","content":"c"}]}';
    expect(sources(line)[0]).toMatchObject({
      messages: [{ content: "a", counted: false }, {}, { counted: true }],
    });
  });

  it("reads back as it is kept", () => {
    const line =
      '{"messages":[{"role":"system","content":"s"},{"role":"user","content":"b"},{"role":"assistant","content":"c","weight":0},{"role":"assistant","content":"d"}]}';
    for (const source of [...sources(line), ...sources('{"text":"\\u2028 x"}')]) {
      expect(sources(lineOfDocument(source))).toEqual([source]);
    }
  });

  test.each([
    ["{", /^chat\.jsonl:2: the line must be JSON in UTF-8; got .*; try one document on each line$/u],
    [
      '{"messages":[{"role":"user","content":"a\\ud800"},{"role":"assistant","content":"b"}]}',
      /^chat\.jsonl:2: messages\[0\]\.content must be well-formed Unicode; got half of a surrogate pair, U\+D800; try /u,
    ],
    ['{"text":"\\udc00"}', /^chat\.jsonl:2: text must be well-formed Unicode; got half of a surrogate pair, U\+DC00/u],
    ["[1]", /^chat\.jsonl:2: each line must be an object; got /u],
    ["{}", /^chat\.jsonl:2: each line must have messages, conversations, prompt and completion, or text; got no keys/u],
    ['{"instruction":"a","output":"b"}', /got the keys instruction, output; try \{"messages"/u],
    ['{"text":""}', /^chat\.jsonl:2: text must not be empty; got ""$/u],
    ['{"text":["a"]}', /^chat\.jsonl:2: text must be a text; got /u],
    ['{"messages":[]}', /^chat\.jsonl:2: messages must be a list of 1 to 10000 messages; got a list of 0$/u],
    [
      '{"messages":[{"role":"robot","content":"a"}]}',
      /messages\[0\]\.role must be system, user or assistant; got "robot"/u,
    ],
    ['{"messages":[{"role":"constructor","content":"a"}]}', /messages\[0\]\.role must be/u],
    ['{"messages":[{"role":"user","content":null}]}', /messages\[0\]\.content must be a text; got null/u],
    ['{"messages":[{"role":"user","content":"a"}]}', /messages must have an answer to learn/u],
    ['{"messages":[{"role":"assistant","content":"a","weight":0}]}', /messages must have an answer to learn/u],
    ['{"messages":[{"role":"assistant","content":"a","weight":2}]}', /weight must be 0 or 1; got 2/u],
    ['{"messages":[{"role":"assistant","content":"a","tool_calls":[{}]}]}', /without tools; got a key "tool_calls"/u],
    ['{"prompt":3,"completion":"b"}', /^chat\.jsonl:2: prompt must be a text; got 3$/u],
    ['{"text":"a","text":"b"}', /every key of an object in the line must be unique; got "text" twice/u],
    [`${"[".repeat(70)}`, /nested at most 64 deep/u],
  ])("%s is refused in one line, with its place", (line, message) => {
    expect(refused(`{"text":"first"}\n${line}\n`)).toMatch(message);
  });

  it("must be there", () => {
    expect(refused("\n\n")).toBe("chat.jsonl: the file must have at least one document, as a line of JSON; got none");
  });

  it("that was damaged is refused in one line, or says something", () => {
    const lines = [
      '{"messages":[{"role":"system","content":"S"},{"role":"user","content":"Hi <|end|>"},{"role":"assistant","content":"Yes"}]}',
      '{"conversations":[{"from":"human","value":"Hi"},{"from":"gpt","value":"Yes"}],"id":"x"}',
      '{"prompt":"Hi","completion":"Yes"}',
      '{"text":"Some text \\u00e9\\n"}',
    ];
    const pieces = [
      '"',
      "\\",
      "{",
      "}",
      "[",
      "]",
      ":",
      ",",
      "null",
      "1e999",
      "\\ud800",
      "\u0000",
      "role",
      "messages",
      "",
    ];
    let accepted = 0;
    for (let i = 0; i < 1000; i++) {
      let line = lines[i % lines.length] ?? "";
      for (let change = 0; change <= hashInteger("changes", i, 3); change++) {
        const at = hashInteger(`place ${change}`, i, line.length);
        const cut = hashInteger(`cut ${change}`, i, 6);
        line = line.slice(0, at) + pieces[hashInteger(`piece ${change}`, i, pieces.length)] + line.slice(at + cut);
      }
      const message = refused(line.replaceAll("\n", ""));
      if (message === "accepted") {
        accepted++;
        for (const source of sources(line)) expect(sources(lineOfDocument(source))).toEqual([source]);
      } else {
        expect(message).toMatch(/^chat\.jsonl(:1)?: .+ must .+/u);
        expect(message).not.toContain("\n");
      }
    }
    expect(accepted).toBeGreaterThan(20);
    expect(accepted).toBeLessThan(980);
  });
});

const located = (count: number): readonly LocatedDocument[] =>
  Array.from({ length: count }, (_, i) => ({ where: `d:${i}`, source: { kind: "text", text: String(i) } }));

describe("documents", () => {
  it("are held out by a draw that depends on their number alone", () => {
    const { train, val } = splitDocuments(located(50), "d", 0.2);
    expect(val).toHaveLength(10);
    expect(new Set([...train, ...val])).toEqual(new Set(located(50)));
    expect(splitDocuments(located(50), "d", 0.2)).toEqual({ train, val });
    // The held-out documents are not only from the end of the file. The documents have the same order as in the file.
    expect(val.map(({ where }) => where)).not.toEqual(
      located(50)
        .slice(40)
        .map(({ where }) => where),
    );
    const numbers = val.map(({ where }) => Number(where.slice(2)));
    expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
    expect(splitDocuments(located(2), "d", 0.9).train).toHaveLength(1);
    expect(() => splitDocuments(located(1), "d")).toThrow("d: there must be at least 2 documents");
    expect(() => splitDocuments(located(3), "d", 1)).toThrow("valFraction: the held-out fraction");
  });

  it("count no token that nothing predicts", () => {
    const builder = documentsBuilder("d");
    builder.add(Int32Array.of(5, 6), true);
    builder.end();
    builder.add(new Int32Array(0), false);
    builder.add(Int32Array.of(7, 8), false);
    builder.add(Int32Array.of(9), true);
    builder.end();
    const documents = builder.build();
    expect(documents).toEqual({
      ids: Int32Array.of(5, 6, 7, 8, 9),
      counted: Uint8Array.of(0, 1, 0, 0, 1),
      starts: Int32Array.of(0, 2, 5),
    });
    expect(documentCount(documents)).toBe(2);
  });

  it("are shuffled without losing one", () => {
    expect([...shuffled(3, () => 0)]).toEqual([1, 2, 0]);
    expect([...shuffled(20, (bound) => hashInteger("shuffle", bound, bound))].sort((a, b) => a - b)).toEqual(
      Array.from({ length: 20 }, (_, i) => i),
    );
  });
});

describe("documents on disk", () => {
  let folder = "";
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "foretoken-test-"));
    for (const name of ["all", "mixed"]) {
      await mkdir(join(folder, name));
      await writeFile(join(folder, name, "a.jsonl"), '{"text":"one"}\n{"text":"two"}\n');
      await writeFile(join(folder, name, "b.jsonl"), '{"prompt":"p","completion":"c"}');
    }
    await writeFile(join(folder, "mixed", "c.txt"), "text");
  });
  afterAll(() => rm(folder, { recursive: true }));

  it("are files that end in .jsonl, or a folder of nothing else", async () => {
    expect(await hasDocuments(join(folder, "all"))).toBe(true);
    expect(await hasDocuments(join(folder, "all", "a.jsonl"))).toBe(true);
    expect(await hasDocuments(join(folder, "mixed"))).toBe(false);
    expect(await hasDocuments(join(folder, "mixed", "c.txt"))).toBe(false);
    expect(await hasDocuments("tiny-shakespeare")).toBe(false);
  });

  it("have a hash that tells other documents and another split", async () => {
    const all = await loadDocuments(join(folder, "all"), {});
    expect([...all.train, ...all.val].map(({ where }) => where).sort()).toEqual([
      join(folder, "all", "a.jsonl:1"),
      join(folder, "all", "a.jsonl:2"),
      join(folder, "all", "b.jsonl:1"),
    ]);
    expect((await loadDocuments(join(folder, "all"), {})).sha256).toBe(all.sha256);
    expect((await loadDocuments(join(folder, "all"), { valFraction: 0.6 })).sha256).not.toBe(all.sha256);
    const one = await loadDocuments(join(folder, "all", "a.jsonl"), { valData: join(folder, "all", "b.jsonl") });
    expect(one.val.map(({ source }) => source.kind)).toEqual(["chat"]);
    expect(one.prompt).toBe("p");
    const wrong = loadDocuments(join(folder, "all", "a.jsonl"), { valData: join(folder, "mixed", "c.txt") });
    await expect(wrong).rejects.toThrow(
      /c\.txt: validation documents must be \.jsonl files, like the training documents; got a text/u,
    );
  });
});

import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DataError } from "#foretoken/core/errors/errors.js";
import { checkTokenCounts } from "#foretoken/data/batches.js";
import { loadCorpus } from "#foretoken/data/corpora.node.js";
import { readText } from "#foretoken/data/text.node.js";
import { trainCharTokenizer } from "#foretoken/tokenizer/char.js";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "foretoken-corpora-"));
});
afterAll(() => rm(folder, { recursive: true }));

const put = async (name: string, contents: string | Uint8Array): Promise<string> => {
  const path = join(folder, name);
  await mkdir(join(path, ".."), { recursive: true });
  await writeFile(path, contents);
  return path;
};

const messageOf = async (work: Promise<unknown>): Promise<string> => {
  const error = await work.then(
    () => undefined,
    (caught: unknown) => caught,
  );
  expect(error).toBeInstanceOf(DataError);
  return (error as DataError).message;
};

describe("a file", () => {
  it("is a corpus: 90% to train on, its first word to begin with", async () => {
    const path = await put("ten.txt", "ab cd😀fgh\n");
    const corpus = await loadCorpus(path);
    expect(corpus).toMatchObject({ name: "ten.txt", source: path, train: "ab cd😀fgh", val: "\n", prompt: "ab" });
    expect(corpus).not.toHaveProperty("notice");
    expect((await loadCorpus(path, { valFraction: 0.5 })).train).toBe("ab cd");
  });

  it("can be validated on another, and has a hash of both", async () => {
    const path = await put("train.txt", "training text");
    const valData = await put("val.txt", "other text");
    const corpus = await loadCorpus(path, { valData });
    expect(corpus).toMatchObject({ train: "training text", val: "other text" });
    expect(corpus.sha256).toMatch(/^[0-9a-f]{64}$/);
    expect((await loadCorpus(path, { valData })).sha256).toBe(corpus.sha256);
    expect((await loadCorpus(path)).sha256).not.toBe(corpus.sha256);
  });

  it("can be validated on a text that has a name", async () => {
    const path = await put("named.txt", "training text");
    const { train, val, prompt } = await loadCorpus(path, { valData: "moby-dick" });
    expect({ train, prompt }).toEqual({ train: "training text", prompt: "training" });
    expect(val).toContain("Call me Ishmael.");
  });

  const bad: [string, Uint8Array, string][] = [
    ["empty.txt", new Uint8Array(0), "the file must hold some text; got an empty file"],
    ["mark.txt", Uint8Array.of(0xef, 0xbb, 0xbf), "the file must hold some text; got an empty file"],
    ["binary.bin", Uint8Array.of(65, 10, 66, 0, 67), "got a binary file: a NUL byte at byte 3 (line 2)"],
    [
      "latin1.txt",
      Buffer.from("one\ntwo\ncaf\xe9 au lait", "latin1"),
      'valid UTF-8; got 0xE9 at byte 11 (line 3), "é" in Latin-1; try to save it as UTF-8: iconv -f latin1 -t utf-8 ',
    ],
    ["cut.txt", Buffer.from("abc é").subarray(0, 5), "valid UTF-8; got 0xC3 at byte 4 (line 1)"],
    [
      "quotes.txt",
      Buffer.from("\x84caf\xe9\x93 it says", "latin1"),
      "got 0x84 at byte 0 (line 1), as in Windows-1252; try to save it as UTF-8: iconv -f cp1252 -t utf-8 ",
    ],
    [
      "damaged.txt",
      Buffer.concat([Buffer.from("caf\u00e9, "), Buffer.of(0xe9), Buffer.from(" and more")]),
      "got 0xE9 at byte 7 (line 1); try a text file saved as UTF-8",
    ],
    [
      "koi8.txt",
      Buffer.from("f0d2c9d7c5d420cdc9d2", "hex"),
      "got 0xF0 at byte 0 (line 1); try a text file saved as UTF-8",
    ],
    [
      "word.docx",
      Buffer.from("PK\x03\x04\x14\0\x08\0", "latin1"),
      "must be text; got a zip file, such as Word's .docx; try to save it as plain text (UTF-8)",
    ],
    [
      "old.doc",
      Buffer.from("d0cf11e0a1b11ae10000", "hex"),
      "must be text; got a file of an old Office program, such as Word's .doc; try to save it as plain text",
    ],
    [
      "book.pdf",
      Buffer.from("%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", "latin1"),
      "must be text; got a PDF file; try to save it as plain text",
    ],
    ["image.png", Buffer.from("\x89PNG\r\n\x1a\n\0\0", "latin1"), "must be text; got an image (PNG); try a text file"],
    ["image.jpg", Buffer.from("ffd8ffe000104a464946", "hex"), "must be text; got an image (JPEG); try a text file"],
    [
      "utf16.txt",
      Buffer.from("\ufeffhi", "utf16le"),
      "got 0xFF at byte 0 (line 1); try saving it as UTF-8: it looks like UTF-16",
    ],
  ];
  it.each(bad)("%s is refused, saying where", async (name, contents, expected) => {
    const path = await put(name, contents);
    const message = await messageOf(loadCorpus(path));
    expect(message).toContain(expected);
    expect(message.startsWith(`${path}: `)).toBe(true);
    expect(message).not.toContain("\n");
    expect(await messageOf(loadCorpus(await put("good.txt", "good"), { valData: path }))).toBe(message);
  });

  it("that begins like a PDF file is read if all of it is text", async () => {
    const about = await put("about.txt", "%PDF is how a PDF file begins, and PK how a zip file does");
    expect((await readText(about)).text).toMatch(/^%PDF is/);
  });

  it("that is missing or no file is refused by name", async () => {
    const missing = join(folder, "missing.txt");
    expect(await messageOf(loadCorpus(missing))).toContain(`${missing}: the file must exist; got nothing there; try`);
    const below = join(await put("plain.txt", "x"), "below.txt");
    expect(await messageOf(loadCorpus(below))).toContain(`${below}: the file must exist`);
    await symlink("loop", join(folder, "loop"));
    expect(await messageOf(loadCorpus(join(folder, "loop")))).toContain("must be readable; got a system error (ELOOP)");
    expect(await messageOf(loadCorpus(""))).toContain("a name or a path must be given");
  });

  it("shorter than the context is refused with its length", async () => {
    const { train, val } = await loadCorpus(await put("short.txt", "To be, or not to be."));
    const tokenizer = trainCharTokenizer(train, val);
    const counts = { train: tokenizer.encode(train).length, val: tokenizer.encode(val).length };
    expect(() => checkTokenCounts(counts, 128)).toThrow(
      /129 tokens, .*got 18, and 2 held out; try more text, model\.contextLength 17/,
    );
    expect(() => checkTokenCounts(counts, 17)).not.toThrow();
  });

  it("with a character that the tokenizer has never seen is refused, saying which and where", async () => {
    const tokenizer = trainCharTokenizer("abc \n");
    const path = await put("unknown.txt", "abc\nab😀c");
    const { text } = await readText(path);
    expect(() => tokenizer.encode(text, path)).toThrow(`${path}: `);
    expect(() => tokenizer.encode(text, path)).toThrow('got "😀" (U+1F600) at line 2, column 3 (character 7)');
  });
});

describe("a folder", () => {
  it("is its text files, sorted by path, a blank line between, without hidden and binary ones", async () => {
    await put("tree/b.txt", "b");
    await put("tree/a/2.md", "a2\n");
    await put("tree/a/10.md", "a10\n\n");
    await put("tree/c.txt", "c\n");
    await put("tree/empty.txt", "");
    await put("tree/image.png", Uint8Array.of(1, 0, 2));
    await put("tree/.hidden", "hidden");
    await put("tree/.git/config", "hidden");
    await symlink("..", join(folder, "tree/a/up"));
    const tree = join(folder, "tree");
    expect(await readText(tree)).toEqual({
      text: "a10\n\na2\n\nb\n\nc\n",
      parts: [
        { where: join(tree, "a/10.md"), start: 0 },
        { where: join(tree, "a/2.md"), start: 5 },
        { where: join(tree, "b.txt"), start: 9 },
        { where: join(tree, "c.txt"), start: 12 },
      ],
      notice: `${tree}: skipped 1 binary file, image.png`,
    });
    expect((await loadCorpus(tree)).name).toBe("tree");
  });

  it("without text is refused", async () => {
    await put("none/.hidden", "hidden");
    await put("none/empty.txt", "");
    expect(await messageOf(readText(join(folder, "none")))).toContain(
      "none: the folder must hold at least one text file; got none",
    );
    await put("images/a.png", Uint8Array.of(0));
    expect(await messageOf(readText(join(folder, "images")))).toContain("got only binary files, such as a.png");
  });

  it("with a file that is not UTF-8 is refused by that file's name", async () => {
    const path = await put("mixed/deep/bad.txt", Uint8Array.of(65, 0xff));
    await put("mixed/good.txt", "good");
    expect(await messageOf(readText(join(folder, "mixed")))).toContain(
      `${path}: the file must be valid UTF-8; got 0xFF at byte 1`,
    );
  });
});

describe("known names", () => {
  const offline = (): Promise<Response> =>
    Promise.reject(new TypeError("fetch failed", { cause: new Error("no route") }));
  const nowhere = async (name: string): Promise<Record<string, string>> => ({
    XDG_CACHE_HOME: join(folder, name),
    FORETOKEN_CORPORA: join(folder, "no-such-folder"),
  });

  it("moby-dick is the whole book, from the package", async () => {
    const corpus = await loadCorpus("moby-dick");
    expect(trainCharTokenizer(corpus.train, corpus.val).vocabSize).toBe(89);
    expect(corpus.train).toContain(`\nCHAPTER 1. Loomings.\n\n${corpus.prompt} Some years ago`);
    expect(corpus.val.endsWith("only found another orphan.\n")).toBe(true);
  });

  it("default is moby-dick where tiny-shakespeare cannot be had, and says so in one line", async () => {
    const surroundings = { env: await nowhere("cache-a"), fetch: offline };
    const corpus = await loadCorpus("default", { surroundings });
    expect(corpus.name).toBe("moby-dick");
    expect(corpus.notice).toBe("tiny-shakespeare could not be fetched (no route); using moby-dick instead");
  });

  it("tiny-shakespeare by name, without a network, is refused with the ways out", async () => {
    const surroundings = { env: await nowhere("cache-b"), fetch: offline };
    const message = await messageOf(loadCorpus("tiny-shakespeare", { surroundings }));
    expect(message).toMatch(/^tiny-shakespeare: .*; got no route; try a network, .*FORETOKEN_CORPORA.*--data/);
  });

  it.each([
    [
      "an error page",
      (): Promise<Response> => Promise.resolve(new Response("no", { status: 404 })),
      /got HTTP status 404/,
    ],
    [
      "another text",
      (): Promise<Response> => Promise.resolve(new Response("forged")),
      /got a text that is not Tiny Shakespeare/,
    ],
  ])("tiny-shakespeare answered with %s is refused and not kept", async (_, fetch, expected) => {
    const env = await nowhere("cache-c");
    expect(await messageOf(loadCorpus("tiny-shakespeare", { surroundings: { env, fetch } }))).toMatch(expected);
    expect(existsSync(join(folder, "cache-c"))).toBe(false);
  });

  it("another text in FORETOKEN_CORPORA under that name is refused, by default too", async () => {
    const path = await put("forged/tiny-shakespeare.txt", "To be or not");
    const surroundings = { env: { FORETOKEN_CORPORA: join(folder, "forged") }, fetch: offline };
    expect(await messageOf(loadCorpus("default", { surroundings }))).toContain(
      `${path}: the file in FORETOKEN_CORPORA must be`,
    );
  });

  const corpora = process.env.FORETOKEN_CORPORA ?? "";
  const original = join(corpora, "tiny-shakespeare.txt");
  describe.skipIf(corpora === "" || !existsSync(original))("with tiny-shakespeare in FORETOKEN_CORPORA", () => {
    it("has the known size, alphabet and split", async () => {
      const corpus = await loadCorpus("default", {
        surroundings: { env: { FORETOKEN_CORPORA: corpora }, fetch: offline },
      });
      expect(corpus).toMatchObject({ name: "tiny-shakespeare", source: original, prompt: "ROMEO:" });
      const tokenizer = trainCharTokenizer(corpus.train, corpus.val);
      expect(tokenizer.vocabSize).toBe(65);
      expect([corpus.train.length, tokenizer.encode(corpus.val).length]).toEqual([1_003_854, 111_540]);
    });

    it("keeps what it fetched, whole, and fetches a damaged copy again", async () => {
      const bytes = await readFile(original);
      let fetches = 0;
      const fetch = (): Promise<Response> => {
        fetches++;
        return Promise.resolve(new Response(bytes));
      };
      const env = await nowhere("cache-d");
      const kept = join(folder, "cache-d", "foretoken");
      const load = (): Promise<unknown> => loadCorpus("tiny-shakespeare", { surroundings: { env, fetch } });
      await load();
      await load();
      expect(fetches).toBe(1);
      expect(await readdir(kept)).toEqual(["tiny-shakespeare.txt"]);
      await writeFile(join(kept, "tiny-shakespeare.txt"), bytes.subarray(0, 1000));
      await load();
      expect(fetches).toBe(2);
      expect((await readFile(join(kept, "tiny-shakespeare.txt"))).equals(bytes)).toBe(true);
    });
  });
});

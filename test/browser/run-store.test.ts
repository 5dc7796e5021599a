/**
 * Files that a page stores in the browser's private file system. The files are always complete, even if the tab ends at
 * any time.
 */
import { readFile } from "node:fs/promises";
import { beforeAll, describe, expect, it, vi } from "vitest";
import {
  type BrowserRunStore,
  CheckpointError,
  ConfigError,
  openRunStore,
  type RunFiles,
  train,
} from "#foretoken/browser.js";
import { type FileStore, openFileStore } from "#foretoken/io/file-store.browser.js";
import { comparable } from "../support/handed-files.ts";
import { stubPrivateFiles } from "../support/private-files.ts";
import { tinyRun, wordsText } from "../support/runs.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const old = { "a/one": bytes("first"), "a/two": bytes("stays") };
const next = { "a/one": bytes("second"), "a/two": bytes("stays"), three: bytes("more") };

const asTexts = async (store: FileStore): Promise<unknown> => {
  const files = await store.read();
  return files && Object.fromEntries(Object.entries(files).map(([name, one]) => [name, new TextDecoder().decode(one)]));
};
const texts = (files: Readonly<Record<string, Uint8Array>>) =>
  Object.fromEntries(Object.entries(files).map(([name, one]) => [name, new TextDecoder().decode(one)]));

const messageOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "no error",
    (error: unknown) => (error as Error).message,
  );

describe("a store of files", () => {
  it("has the old files or the new ones after the end of its tab at any change", async () => {
    const seen = new Set<string>();
    for (let count = 1; count < 20; count++) {
      const browser = stubPrivateFiles();
      const first = await openFileStore("store");
      await first.write(old);
      browser.endTabBefore(count);
      // If old files cannot be removed, this does no harm, so nothing fails.
      const failed = await messageOf(first.write(next));
      browser.newTab();
      const again = await openFileStore("store");
      const found = JSON.stringify(await asTexts(again));
      expect([JSON.stringify(texts(old)), JSON.stringify(texts(next))], `change ${count}`).toContain(found);
      if (failed === "no error") expect(found).toBe(JSON.stringify(texts(next)));
      seen.add(found);
      // A later write removes the files that are not in the index.
      await again.write(next);
      expect(browser.names()).toHaveLength(4);
    }
    expect(seen.size).toBe(2);
  });

  it("keeps what it had where the browser has no room, and says so in a line", async () => {
    const browser = stubPrivateFiles();
    const store = await openFileStore("store");
    await store.write(old);
    const names = browser.names();
    browser.setRoom(500);
    expect(await messageOf(store.write({ ...next, large: new Uint8Array(400) }))).toBe(
      'store "store": the browser must have space for the new files in addition to the old files; the old files are unchanged; got a full storage quota for this page; try a smaller model, or removing other data of this site',
    );
    expect(await asTexts(store)).toEqual(texts(old));
    expect([...browser.names()].sort()).toEqual([...names].sort());
  });

  it("writes files with the bytes of before once, and finds damaged ones", async () => {
    const browser = stubPrivateFiles();
    const store = await openFileStore("store");
    await store.write({ one: bytes("same") });
    const before = browser.changes();
    await store.write({ one: bytes("same"), two: bytes("same") });
    // The write changes only the index.
    expect(browser.changes()).toBe(before + 1);
    const [name = ""] = browser.names().filter((one) => one !== "index.json");
    browser.damage(name);
    expect(await messageOf(store.read())).toMatch(/^store "store": one: the file must match its SHA-256 in the index/u);
    await store.clear();
    expect(await store.read()).toBe(null);
    expect(browser.names()).toEqual(["index.json"]);
  });

  it("sets a damaged list of its files aside, and loses none of them", async () => {
    const browser = stubPrivateFiles();
    const store = await openFileStore("store");
    await store.write(old);
    const kept = browser.names().filter((name) => name !== "index.json");
    browser.damage("index.json");
    expect(await messageOf(store.read())).toMatch(
      /^store "store": index\.json: the index of the stored files must not be damaged; got \d+ damaged bytes; try a new run/u,
    );
    await store.write(next);
    expect(await asTexts(store)).toEqual(texts(next));
    expect(browser.names()).toEqual(expect.arrayContaining([...kept, "index-set-aside.json"]));
    // Later files replace these files as usual.
    const all = browser.names().length;
    await store.write({ ...next, three: bytes("other") });
    expect(browser.names()).toHaveLength(all);
    expect(browser.names()).toEqual(expect.arrayContaining([...kept, "index-set-aside.json"]));
    await store.clear();
    expect(browser.names()).toEqual(["index.json"]);
  });

  it("keeps files of any name", async () => {
    const browser = stubPrivateFiles();
    const store = await openFileStore("store");
    const names = ["__proto__", "constructor", "index.json", "../a", ""];
    const files = Object.fromEntries(names.map((name) => [name, bytes(`of ${name}`)]));
    await store.write(files);
    browser.newTab();
    expect(Object.entries((await (await openFileStore("store")).read()) ?? {})).toEqual(Object.entries(files));
  });

  it("writes again what the browser has lost", async () => {
    const browser = stubPrivateFiles();
    const store = await openFileStore("store");
    await store.write({ one: bytes("same") });
    const [name = ""] = browser.names().filter((one) => one !== "index.json");
    browser.lose(name);
    expect(await messageOf(store.read())).toContain("got no file");
    await store.write({ one: bytes("same") });
    expect(await asTexts(store)).toEqual({ one: "same" });
  });

  it("is another tab's once it is closed", async () => {
    stubPrivateFiles();
    const store = await openFileStore("store");
    await store.close();
    const other = await openFileStore("store");
    await other.write({ one: bytes("of the other") });
    const line = 'store "store": the store must be open; got a closed store; try opening it again';
    for (const work of [store.write({}), store.read(), store.clear()]) expect(await messageOf(work)).toBe(line);
    await store.close();
    expect(await asTexts(other)).toEqual({ one: "of the other" });
  });

  it.each([".", "..", "", "\ud800", "a".repeat(101)])("has no name such as %j", async (name) => {
    stubPrivateFiles();
    expect(await messageOf(openFileStore(name))).toMatch(/^store: name: must be a string of 1 to 100 characters/u);
  });

  it("takes files alone", async () => {
    stubPrivateFiles();
    const store = await openFileStore("store");
    for (const files of [null, { one: "text" }])
      expect(await messageOf(store.write(files as never))).toMatch(
        /^store "store": files: must be an object with files as Uint8Arrays/u,
      );
  });

  it("is refused by a browser that cannot write from a page", async () => {
    stubPrivateFiles();
    vi.stubGlobal("FileSystemFileHandle", class {});
    expect(await messageOf(openFileStore("store"))).toMatch(
      /^store "store": the browser must be able to write .*createWritable/u,
    );
  });

  it("belongs to one tab at a time, by its name", async () => {
    stubPrivateFiles();
    const store = await openFileStore("store");
    await (await openFileStore("other")).close();
    const line =
      'store "store": only one tab at a time may use the store; got another tab that uses it; try closing that tab';
    expect(await messageOf(openFileStore("store"))).toBe(line);
    await store.close();
    await openFileStore("store");
  });
});

describe("a run that a page keeps", () => {
  const text = wordsText("kept", 200);
  const plan = { text, backend: "reference", preset: "book", config: tinyRun, finalSampleTokens: 0 } as const;
  const follow = async (store: BrowserRunStore | null, options: Parameters<typeof train>[0]): Promise<RunFiles> => {
    let kept: Partial<RunFiles> = { text };
    for await (const event of train({
      ...options,
      async onCheckpoint(files, which) {
        kept = { ...kept, [which]: files };
        if (which === "last") await store?.write(kept as RunFiles);
      },
    })) {
      // The tab is closed.
      if (store !== null && event.type === "step" && event.step === 7) break;
    }
    return kept as RunFiles;
  };
  let whole: RunFiles;
  beforeAll(async () => {
    whole = await follow(null, plan);
  });

  it("goes on after a reload with the bits of one that was not interrupted", async () => {
    const browser = stubPrivateFiles();
    const store = await openRunStore("notes of mine");
    expect(await store.read()).toBe(null);
    await follow(store, plan);
    browser.newTab();
    const kept = await (await openRunStore("notes of mine")).read();
    expect(kept).toMatchObject({ text });
    const { last } = await follow(null, { text: kept?.text, backend: "reference", resume: kept?.last });
    expect(comparable(last)).toEqual(comparable(whole.last));
  });

  it("goes on as docs/browser.md says", async () => {
    const docs = await readFile(new URL("../../docs/browser.md", import.meta.url), "utf8");
    const [, block = ""] =
      /```js\nimport \{ ConfigError, openRunStore, train \} from "foretoken\/browser";\n([\s\S]*?)```/u.exec(docs) ??
      [];
    expect(block).toContain("{ train: { steps: 200 } }");
    const browser = stubPrivateFiles();
    const started: unknown[] = [];
    const visit = async (stopAt?: number): Promise<string> => {
      const document = { title: "" };
      const smaller = async function* ({ config, ...options }: Parameters<typeof train>[0]) {
        const own = options.resume === undefined ? { config: tinyRun, preset: "book", finalSampleTokens: 0 } : {};
        for await (const event of train({ ...options, ...own, stopAt, backend: "reference" } as never)) {
          if (event.type === "start") started.push(event.step);
          yield event;
        }
      };
      const run = Object.getPrototypeOf(visit).constructor(
        ...["ConfigError", "openRunStore", "train", "fetch", "document", block],
      );
      await run(ConfigError, openRunStore, smaller, async () => new Response(text), document);
      // The store is closed, so the same tab can open it again.
      await (await openRunStore("notes")).close();
      browser.newTab();
      return document.title;
    };
    expect(await visit(6)).toBe("step 6");
    expect(await visit(9)).toBe("step 9");
    expect(await visit()).toBe("step 12");
    expect(started).toEqual([0, 6, 9]);
    // The run has ended, and each later visit reports this.
    const ended = /^train: resume: the run must have steps left; got all 12 done; try steps \d+ to train longer$/u;
    expect(await visit()).toMatch(ended);
    expect(await visit()).toMatch(ended);
  });

  it("is none among other files, and those stay", async () => {
    stubPrivateFiles();
    const files = await openFileStore("files");
    await files.write(old);
    await files.close();
    const store = await openRunStore("files");
    const error = await store.read().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(CheckpointError);
    expect((error as Error).message).toBe(
      'store "files": the files must belong to one run; got no run.json; try another name, or openFileStore for other files',
    );
    await store.close();
    expect(await asTexts(await openFileStore("files"))).toEqual(texts(old));
  });

  it("is refused without a name, and where there is no private file system", async () => {
    expect(await messageOf(openRunStore(""))).toMatch(/^store: name: must be a string of 1 to 100 characters/u);
    expect(await messageOf(openRunStore("a"))).toMatch(/^store "a": the browser must have a private file system/u);
  });
});

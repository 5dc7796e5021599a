import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DataError } from "#foretoken/core/errors/errors.js";
import { loadCorpus } from "#foretoken/data/corpora.node.js";
import { readText } from "#foretoken/data/text.node.js";

const aRun = fileURLToPath(new URL("../fixtures/run-a9ede5f/run", import.meta.url));
const onWindows = process.platform === "win32";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "foretoken-folder-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const put = (name: string, contents = ""): void => {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, contents);
};
const inside = (name: string): string => join(folder, name);

const messageOf = async (work: Promise<unknown>): Promise<string> => {
  const error = await work.then(
    () => undefined,
    (caught: unknown) => caught,
  );
  expect(error).toBeInstanceOf(DataError);
  expect((error as DataError).message).toMatch(/^[^\n]+$/u);
  return (error as DataError).message;
};

describe("runs and checkpoints in a folder of texts", () => {
  it("are left out wherever they lie, with one notice of all that was", async () => {
    put("notes/a.txt", "a");
    put("notes/deep/er/b.txt", "b");
    put("notes/image.png", "\0");
    cpSync(aRun, inside("notes/runs/one"), { recursive: true });
    cpSync(aRun, inside("notes/deep/er/two"), { recursive: true });
    cpSync(join(aRun, "best"), inside("notes/models/mine"), { recursive: true });
    expect(await readText(inside("notes"))).toMatchObject({
      text: "a\n\nb",
      notice: `${inside("notes")}: skipped 1 binary file, image.png; 2 runs, such as deep/er/two; 1 checkpoint, models/mine`,
    });
  });

  const description = '{"formatVersion":1,"config":{},"data":{}}';
  it.each<[string, Record<string, string>, "run" | "checkpoint" | null]>([
    ["a description of ours alone", { "run.json": description }, "run"],
    ["a damaged description beside metrics", { "run.json": "{", "metrics.jsonl": "{}" }, "run"],
    ["an empty description beside a checkpoint", { "run.json": "", "checkpoint/a.txt": "a" }, "run"],
    ["weights beside a manifest", { "model.safetensors": "w", "manifest.json": "{}" }, "checkpoint"],
    ["weights beside our section", { "model.safetensors": "w", "config.json": '{"foretoken":{}}' }, "checkpoint"],
    ["another program's run.json", { "run.json": '{"script":"a"}' }, null],
    ["a list for a description", { "run.json": `[${description}]` }, null],
    ["a deep description", { "run.json": "[".repeat(100_000) }, null],
    [
      "a description larger than any",
      { "run.json": `{"formatVersion":1,"config":{},"data":{}}${" ".repeat(2 ** 20)}` },
      null,
    ],
    ["metrics alone", { "metrics.jsonl": "{}" }, null],
    ["another program's model", { "model.safetensors": "w", "config.json": '{"model_type":"gpt2"}' }, null],
    ["a manifest alone", { "manifest.json": "{}" }, null],
  ])("are known by their files: %s", async (name, files, kind) => {
    const at = name.replaceAll(/\W/gu, "-");
    put(`${at}/text.txt`, "text");
    for (const [file, contents] of Object.entries(files)) put(`${at}/sub/${file}`, contents);
    const { text, notice } = await readText(inside(at));
    expect(notice).toBe(kind === null ? undefined : `${inside(at)}: skipped 1 ${kind}, sub`);
    expect(text === "text").toBe(kind !== null);
    if (kind === null) return;
    expect(await messageOf(readText(inside(`${at}/sub`)))).toContain(
      `sub: the folder must hold texts; got a ${kind} of foretoken; try the text on which the model in this folder was trained`,
    );
  });

  it("are left out, and so are installed packages", async () => {
    put("site/a.txt", "a");
    put("site/node_modules/left/README.md", "b");
    put("site/docs/node_modules/right/README.md", "c");
    put("site/docs/node_modules.txt", "d");
    put("site/.cache/e.txt", "e");
    expect(await readText(inside("site"))).toMatchObject({
      text: "a\n\nd",
      notice: `${inside("site")}: skipped 2 folders of installed packages, such as docs/node_modules`,
    });
    expect((await readText(inside("site/node_modules/left"))).text).toBe("b");
  });

  it("give one hash before there is a run in the folder and after", async () => {
    put("hashed/a.txt", "some text of two words\n");
    const before = await loadCorpus(inside("hashed"));
    cpSync(aRun, inside("hashed/runs/x"), { recursive: true });
    const after = await loadCorpus(inside("hashed"));
    expect(after.sha256).toBe(before.sha256);
    expect(after.notice).toMatch(/skipped 1 run, runs\/x$/u);
  });

  it("are told of where there is nothing else", async () => {
    cpSync(aRun, inside("only/x"), { recursive: true });
    expect(await messageOf(readText(inside("only")))).toContain(
      "got only files that foretoken wrote, such as the run x",
    );
  });
});

describe.skipIf(onWindows)("a folder with more than files in it", () => {
  it("is read without its pipes, sockets, devices and links that lead nowhere", async () => {
    put("odd/a.txt", "a");
    put("odd/.hidden", "hidden");
    execFileSync("mkfifo", [inside("odd/b-pipe")]);
    symlinkSync("nowhere", inside("odd/c-dangling"));
    symlinkSync("d-loop", inside("odd/d-loop"));
    symlinkSync("/dev/zero", inside("odd/e-device"));
    symlinkSync("b-pipe", inside("odd/f-pipe"));
    symlinkSync("a.txt", inside("odd/z.txt"));
    const server = createServer().listen(inside("odd/g-socket"));
    await new Promise((resolve) => server.once("listening", resolve));
    try {
      expect(await readText(inside("odd"))).toMatchObject({
        text: "a\n\na",
        notice: `${inside("odd")}: skipped 6 paths without a file, such as b-pipe`,
      });
    } finally {
      server.close();
    }
  });

  it.each([
    [
      "a pipe",
      () => {
        execFileSync("mkfifo", [inside("pipe")]);
        return inside("pipe");
      },
    ],
    ["a device", () => "/dev/zero"],
  ])("%s for a text is refused without being read", async (_, path) => {
    expect(await messageOf(readText(path()))).toMatch(/: the path must be a file or a folder; got something else/u);
  });

  it("is refused where it is too deep", async () => {
    put("chain/a.txt", "a");
    let path = inside("chain");
    for (let depth = 0; depth <= 101; depth++) path = join(path, "d");
    mkdirSync(path, { recursive: true });
    expect(await messageOf(readText(inside("chain")))).toMatch(/at most 100 folders deep; got more; try/u);
  });

  it("is refused where it has too many entries", async () => {
    mkdirSync(inside("crowd"));
    execFileSync("bash", ["-c", "seq 100001 | xargs touch --"], { cwd: inside("crowd") });
    expect(await messageOf(readText(inside("crowd")))).toMatch(/at most 100000 files and folders; got more; try/u);
  });
});

describe.skipIf(!existsSync("/dev/zero"))("tiny-shakespeare in FORETOKEN_CORPORA", () => {
  const fetch = (): Promise<Response> => Promise.reject(new Error("no route"));

  it.each([
    ["a device", (path: string) => symlinkSync("/dev/zero", path), /got something else; try/u],
    ["a pipe", (path: string) => void execFileSync("mkfifo", [path]), /got something else; try/u],
    ["a folder", (path: string) => mkdirSync(path), /got a folder; try/u],
    ["far more than the text", (path: string) => writeFileSync(path, "a".repeat(3_000_000)), /got 3000000 bytes; try/u],
  ])("is refused as %s", async (name, make, expected) => {
    const corpora = inside(`corpora-${name.replaceAll(" ", "-")}`);
    mkdirSync(corpora);
    make(join(corpora, "tiny-shakespeare.txt"));
    const load = loadCorpus("tiny-shakespeare", { surroundings: { env: { FORETOKEN_CORPORA: corpora }, fetch } });
    expect(await messageOf(load)).toMatch(expected);
  });

  it("is not fetched to the end where it does not end", async () => {
    let pieces = 0;
    const endless = (): Promise<Response> =>
      Promise.resolve(
        new Response(
          new ReadableStream({
            pull(controller) {
              pieces++;
              controller.enqueue(new Uint8Array(2 ** 16));
            },
          }),
        ),
      );
    const env = { XDG_CACHE_HOME: inside("no-cache") };
    const load = loadCorpus("tiny-shakespeare", { surroundings: { env, fetch: endless } });
    expect(await messageOf(load)).toMatch(/got a text that is not Tiny Shakespeare/u);
    expect(pieces).toBeLessThan(100);
  });
});

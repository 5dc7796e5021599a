import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { DoctorReport } from "#foretoken/doctor/examine.node.js";
import { checked as checksOf } from "../doctor/checked.ts";
import { writeGguf } from "../support/gguf.ts";
import { ggufModel } from "../support/gguf-models.ts";
import { foreignModel } from "../support/hugging-face.ts";
import { cli, jsonLines, tinyWith, workplace } from "./cli.ts";

// The time limit is far longer than any test takes, because a machine may be slow or busy.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let cwd: string;
let remove: () => Promise<void>;
beforeAll(async () => {
  ({ cwd, remove } = await workplace());
  const { status } = await cli(["train", ...tinyWith("--keep-last", "2"), "--out", "run"], { cwd });
  expect(status).toBe(0);
});
afterAll(() => remove());

/** Results of the checks of a run's or a model's files. For each name of a check: status, facts and advice. */
const checked = (path: string) => checksOf(join(cwd, path));

/** Changes a file temporarily. */
const withChanged = async (file: string, change: (bytes: Buffer) => Uint8Array | null, use: () => Promise<void>) => {
  const path = join(cwd, file);
  const before = await readFile(path);
  const changed = change(Buffer.from(before));
  if (changed === null) await rm(path);
  else await writeFile(path, changed);
  try {
    await use();
  } finally {
    await writeFile(path, before);
  }
};

describe("files of a run", () => {
  const right = {
    status: "ok",
    fact: expect.stringMatching(/^\d files, .*, unchanged since they were saved \(SHA-256\)$/u),
    advice: null,
  };

  test("are as they were saved", async () => {
    expect(await checked("run")).toEqual({
      run: { status: "ok", fact: "run.json: 6 steps, 1 layer", advice: null },
      "files: best": right,
      "files: checkpoint": right,
      "files: checkpoint-3": right,
    });
    expect(await checked("run/best")).toEqual({ files: right });
  });

  test("with a damaged weights file", async () => {
    const flip = (bytes: Buffer): Buffer => {
      bytes[bytes.length - 9] = (bytes[bytes.length - 9] ?? 0) ^ 1;
      return bytes;
    };
    await withChanged("run/best/model.safetensors", flip, async () => {
      expect((await checked("run"))["files: best"]).toEqual({
        status: "failed",
        fact: expect.stringMatching(
          /best\/model\.safetensors: the file must match its SHA-256 .* got other contents$/u,
        ),
        advice: "a complete copy of the folder",
      });
    });
  });

  test("with a file that is gone, one that is cut, and a manifest that lists one no more", async () => {
    const weights = "run/checkpoint/optimizer.safetensors";
    await withChanged(
      weights,
      () => null,
      async () => {
        expect((await checked("run"))["files: checkpoint"]).toMatchObject({
          status: "failed",
          fact: expect.stringMatching(/must have optimizer\.safetensors; got no such file$/u),
        });
      },
    );
    await withChanged(
      weights,
      (bytes) => bytes.subarray(0, 100),
      async () => {
        expect((await checked("run"))["files: checkpoint"]).toMatchObject({
          status: "failed",
          fact: expect.stringMatching(/got 100 bytes$/u),
        });
      },
    );
    const forget = (bytes: Buffer): Buffer => {
      const manifest = JSON.parse(bytes.toString());
      delete manifest.files["model.safetensors"];
      return Buffer.from(JSON.stringify(manifest));
    };
    await withChanged("run/best/manifest.json", forget, async () => {
      expect((await checked("run"))["files: best"]).toEqual({
        status: "failed",
        fact: expect.stringMatching(
          /best\/model\.safetensors: manifest\.json does not list it, so damage to this file would not be noticed$/u,
        ),
        advice: expect.stringMatching(/backup/u),
      });
    });
    await withChanged(
      "run/best/manifest.json",
      (bytes) => bytes.subarray(0, 90),
      async () => {
        expect((await checked("run"))["files: best"]).toMatchObject({
          status: "failed",
          fact: expect.stringMatching(/must list the checkpoint's files with their SHA-256; got a damaged file$/u),
        });
      },
    );
  });
});

test("files without checksums are skipped, once their headers are right", async () => {
  const { directory } = foreignModel("qwen3");
  expect(await checksOf(directory)).toEqual({
    files: { status: "skipped", fact: expect.stringMatching(/^there is no manifest\.json, so /u), advice: null },
  });
  await writeFile(join(cwd, "small.gguf"), writeGguf(ggufModel("llama").file));
  expect((await checked("small.gguf")).files).toMatchObject({ status: "skipped" });
  await withChanged(
    "small.gguf",
    (bytes) => bytes.subarray(0, 200),
    async () => {
      expect((await checked("small.gguf")).files).toMatchObject({
        status: "failed",
        advice: "get a complete copy of the file",
      });
    },
  );
});

test("a folder without a model fails, and the folders of a run that has lost run.json are checked", async () => {
  const none = (folder: string, advice: unknown) => ({
    files: { status: "failed", fact: `${join(cwd, folder)}: contains no model`, advice },
  });
  await mkdir(join(cwd, "empty"));
  expect(await checked("empty")).toEqual(none("empty", expect.stringMatching(/^a run's folder or one of its check/u)));
  await mkdir(join(cwd, "shelf"));
  await writeFile(join(cwd, "shelf/small.gguf"), writeGguf(ggufModel("llama").file));
  expect(await checked("shelf")).toEqual(none("shelf", `name ${join(cwd, "shelf/small.gguf")}`));
  await withChanged(
    "run/run.json",
    () => null,
    async () => {
      const [best, last] = [join(cwd, "run/best"), join(cwd, "run/checkpoint")];
      expect(await checked("run")).toEqual({
        run: {
          status: "failed",
          fact: `${join(cwd, "run")}: contains no model; its folders belong to a run without run.json`,
          advice: `restore run.json from a backup, or name a folder with weights: ${best} or ${last}`,
        },
        "files: best": expect.objectContaining({ status: "ok" }),
        "files: checkpoint": expect.objectContaining({ status: "ok" }),
        "files: checkpoint-3": expect.objectContaining({ status: "ok" }),
      });
    },
  );
});

describe("foretoken doctor", () => {
  test("tells people what it finds, a line for each check, until it is interrupted", async () => {
    const shown = await cli(["doctor", "run", "--backend", "wasm", "--threads", "1"], {
      cwd,
      onOutput: (stdout, kill) => {
        if (/^files: best .*\n$/mu.test(stdout)) kill("SIGINT");
      },
    });
    expect(shown).toMatchObject({ status: 130, stderr: "" });
    const lines = shown.stdout.trimEnd().split("\n");
    expect(lines.map((line) => line.slice(0, 28).trim().replace(/ +/gu, " "))).toEqual(
      expect.arrayContaining([expect.stringMatching(/^node ok/u), "runs folder ok", "run ok", "files: best ok"]),
    );
    expect(shown.stdout).not.toContain("wasm: ");
  });

  test("ends with status 1 where a check fails, in JSON too", async () => {
    await withChanged(
      "run/best/model.safetensors",
      (bytes) => bytes.fill(1, 400, 500),
      async () => {
        const args = ["doctor", "run", "--runs", "text.txt/runs", "--backend", "wasm", "--threads", "1", "--json"];
        const { status, stdout, stderr } = await cli(args, { cwd });
        expect({ status, stderr }).toEqual({ status: 1, stderr: "" });
        const [report, ...more] = jsonLines(stdout) as unknown as DoctorReport[];
        expect(more).toEqual([]);
        expect(report).toMatchObject({
          ok: false,
          machine: { node: process.version, cores: expect.any(Number) },
          rates: { backend: "wasm", instructionSet: expect.any(String), threads: 1, dtype: "float32" },
        });
        const bad = report?.checks.filter(({ status }) => status === "failed").map(({ name }) => name);
        expect(bad).toEqual(["runs folder", "files: best"]);
        const computed = report?.checks.filter(({ backend }) => backend === "wasm");
        expect(computed?.map(({ name, status }) => `${name} ${status}`)).toEqual(
          ["kernels", "gradients", "accumulation", "causal mask", "decoding", "determinism", "speed"].map(
            (name) => `${name} ok`,
          ),
        );
        expect(report?.presets.map(({ preset }) => preset).sort()).toEqual(
          ["book", "gpt2", "llama-small", "quick", "shakespeare"].sort(),
        );
        for (const { secondsPerStep, tokensPerSecond, memoryBytes } of report?.presets ?? [])
          expect([secondsPerStep, tokensPerSecond, memoryBytes].every((value) => value > 0)).toBe(true);
      },
    );
  });

  test("checks nothing where the user has made a mistake", async () => {
    const outcomes = await Promise.all([
      cli(["doctor", "nowhere"], { cwd }),
      cli(["doctor", "--backend", "reference", "--threads", "2"], { cwd }),
      cli(["doctor", "run", "more"], { cwd }),
    ]);
    for (const { status, stdout } of outcomes) expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(outcomes[0]?.stderr).toMatch(
      /^foretoken: .*nowhere: the path must name a model; got no such file or folder/u,
    );
    await rename(join(cwd, "run/best"), join(cwd, "best"));
    await rename(join(cwd, "run/checkpoint"), join(cwd, "checkpoint"));
    await rename(join(cwd, "run/checkpoint-3"), join(cwd, "checkpoint-3"));
    expect((await cli(["doctor", "run"], { cwd })).stderr).toMatch(/run: the run must have saved weights; got none/u);
  });
});

/** A disk that is full when a run's folder is created, or later. */
import { existsSync } from "node:fs";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { CheckpointError, ConfigError } from "#foretoken/core/errors/errors.js";
import { type NewRun, train } from "#foretoken/train/train.node.js";
import { useFailingDisk } from "../support/failing-disk.ts";
import { anyBackend, checkpointHashes, collect, smallRun, useFolder, wordsText } from "../support/runs.ts";
import { failure, resume } from "./whole-run.ts";

const { newPath } = useFolder();
const disk = useFailingDisk();

const text = wordsText("full-disk", 60);
const model = { contextLength: 8, nLayer: 1, nHead: 1, nEmbd: 8 };
const plan = { ...smallRun.train, ...{ steps: 3, evalInterval: 2, checkpointInterval: 2, sampleTokens: 1 } };
const running = { preset: "book", ...anyBackend, finalSampleTokens: 1, memoryCheck: false } as const;
const given = { ...running, config: { model, train: plan }, text, valText: text };
/** The run from which other runs begin, and with which they are compared. */
let whole = "";
let fromWeights: NewRun;
/** Folder into which a run is saved if its own disk is full. */
let elsewhere = "";

beforeEach(() => {
  for (const name of ["TMPDIR", "HOME"]) vi.stubEnv(name, elsewhere);
});
beforeAll(async () => {
  [whole, elsewhere] = [newPath(), newPath()];
  await collect(train({ ...given, out: whole }));
  const { config, preset: _, ...rest } = given;
  fromWeights = { ...rest, initFrom: whole, config: { train: { ...config.train, onNonfinite: "rollback" } } };
});

const said: Readonly<Record<string, RegExp>> = {
  ENOSPC:
    /got a full disk \((no space for another file name|[^)]+ of [^)]+ free)\)(, at [\w./-]+)?; try freeing space on this disk/u,
  EDQUOT: /got a full disk quota(, at [\w./-]+)?; try freeing space on this disk/u,
  EROFS: /got a read-only disk(, at [\w./-]+)?; try another folder$/u,
  EACCES: /got no permission(, at [\w./-]+)?; try another folder$/u,
  EIO: /got EIO: the disk fails(, at [\w./-]+)?; try another folder$/u,
};

/**
 * Checks the folder of a run that ended with `error`. The system error `code` is the cause. Resolves to the file that
 * the error names.
 */
const checkRefusal = async (error: unknown, code: string, out: string): Promise<string | undefined> => {
  expect(error, String((error as Error).stack)).toBeInstanceOf(ConfigError);
  const { message } = error as Error;
  expect(message).toContain(`out ${out}: it must be possible to create the folder and write to it; got `);
  expect(message).toMatch(said[code] ?? /^$/u);
  return /, at ([\w./-]+);/u.exec(message)?.[1];
};

/** Trains until the first step is done, on a disk that fails. */
const failureOf = async (options: NewRun, fault: Parameters<typeof disk.fail>[0]): Promise<unknown> => {
  disk.fail(fault);
  try {
    for await (const { type } of train(options)) if (type === "step") return undefined;
    return undefined;
  } catch (error) {
    return error;
  } finally {
    disk.mend();
  }
};

describe("a disk that takes nothing more while a run's folder is made", () => {
  it("ends the run with one line, whichever call fails, and nothing of it is left", async () => {
    const files = new Set<string | undefined>();
    for (let first = 0; ; first++) {
      const [code = ""] = Object.keys(said).slice(first % 5);
      const inside = newPath();
      const isThere = first % 3 === 1;
      const out = join(inside, isThere ? "run" : "runs/first");
      await mkdir(isThere ? out : inside, { recursive: true });
      await writeFile(join(inside, "letter.txt"), "mine");
      const error = await failureOf({ ...given, out }, { code, inside, first });
      // The first step is recorded. From here on, the run is saved elsewhere.
      if (error === undefined || error instanceof CheckpointError) break;
      files.add(await checkRefusal(error, code, out));
      expect(await readdir(inside, { recursive: true })).toEqual(isThere ? ["letter.txt", "run"] : ["letter.txt"]);
    }
    for (const file of [".lock", "run.json", "text.txt", "val-text.txt", "metrics.jsonl", "README.md"])
      expect([...files]).toContain(file);
  });

  it.each(["best/model.safetensors", "checkpoint/optimizer.safetensors", "rollback/state.safetensors"])(
    "does so for a run that begins with weights, at %s",
    async (file) => {
      const inside = newPath();
      const out = join(inside, "run");
      const first = `-${file}`;
      const error = await failureOf({ ...fromWeights, out }, { code: "ENOSPC", inside, first });
      expect(await checkRefusal(error, "ENOSPC", out)).toBe(file);
      expect(existsSync(inside)).toBe(false);
    },
  );
});

describe("a disk that takes nothing more later", () => {
  it("leaves a run without a checkpoint, and the way to go on, in one line", async () => {
    const out = newPath();
    for await (const { type } of train({ ...given, out })) if (type === "step") break;
    disk.fail({ code: "ENOSPC", inside: out, first: "metrics.jsonl" });
    const error = await failure(resume(out).finally(disk.mend));
    expect(error).toBeInstanceOf(CheckpointError);
    expect(error.message).toMatch(
      /: the run's folder must be writable, .* got ENOSPC.*; try resume .*, once there is space$/u,
    );
    expect((await resume(out)).at(-1)).toMatchObject({ type: "done", step: 3 });
  });

  it("ends the run, which is saved elsewhere; both folders can be resumed", async () => {
    const inside = newPath();
    const out = join(inside, "late");
    const error = await failure(
      (async () => {
        for await (const { type } of train({ ...given, out }))
          if (type === "step") disk.fail({ code: "ENOSPC", inside, first: "-checkpoint/" });
      })().finally(disk.mend),
    );
    expect(error).toBeInstanceOf(CheckpointError);
    expect(error.message).toContain(`; try resume ${join(elsewhere, "late-rescued")}`);
    for (const path of [out, join(elsewhere, "late-rescued")]) {
      await resume(path);
      const [found, expected] = [await checkpointHashes(path), await checkpointHashes(whole)];
      expect(found["checkpoint/model.safetensors"]).toBe(expected["checkpoint/model.safetensors"]);
    }
  });
});

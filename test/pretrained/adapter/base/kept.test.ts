/** A run with adapters stores a copy of its base model. These tests are about this copy. */
import { cp, mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readManifest } from "#foretoken/io/read-manifest.node.js";
import { keepBase } from "#foretoken/pretrained/adapter/base/keep.node.js";
import { saveMerged } from "#foretoken/pretrained/adapter/merge.node.js";
import { saveAdapter } from "#foretoken/pretrained/adapter/save.node.js";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import { savePretrained } from "#foretoken/pretrained/save.node.js";
import { type NewRun, train } from "#foretoken/train/train.node.js";
import { loadInWorker } from "#foretoken/worker/model.node.js";
import { writeGguf } from "../../../support/gguf.ts";
import { ggufModel } from "../../../support/gguf-models.ts";
import { collect } from "../../../support/runs.ts";

import { damage, keepAgain, on, scoreOf, useBases } from "./use-bases.ts";

const { newPath, runs, tune, begin, copyOf } = useBases();

describe("the base that a run of adapters keeps", () => {
  it("is compared when the run goes on: a damaged one is written anew, another model is set aside", async () => {
    const { weights, adapters, kept } = await copyOf(runs.begun);
    const whole = await readFile(join(kept, "model.safetensors"));
    await damage(join(kept, "model.safetensors"));
    const lines: string[] = [];
    await collect(train({ resume: adapters, steps: 6, ...on, onNotice: (line) => lines.push(line) }));
    expect(lines).toContain(`${kept}: the copy was damaged; copied again from ${weights}`);
    expect(await readFile(join(kept, "model.safetensors"))).toEqual(whole);
    expect(await keepAgain(adapters, weights)).toEqual([]);
    for (const name of ["tokenizer.json", "manifest.json"]) {
      await writeFile(join(kept, name), "{}");
      expect(await keepAgain(adapters, weights)).toEqual([
        `run/base: the copy was damaged; copied again from ${weights}`,
      ]);
    }
    const bases = async () => (await readdir(adapters)).filter((name) => name.includes("base")).sort();
    expect(await bases()).toEqual(["base"]);

    const mine = newPath();
    await rename(kept, mine);
    await symlink(mine, kept);
    expect(await keepAgain(adapters, weights)).toEqual([]);
    await rm(kept);
    await cp(join(runs.gone.base, "checkpoint"), kept, { recursive: true });
    const aside = (name: string): string =>
      `run/${name}: this folder was base/, but it does not have the adapter's base model; delete it when you no longer need it`;
    expect(await keepAgain(adapters, weights)).toEqual([aside("base-set-aside")]);
    await rm(kept, { recursive: true });
    await mkdir(kept);
    expect(await keepAgain(adapters, weights)).toEqual([]);
    await rm(kept, { recursive: true });
    await writeFile(kept, "a note");
    expect(await keepAgain(adapters, weights)).toEqual([aside("base-set-aside-2")]);
    expect(await readFile(join(kept, "model.safetensors"))).toEqual(whole);
    expect(await readFile(join(adapters, "base-set-aside-2"), "utf8")).toBe("a note");
    expect(await bases()).toEqual(["base", "base-set-aside", "base-set-aside-2"]);
  });

  it("is replaced by no saved model, nor is its place taken", async () => {
    const { weights, adapters, adapter, kept } = await copyOf(runs.begun);
    const before = await readManifest(kept);
    const [model, tuned] = [await loadPretrained(weights, on), await loadPretrained(adapter, on)];
    const refused = `got a folder that belongs to the run in ${adapters}; try another folder`;
    const refuse = async (): Promise<void> => {
      await expect(saveMerged(kept, adapter)).rejects.toThrow(refused);
      await expect(savePretrained(kept, model)).rejects.toThrow(refused);
    };
    await refuse();
    // The stored copy has its own files, which are not the files of the base model.
    await expect(saveAdapter(kept, tuned)).rejects.toThrow("contain only an earlier checkpoint; got");
    expect(await readManifest(kept)).toEqual(before);
    await rm(kept, { recursive: true });
    await refuse();
    await expect(saveAdapter(kept, tuned)).rejects.toThrow(refused);
    for (let i = 0; i < 2; i++) await saveMerged(join(adapters, "merged"), adapter, { base: weights });
    await Promise.all([model.close(), tuned.close()]);
  });

  it("is not what the run's folder stands for", async () => {
    const { adapters, adapter } = await copyOf(runs.begun);
    for (const name of ["best", "checkpoint"]) {
      expect((await scoreOf(adapters)).mean).toBe((await scoreOf(join(adapters, name))).mean);
      const lm = await loadInWorker(adapters, on);
      expect(lm.adapters).toEqual(["default"]);
      await lm.close();
      await rm(join(adapters, name), { recursive: true });
    }
    await expect(loadPretrained(adapters, on)).rejects.toThrow("a checkpoint must have config.json");
    await expect(stat(adapter)).rejects.toThrow("ENOENT");
  });

  it("serves where the base is gone, and takes no room beside it", async () => {
    const { base, adapter, adapters, kept } = await copyOf(await begin(runs.begun.base));
    expect((await readdir(kept)).sort()).toEqual([
      ...["config.json", "generation_config.json", "manifest.json", "model.safetensors"],
      ...["tokenizer.json", "tokenizer_config.json"],
    ]);
    const { mean } = await scoreOf(adapter);
    await rm(base, { recursive: true });
    const found = await scoreOf(adapter);
    expect(found.mean).toBe(mean);
    expect(found.lines.join("\n")).toMatch(/the adapter's base model must be on this disk; got .*; using .* instead$/u);
    await collect(train({ resume: adapters, steps: 6, ...on }));
  });

  it("is kept again by a run that goes on, where the copy is gone", async () => {
    const { adapters, kept } = await copyOf(runs.begun);
    await rm(kept, { recursive: true });
    await collect(train({ resume: adapters, steps: 6, ...on }));
    expect((await readManifest(kept))?.files).toEqual((await readManifest(kept))?.files);
  });

  it("is not kept where its files are others by now, and a line says so", async () => {
    const { weights, kept } = await copyOf(runs.gone);
    await rm(kept, { recursive: true });
    const lines: string[] = [];
    const file = { name: "model.safetensors", path: join(weights, "model.safetensors"), sha256: "0".repeat(64) };
    const base = { where: weights, smallFiles: {}, weightFiles: [file] };
    await keepBase({ root: join(kept, ".."), shown: "run" }, base, (line) => void lines.push(line));
    expect(lines).toEqual([
      `run/base: no copy of ${weights} is kept (a changed file); keep the original unchanged: the adapter needs it`,
    ]);
    expect((await readdir(join(kept, ".."))).filter((name) => name.includes("base"))).toEqual([]);
  });

  it("may be a GGUF file, which another one replaces", async () => {
    const model = join(newPath(), "..", "tiny.gguf");
    await writeFile(model, writeGguf(ggufModel("llama").file));
    const config = { model: { contextLength: 8 } } as NonNullable<NewRun["config"]>;
    const run = await tune(model, { preset: undefined, config });
    const { mean } = await scoreOf(join(run, "checkpoint"));
    await damage(model);
    const found = await scoreOf(join(run, "checkpoint"));
    expect(found.mean).toBe(mean);
    expect(found.lines.join("\n")).toContain(`using ${join(run, "base", "model.gguf")} instead`);
    const place = join(run, "base", "model.gguf");
    await rename(model, `${model}-gone`);
    await damage(place);
    await expect(scoreOf(join(run, "checkpoint"))).rejects.toThrow(
      `must be on this disk; got ${JSON.stringify(model)}, and wrong weights in ${place}; try base MODEL`,
    );
    await rename(`${model}-gone`, model);
    await damage(model);
    expect(await keepAgain(run, model)).toEqual([`run/base: the copy was damaged; copied again from ${model}`]);
    expect(await readFile(place)).toEqual(await readFile(model));
    expect((await readdir(run)).filter((name) => name.includes("base"))).toEqual(["base"]);
  });
});

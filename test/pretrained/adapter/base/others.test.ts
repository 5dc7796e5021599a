/** An adapter works only with the weights that it was trained on. */
import { cp, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { loadNamed } from "#foretoken/cli/model/checkpoint-path.js";
import { readModelFacts } from "#foretoken/cli/model/model-facts.js";
import { saveMerged } from "#foretoken/pretrained/adapter/merge.node.js";
import { saveAdapter } from "#foretoken/pretrained/adapter/save.node.js";
import { loadPretrained as loadInPage } from "#foretoken/pretrained/load.browser.js";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import { train } from "#foretoken/train/train.node.js";
import { checkpointHashes, collect } from "../../../support/runs.ts";

import { damage, on, others, scoreOf, useBases, withoutHash } from "./use-bases.ts";

const { newPath, runs, tune, goOn, begin, copyOf } = useBases();

describe("a base that was trained further", () => {
  it("is replaced by the one that the adapter's run keeps, and a line says so", async () => {
    const { mean } = await scoreOf(join(runs.begun.adapters, "best"));
    const { kept, adapter, weights } = await copyOf(runs.gone);
    const found = await scoreOf(adapter);
    expect(found.mean).toBe(mean);
    expect(found.lines).toEqual([`${weights}: ${others}${adapter}; using ${kept} instead`]);
    const merged = newPath();
    expect((await saveMerged(merged, adapter)).base).toBe(kept);
    expect((await scoreOf(merged)).mean).toBeCloseTo(mean, 4);
  });

  it("is refused by name, unless the caller wants it", async () => {
    const { kept, adapter, weights } = await copyOf(runs.gone);
    const refused = `${weights}: ${others}`;
    const asBase = (way: string): string =>
      `${refused}${adapter}; try base ${way}, or baseCheck: false to use these weights`;
    await expect(loadPretrained(adapter, { ...on, base: weights })).rejects.toThrow(refused);
    await expect(loadPretrained(weights, { ...on, adapter })).rejects.toThrow(`; try ${kept}, or baseCheck: false`);
    const out = newPath();
    await expect(saveMerged(out, adapter, { base: weights })).rejects.toThrow(`; try base ${kept}, or baseCheck: `);
    await expect(stat(out)).rejects.toThrow("ENOENT");
    const taken = await scoreOf(adapter, { base: weights, baseCheck: false });
    expect(taken.mean).toBe((await scoreOf(weights, { adapter, baseCheck: false })).mean);
    expect(taken.mean).not.toBe((await scoreOf(adapter)).mean);
    await rm(kept, { recursive: true });
    await expect(loadPretrained(adapter, on)).rejects.toThrow(asBase("MODEL"));
    const unknown = "; try the model that it was trained on, or baseCheck: false";
    await expect(loadPretrained(weights, { ...on, adapter })).rejects.toThrow(unknown);
  });

  it("is refused in the words of the command line, and told about by info", async () => {
    const { kept, adapters, adapter, weights } = await copyOf(runs.gone);
    await expect(loadNamed(adapter, { base: weights }, on)).rejects.toThrow(
      `; try --base ${kept}, or --no-base-check to use these weights`,
    );
    const facts = async (parts: object) => {
      const { path, adapter: told } = await readModelFacts(adapters, parts, () => {});
      return { path, isBase: told?.isBase };
    };
    expect(await facts({})).toEqual({ path: kept, isBase: true });
    expect(await facts({ base: weights })).toEqual({ path: weights, isBase: false });
    await rm(kept, { recursive: true });
    expect(await facts({})).toEqual({ path: weights, isBase: false });
    await withoutHash(adapter);
    expect((await readModelFacts(adapter, {}, () => {})).adapter?.isBase).toBe(null);
  });

  it("does not keep the adapter's run from going on", async () => {
    const { adapters } = await copyOf(runs.gone);
    const lines: string[] = [];
    await collect(train({ resume: adapters, steps: 6, ...on, onNotice: (line) => lines.push(line) }));
    expect(lines.filter((line) => line.includes("is used instead"))).toHaveLength(1);
    const whole = await copyOf(runs.begun);
    await collect(train({ resume: whole.adapters, steps: 6, ...on }));
    const weightsOf = async (run: string) => (await checkpointHashes(run))["checkpoint/optimizer.safetensors"];
    expect(await weightsOf(adapters)).toBe(await weightsOf(whole.adapters));
  });

  it("serves from another checkpoint of its run", async () => {
    const { mean } = await scoreOf(join(runs.begun.adapters, "best"));
    const { base, adapter, kept } = await copyOf(await begin(runs.begun.base));
    await goOn(base, 3);
    await rm(kept, { recursive: true });
    const found = await scoreOf(adapter);
    expect(found.mean).toBe(mean);
    expect(found.lines.join("\n")).toContain(`using ${join(base, "checkpoint-4")} instead`);
  });

  it("is not missed by an adapter that names no hash", async () => {
    const { kept, adapter } = await copyOf(runs.gone);
    await rm(kept, { recursive: true });
    await expect(loadPretrained(adapter, on)).rejects.toThrow(others);
    await withoutHash(adapter);
    expect((await scoreOf(adapter)).lines).toEqual([]);
  });
});

describe("a base that is damaged", () => {
  it("is replaced by whole weights, as one that is gone, while there are some", async () => {
    const { mean } = await scoreOf(join(runs.begun.adapters, "best"));
    const { base, weights, adapters, adapter, kept } = await copyOf(await begin(runs.begun.base));
    const spare = newPath();
    await cp(weights, spare, { recursive: true });
    await rm(join(base, "best"), { recursive: true });
    await damage(join(weights, "model.safetensors"));
    const fault = `${join(weights, "model.safetensors")}: the file must match its SHA-256 in manifest.json; got other contents`;
    expect(await scoreOf(adapter)).toEqual({ mean, lines: [`${fault}; using ${kept} instead`] });
    const { lm, notices } = await loadNamed(adapters, {}, on);
    await lm.close();
    expect(notices).toContain(`${fault}; using ${kept} instead`);
    expect((await saveMerged(newPath(), adapter)).base).toBe(kept);
    const facts = async () => {
      const { path, adapter: told } = await readModelFacts(adapters, {}, () => {});
      return { path, isBase: told?.isBase };
    };
    expect(await facts()).toEqual({ path: kept, isBase: true });
    const going = await collect(train({ resume: adapters, steps: 6, ...on }));
    expect(going[0]).toMatchObject({ type: "start", initFrom: kept });

    await damage(join(kept, "model.safetensors"));
    await expect(loadPretrained(adapter, on)).rejects.toThrow(`${fault}; try base MODEL, or a complete copy`);
    await expect(loadNamed(adapter, {}, on)).rejects.toThrow(`${fault}; try --base MODEL, or a complete copy`);
    expect(await facts()).toEqual({ path: weights, isBase: false });
    await expect(collect(train({ resume: adapters, steps: 8, ...on }))).rejects.toThrow("got no readable weights");

    const other = join(base, "checkpoint-4");
    await rename(spare, other);
    expect(await scoreOf(join(runs.begun.adapters, "best"))).toMatchObject({ mean, lines: [] });
    expect((await scoreOf(adapter)).lines.at(-1)).toContain(`; using ${other} instead`);
    await collect(train({ resume: adapters, steps: 8, ...on }));
    expect(await readFile(join(kept, "model.safetensors"))).toEqual(await readFile(join(other, "model.safetensors")));
  });
});

describe("an adapter alone", () => {
  it("begins no run: the way is to merge it as it was named", async () => {
    for (const named of [runs.begun.adapters, join(runs.begun.adapters, "checkpoint")]) {
      await expect(tune(named)).rejects.toThrow(
        `initFrom ${named}: must name a whole model; got an adapter without its base model; try npx foretoken merge ${named} --out NEW, then initFrom NEW`,
      );
    }
    const { adapters } = await copyOf(runs.begun);
    const kept = join(adapters, "checkpoint-4");
    await rename(join(adapters, "best"), kept);
    await rm(join(adapters, "checkpoint"), { recursive: true });
    await expect(tune(adapters)).rejects.toThrow(
      `got only earlier checkpoints; try npx foretoken merge ${kept} --out NEW`,
    );
  });
});

describe("an adapter that was saved by a program", () => {
  it("names the weights that it was trained on, and a page refuses others", async () => {
    const { kept, adapter, weights } = await copyOf(runs.gone);
    const lm = await loadPretrained(kept, { ...on, adapter });
    const saved = newPath();
    await saveAdapter(saved, lm, { base: weights });
    await lm.close();
    await expect(loadPretrained(saved, on)).rejects.toThrow(`${weights}: ${others}${saved}`);
    const filesOf = async (folder: string): Promise<Record<string, Uint8Array>> =>
      Object.fromEntries(
        await Promise.all((await readdir(folder)).map(async (name) => [name, await readFile(join(folder, name))])),
      );
    const [model, right, ours] = await Promise.all([weights, kept, saved].map(filesOf));
    const load = (files: unknown, baseCheck?: boolean) =>
      loadInPage(files as never, { ...on, adapter: ours as never, baseCheck });
    await expect(load(model)).rejects.toThrow(`checkpoint: ${others}default; try the model that it was trained on`);
    for (const opened of [await load(right), await load(model, false)]) await opened.close();
  });

  it("without a hash of its own gets that of the model that it is saved for", async () => {
    const { kept, adapter, weights } = await copyOf(runs.begun);
    await withoutHash(adapter);
    const alone = newPath();
    await cp(adapter, alone, { recursive: true });
    const lm = await loadPretrained(weights, { ...on, adapter: alone });
    const saved = newPath();
    await saveAdapter(saved, lm, { base: weights });
    await lm.close();
    await expect(loadPretrained(kept, { ...on, adapter: saved })).resolves.toMatchObject({
      adapter: "default",
    });
    const other = join((await copyOf(runs.gone)).base, "checkpoint");
    await expect(loadPretrained(other, { ...on, adapter: saved })).rejects.toThrow(others);
  });
});

describe("a model from elsewhere whose other files change, and its weights stay", () => {
  const swapped = async (path: string): Promise<void> => {
    const json = JSON.parse(await readFile(path, "utf8")) as { model: { vocab: Record<string, number> } };
    const { vocab } = json.model;
    const [one = "", other = ""] = Object.keys(vocab).slice(1, 3);
    [vocab[one], vocab[other]] = [vocab[other] as number, vocab[one] as number];
    await writeFile(path, JSON.stringify(json));
  };
  const changed = async (path: string): Promise<void> => {
    const json = JSON.parse(await readFile(path, "utf8")) as { layer_norm_epsilon: number };
    await writeFile(path, JSON.stringify({ ...json, layer_norm_epsilon: 0.5 }));
  };

  it.each([
    ["tokenizer.json", swapped],
    ["config.json", changed],
  ])("is not taken where the run has the one that it began with: %s", async (name, change) => {
    const model = newPath();
    await cp(join(runs.begun.base, "checkpoint"), model, { recursive: true });
    for (const own of ["manifest.json", "trainer_state.json", "optimizer.safetensors"]) await rm(join(model, own));
    const config = JSON.parse(await readFile(join(model, "config.json"), "utf8")) as { foretoken?: unknown };
    delete config.foretoken;
    await writeFile(join(model, "config.json"), JSON.stringify(config));
    const run = await tune(model);
    const { mean } = await scoreOf(join(run, "best"));
    await change(join(model, name));
    const found = await scoreOf(join(run, "best"));
    expect(found.mean).toBe(mean);
    const kept = join(run, "base");
    expect(found.lines).toContain(
      `${model}: the model must have the configuration and tokenizer that the adapter was trained with; got a different configuration or tokenizer; using ${kept} instead`,
    );
    const notices: string[] = [];
    const onNotice = (line: string) => notices.push(line);
    await collect(train({ resume: run, steps: 5, ...on, onNotice }));
    expect(notices).toContain(`${model}: the model has changed since ${run} began, so ${kept} is used instead`);
  });
});

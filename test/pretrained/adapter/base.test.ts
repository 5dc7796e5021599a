/** An adapter computes with the weights that it was trained on, and with no others. */
import { cp, mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { loadNamed } from "#foretoken/cli/model/checkpoint-path.js";
import { readModelFacts } from "#foretoken/cli/model/model-facts.js";
import { readManifest } from "#foretoken/io/owned-folder.node.js";
import { readSafetensors, writeSafetensors } from "#foretoken/io/safetensors.js";
import { baseFilesOf, keepBase } from "#foretoken/pretrained/adapter/base/keep.node.js";
import { saveMerged } from "#foretoken/pretrained/adapter/merge.node.js";
import { saveAdapter } from "#foretoken/pretrained/adapter/save.node.js";
import { loadPretrained as loadInPage } from "#foretoken/pretrained/load.browser.js";
import { type LoadOptions, loadPretrained } from "#foretoken/pretrained/load.node.js";
import { openPretrained } from "#foretoken/pretrained/open.node.js";
import { savePretrained } from "#foretoken/pretrained/save.node.js";
import { type NewRun, train } from "#foretoken/train/train.node.js";
import { loadInWorker } from "#foretoken/worker/model.node.js";
import { writeGguf } from "../../support/gguf.ts";
import { ggufModel } from "../../support/gguf-models.ts";
import { checkpointHashes, collect, smallRun, useFolder, wordsText } from "../../support/runs.ts";

const { newPath, writeText } = useFolder();
const on = { backend: "reference" } as const;
const text = "the cat sat on a mat";

/** A run of 4 steps, and a run of adapters beside its last weights. */
interface Runs {
  readonly base: string;
  readonly adapters: string;
}
let begun: Runs;
/** The same; the base was trained further, so it has other weights. */
let gone: Runs;
let data = "";

const tune = async (initFrom: string, more: Partial<NewRun> = {}): Promise<string> => {
  const out = newPath();
  const plan = { ...smallRun.train, steps: 4, batchSize: 2, evalInterval: 2, learningRate: 0.05, sampleTokens: 0 };
  const config = { lora: { rank: 2 }, train: plan, ...more.config } as NonNullable<NewRun["config"]>;
  await collect(train({ preset: "book", initFrom, data, out, ...on, finalSampleTokens: 0, ...more, config } as NewRun));
  return out;
};

const goOn = async (base: string, keepLast?: number): Promise<void> => {
  await collect(train({ resume: base, steps: 6, ...on, ...(keepLast && { keepLast }) }));
};

/** A copy of the base, and adapters beside it. */
const begin = async (from: string): Promise<Runs> => {
  const base = newPath();
  await cp(from, base, { recursive: true });
  return { base, adapters: await tune(join(base, "checkpoint")) };
};

beforeAll(async () => {
  data = await writeText(wordsText("base", 200));
  const base = newPath();
  const plan = { ...smallRun.train, steps: 4, batchSize: 2, sampleTokens: 0 };
  const config = { model: smallRun.model, train: plan };
  await collect(train({ preset: "book", config, data, out: base, ...on, finalSampleTokens: 0 }));
  begun = { base, adapters: await tune(join(base, "checkpoint")) };
  gone = await begin(base);
  await goOn(gone.base);
});

/** The places of runs, with a copy of the run of adapters, to be changed. */
const copyOf = async ({ base, adapters: from }: Runs) => {
  const adapters = newPath();
  await cp(from, adapters, { recursive: true });
  return {
    base,
    weights: join(base, "checkpoint"),
    adapters,
    adapter: join(adapters, "best"),
    kept: join(adapters, "base"),
  };
};

/** An adapter that names no base, as PEFT writes it. */
const withoutHash = async (adapter: string): Promise<void> => {
  const path = join(adapter, "adapter_model.safetensors");
  const { tensors } = readSafetensors(await readFile(path), path);
  await writeFile(path, writeSafetensors(tensors.values(), { format: "pt" }));
  await rm(join(adapter, "manifest.json"));
};

/** A file with a flipped bit takes the place of one; links to that one stay as they are. */
const damage = async (path: string): Promise<void> => {
  const bytes = await readFile(path);
  const last = bytes.length - 2;
  bytes[last] = (bytes[last] ?? 0) ^ 1;
  await writeFile(`${path}.new`, bytes);
  await rename(`${path}.new`, path);
};

/** Keeps the model `from` in a run as one that goes on does. Returns its lines. */
const keepAgain = async (run: string, from: string): Promise<readonly string[]> => {
  const lines: string[] = [];
  const opened = await openPretrained(from);
  await keepBase({ root: run, shown: "run" }, await baseFilesOf(opened), (line) => void lines.push(line));
  await opened.weights.close();
  return lines;
};

const scoreOf = async (path: string, options: LoadOptions = {}) => {
  const lines: string[] = [];
  const lm = await loadPretrained(path, { ...on, onNotice: (line) => lines.push(line), ...options });
  const { mean } = await lm.score(text);
  await lm.close();
  return { mean, lines: lines.filter((line) => !line.includes("unchecked")) };
};

const others =
  "the weights must be those that the adapter was trained on; got others: their SHA-256 is not the one in ";

describe("a base that was trained further", () => {
  it("is replaced by the one that the adapter's run keeps, and a line says so", async () => {
    const { mean } = await scoreOf(join(begun.adapters, "best"));
    const { kept, adapter, weights } = await copyOf(gone);
    const found = await scoreOf(adapter);
    expect(found.mean).toBe(mean);
    expect(found.lines).toEqual([`${weights}: ${others}${adapter}; ${kept} serves instead`]);
    const merged = newPath();
    expect((await saveMerged(merged, adapter)).base).toBe(kept);
    expect((await scoreOf(merged)).mean).toBeCloseTo(mean, 4);
  });

  it("is refused by name, unless the caller wants it", async () => {
    const { kept, adapter, weights } = await copyOf(gone);
    const refused = `${weights}: ${others}`;
    const asBase = (way: string): string => `${refused}${adapter}; try base ${way}, or baseCheck: false to take these`;
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
    const { kept, adapters, adapter, weights } = await copyOf(gone);
    await expect(loadNamed(adapter, { base: weights }, on)).rejects.toThrow(
      `; try --base ${kept}, or --no-base-check to take these`,
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
    const { adapters } = await copyOf(gone);
    const lines: string[] = [];
    await collect(train({ resume: adapters, steps: 6, ...on, onNotice: (line) => lines.push(line) }));
    expect(lines.filter((line) => line.includes("serves instead"))).toHaveLength(1);
    const whole = await copyOf(begun);
    await collect(train({ resume: whole.adapters, steps: 6, ...on }));
    const weightsOf = async (run: string) => (await checkpointHashes(run))["checkpoint/optimizer.safetensors"];
    expect(await weightsOf(adapters)).toBe(await weightsOf(whole.adapters));
  });

  it("serves from another checkpoint of its run", async () => {
    const { mean } = await scoreOf(join(begun.adapters, "best"));
    const { base, adapter, kept } = await copyOf(await begin(begun.base));
    await goOn(base, 3);
    await rm(kept, { recursive: true });
    const found = await scoreOf(adapter);
    expect(found.mean).toBe(mean);
    expect(found.lines.join("\n")).toContain(`${join(base, "checkpoint-4")} serves instead`);
  });

  it("is not missed by an adapter that names no hash", async () => {
    const { kept, adapter } = await copyOf(gone);
    await rm(kept, { recursive: true });
    await expect(loadPretrained(adapter, on)).rejects.toThrow(others);
    await withoutHash(adapter);
    expect((await scoreOf(adapter)).lines).toEqual([]);
  });
});

describe("a base that is damaged", () => {
  it("is replaced by whole weights, as one that is gone, while there are some", async () => {
    const { mean } = await scoreOf(join(begun.adapters, "best"));
    const { base, weights, adapters, adapter, kept } = await copyOf(await begin(begun.base));
    const spare = newPath();
    await cp(weights, spare, { recursive: true });
    await rm(join(base, "best"), { recursive: true });
    await damage(join(weights, "model.safetensors"));
    const fault = `${join(weights, "model.safetensors")}: the file must be the one that was saved, by its SHA-256 in manifest.json; got other contents`;
    expect(await scoreOf(adapter)).toEqual({ mean, lines: [`${fault}; ${kept} serves instead`] });
    const { lm, notices } = await loadNamed(adapters, {}, on);
    await lm.close();
    expect(notices).toContain(`${fault}; ${kept} serves instead`);
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
    await expect(collect(train({ resume: adapters, steps: 8, ...on }))).rejects.toThrow("got none that can be read");

    const other = join(base, "checkpoint-4");
    await rename(spare, other);
    expect(await scoreOf(join(begun.adapters, "best"))).toMatchObject({ mean, lines: [] });
    expect((await scoreOf(adapter)).lines.at(-1)).toContain(`; ${other} serves instead`);
    await collect(train({ resume: adapters, steps: 8, ...on }));
    expect(await readFile(join(kept, "model.safetensors"))).toEqual(await readFile(join(other, "model.safetensors")));
  });
});

describe("the base that a run of adapters keeps", () => {
  it("is compared when the run goes on: a damaged one is written anew, another model is set aside", async () => {
    const { weights, adapters, kept } = await copyOf(begun);
    const whole = await readFile(join(kept, "model.safetensors"));
    await damage(join(kept, "model.safetensors"));
    const lines: string[] = [];
    await collect(train({ resume: adapters, steps: 6, ...on, onNotice: (line) => lines.push(line) }));
    expect(lines).toContain(`${kept}: was damaged; written anew from ${weights}`);
    expect(await readFile(join(kept, "model.safetensors"))).toEqual(whole);
    expect(await keepAgain(adapters, weights)).toEqual([]);
    for (const name of ["tokenizer.json", "manifest.json"]) {
      await writeFile(join(kept, name), "{}");
      expect(await keepAgain(adapters, weights)).toEqual([`run/base: was damaged; written anew from ${weights}`]);
    }
    const bases = async () => (await readdir(adapters)).filter((name) => name.includes("base")).sort();
    expect(await bases()).toEqual(["base"]);

    const mine = newPath();
    await rename(kept, mine);
    await symlink(mine, kept);
    expect(await keepAgain(adapters, weights)).toEqual([]);
    await rm(kept);
    await cp(join(gone.base, "checkpoint"), kept, { recursive: true });
    const aside = (name: string): string =>
      `run/${name}: was base/, and is not the model that the adapter is for; remove it when it is not wanted any more`;
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
    const { weights, adapters, adapter, kept } = await copyOf(begun);
    const before = await readManifest(kept);
    const [model, tuned] = [await loadPretrained(weights, on), await loadPretrained(adapter, on)];
    const refused = `got a folder of the run in ${adapters}; try another folder`;
    const refuse = async (): Promise<void> => {
      await expect(saveMerged(kept, adapter)).rejects.toThrow(refused);
      await expect(savePretrained(kept, model)).rejects.toThrow(refused);
    };
    await refuse();
    // Its files are others than the base's.
    await expect(saveAdapter(kept, tuned)).rejects.toThrow("earlier checkpoint and nothing else; got");
    expect(await readManifest(kept)).toEqual(before);
    await rm(kept, { recursive: true });
    await refuse();
    await expect(saveAdapter(kept, tuned)).rejects.toThrow(refused);
    for (let i = 0; i < 2; i++) await saveMerged(join(adapters, "merged"), adapter, { base: weights });
    await Promise.all([model.close(), tuned.close()]);
  });

  it("is not what the run's folder stands for", async () => {
    const { adapters, adapter } = await copyOf(begun);
    for (const name of ["best", "checkpoint"]) {
      const hint = `a checkpoint must have config.json; got no such file; try ${join(adapters, name)}`;
      await expect(loadPretrained(adapters, on)).rejects.toThrow(hint);
      await expect(loadInWorker(adapters, on)).rejects.toThrow(hint);
      await rm(join(adapters, name), { recursive: true });
    }
    await expect(stat(adapter)).rejects.toThrow("ENOENT");
  });

  it("serves where the base is gone, and takes no room beside it", async () => {
    const { base, adapter, adapters, kept } = await copyOf(await begin(begun.base));
    expect((await readdir(kept)).sort()).toEqual([
      ...["config.json", "generation_config.json", "manifest.json", "model.safetensors"],
      ...["tokenizer.json", "tokenizer_config.json"],
    ]);
    const { mean } = await scoreOf(adapter);
    await rm(base, { recursive: true });
    const found = await scoreOf(adapter);
    expect(found.mean).toBe(mean);
    expect(found.lines.join("\n")).toMatch(/the model of the adapter must be on this disk; got .* serves instead$/u);
    await collect(train({ resume: adapters, steps: 6, ...on }));
  });

  it("is kept again by a run that goes on, where the copy is gone", async () => {
    const { adapters, kept } = await copyOf(begun);
    await rm(kept, { recursive: true });
    await collect(train({ resume: adapters, steps: 6, ...on }));
    expect((await readManifest(kept))?.files).toEqual((await readManifest(kept))?.files);
  });

  it("is not kept where its files are others by now, and a line says so", async () => {
    const { weights, kept } = await copyOf(gone);
    await rm(kept, { recursive: true });
    const lines: string[] = [];
    const file = { name: "model.safetensors", path: join(weights, "model.safetensors"), sha256: "0".repeat(64) };
    const base = { where: weights, smallFiles: {}, weightFiles: [file] };
    await keepBase({ root: join(kept, ".."), shown: "run" }, base, (line) => void lines.push(line));
    expect(lines).toEqual([
      `run/base: no copy of ${weights} is kept (another one by now); the adapter needs it as it is`,
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
    expect(found.lines.join("\n")).toContain(`${join(run, "base", "model.gguf")} serves instead`);
    const place = join(run, "base", "model.gguf");
    await damage(model);
    await damage(place);
    expect(await keepAgain(run, model)).toEqual([`run/base: was damaged; written anew from ${model}`]);
    expect(await readFile(place)).toEqual(await readFile(model));
    expect((await readdir(run)).filter((name) => name.includes("base"))).toEqual(["base"]);
  });
});

describe("an adapter alone", () => {
  it("begins no run: the way is to merge it as it was named", async () => {
    for (const named of [begun.adapters, join(begun.adapters, "checkpoint")]) {
      await expect(tune(named)).rejects.toThrow(
        `initFrom ${named}: must name a whole model; got an adapter alone; try npx foretoken merge ${named} --out NEW, then initFrom NEW`,
      );
    }
    const { adapters } = await copyOf(begun);
    const kept = join(adapters, "checkpoint-4");
    await rename(join(adapters, "best"), kept);
    await rm(join(adapters, "checkpoint"), { recursive: true });
    await expect(tune(adapters)).rejects.toThrow(`got earlier ones alone; try npx foretoken merge ${kept} --out NEW`);
  });
});

describe("an adapter that was saved by a program", () => {
  it("names the weights that it was trained on, and a page refuses others", async () => {
    const { kept, adapter, weights } = await copyOf(gone);
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
    const { kept, adapter, weights } = await copyOf(begun);
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
    const other = join((await copyOf(gone)).base, "checkpoint");
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
    await cp(join(begun.base, "checkpoint"), model, { recursive: true });
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
      `${model}: the model must be as it was when the adapter was trained; got another configuration or tokenizer; ${kept} serves instead`,
    );
    const notices: string[] = [];
    const onNotice = (line: string) => notices.push(line);
    await collect(train({ resume: run, steps: 5, ...on, onNotice }));
    expect(notices).toContain(`${model}: no longer the model that ${run} began with; ${kept} serves instead`);
  });
});

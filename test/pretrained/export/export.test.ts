import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { CheckpointError, ConfigError } from "#foretoken/core/errors/errors.js";
import { type ExportOptions, exportModel } from "#foretoken/pretrained/export/export.node.js";
import { loadedModel } from "#foretoken/pretrained/export/loaded.js";
import { openSource } from "#foretoken/pretrained/export/source.node.js";
import { collectWeights } from "#foretoken/pretrained/files/weights.js";
import { saveGguf } from "#foretoken/pretrained/gguf/write/save.node.js";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import { openPretrained } from "#foretoken/pretrained/open.node.js";
import { useStoppedWriter } from "../../io/stopped-writer.ts";
import { baseModel, modelWithText, peftAdapter } from "../../support/peft.ts";
import { useFolder } from "../../support/runs.ts";

const { newPath } = useFolder();
const stopBefore = useStoppedWriter();

let model: string;
beforeAll(async () => {
  model = await modelWithText("llama3", newPath());
});

const valuesOf = async (place: string): Promise<Float32Array> =>
  (await collectWeights(await openPretrained(place))).values;

describe("exportModel", () => {
  it("leads from a directory to GGUF and back, to the bit", async () => {
    const [file, folder] = [`${newPath()}.gguf`, newPath()];
    const there = await exportModel(file, model, { format: "gguf" });
    expect(there).toMatchObject({
      path: file,
      format: "gguf",
      dtype: "f32",
      base: model,
      adapter: null,
      from: ["F16"],
    });
    expect(there.bytes).toBe((await readFile(file)).length);
    const back = await exportModel(folder, file, { format: "hf" });
    expect(back).toMatchObject({ parameters: there.parameters, from: ["F32"] });
    expect(await valuesOf(folder)).toEqual(await valuesOf(model));
    const [one, other] = await Promise.all(
      [model, folder].map((place) => loadPretrained(place, { backend: "reference" })),
    );
    expect(other?.tokenizer.encode("0123:;")).toEqual(one?.tokenizer.encode("0123:;"));
    await one?.close();
    await other?.close();
  });

  it.each(["hf", "gguf", "onnx"] as const)("is done once where two write one new name: %s", async (format) => {
    const parent = newPath();
    // A relative path, as a user types it. The failing export reports the same path.
    const place = relative(process.cwd(), join(parent, format === "gguf" ? "new.gguf" : "new"));
    await mkdir(parent);
    const ends = await Promise.allSettled([1, 2].map(() => exportModel(place, model, { format })));
    expect(ends.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    const [lost] = ends.flatMap((end) => (end.status === "rejected" ? [end.reason as Error] : []));
    expect(lost).toBeInstanceOf(CheckpointError);
    expect(lost?.message.startsWith(`${place}: `), lost?.message).toBe(true);
    expect(lost?.message).toMatch(
      /new(?:\.gguf)?: the name must be free; got a (?:file|folder|model) .*; try another name/u,
    );
    expect(await readdir(parent)).toEqual([format === "gguf" ? "new.gguf" : "new"]);
    if (format !== "onnx") expect(await valuesOf(place)).toEqual(await valuesOf(model));
  });

  it("keeps a directory's files about text as they are", async () => {
    const folder = newPath();
    await exportModel(folder, model, { format: "hf", dtype: "bf16" });
    expect(await readFile(join(folder, "tokenizer.json"))).toEqual(await readFile(join(model, "tokenizer.json")));
    const { dtypes, weights } = await openPretrained(folder);
    await weights.close();
    expect(dtypes).toEqual(["BF16"]);
  });

  it("merges an adapter, beside its model or named alone", async () => {
    const { directory } = peftAdapter("llama");
    const [one, other] = [`${newPath()}.gguf`, newPath()];
    const merged = await exportModel(one, model, { format: "gguf", adapter: directory });
    expect(merged).toMatchObject({ adapter: "merged", base: model });
    await exportModel(other, directory, { format: "hf", base: model });
    expect(await valuesOf(one)).toEqual(await valuesOf(other));
    expect(await valuesOf(one)).not.toEqual(await valuesOf(model));
  });

  it("has its source as a loaded model, for formats that are made from one", async () => {
    const source = await openSource(model, { adapter: peftAdapter("llama").directory }, "exportModel");
    const lm = await loadedModel(source.facts, await source.readWeights());
    await source.close();
    const [one, other] = [`${newPath()}.gguf`, `${newPath()}.gguf`];
    await saveGguf(one, lm, { name: "model" });
    await lm.close();
    await saveGguf(other, model, { adapter: peftAdapter("llama").directory, name: "model" });
    expect(await readFile(one)).toEqual(await readFile(other));
  });

  it("writes a loaded model as saveGguf", async () => {
    const [one, other] = [`${newPath()}.gguf`, `${newPath()}.gguf`];
    const lm = await loadPretrained(model, { backend: "reference" });
    await saveGguf(one, lm, { name: "model" });
    await saveGguf(other, model, { name: "model" });
    expect(await readFile(one)).toEqual(await readFile(other));
    await expect(saveGguf(`${newPath()}.gguf`, lm, { base: model })).rejects.toThrow(
      /must be used only if the model is a path or a name/u,
    );
    await lm.close();
    await expect(saveGguf(`${newPath()}.gguf`, lm)).rejects.toThrow(/closed/u);
  });

  const refusals: readonly (readonly [what: string, options: ExportOptions, says: RegExp])[] = [
    ["a dtype of another format", { format: "hf", dtype: "q8_0" }, /dtype: must be f32 or bf16 for hf; got q8_0$/u],
    [
      "an adapter alone in blocks",
      { format: "gguf", dtype: "q8_0", adapterOnly: true },
      /dtype: must be f32, f16 or bf16 for an adapter alone as gguf; got q8_0$/u,
    ],
    [
      "no adapter to write alone",
      { format: "gguf", adapterOnly: true },
      /adapterOnly: must be used with a LoRA adapter; got .*, a whole model/u,
    ],
    [
      "a base without an adapter",
      { format: "gguf", base: "x" },
      /exportModel: base: must be used only to load an adapter/u,
    ],
  ];
  it.each(refusals)("refuses %s, and writes nothing", async (_, options, says) => {
    const folder = newPath();
    const place = join(folder, options.format === "hf" ? "out" : "out.gguf");
    const failed = exportModel(place, model, options);
    await expect(failed).rejects.toThrow(ConfigError);
    await expect(failed).rejects.toThrow(says);
    await expect(readdir(folder)).rejects.toThrow(/ENOENT/u);
  });

  it("refuses by name a model that a format cannot hold, before anything is written", async () => {
    const folder = newPath();
    // The model has no tokenizer, but a GGUF file must have one.
    await expect(exportModel(join(folder, "a.gguf"), baseModel("llama3"), { format: "gguf" })).rejects.toThrow(
      /the tokenizer of a GGUF file must be byte-level BPE, SentencePiece or a character tokenizer; got a model without a supported tokenizer/u,
    );
    await expect(readdir(folder)).rejects.toThrow(/ENOENT/u);
  });

  it("touches no folder of somebody else, and an earlier model only where it is told to", async () => {
    const folder = newPath();
    await mkdir(folder);
    await writeFile(join(folder, "letter.txt"), "mine");
    await expect(exportModel(folder, model, { format: "hf", replace: true })).rejects.toThrow(CheckpointError);
    expect(await readdir(folder)).toEqual(["letter.txt"]);
    const place = newPath();
    await exportModel(place, model, { format: "hf" });
    const before = await readFile(join(place, "model.safetensors"));
    await expect(exportModel(place, model, { format: "hf", dtype: "bf16" })).rejects.toThrow(
      /the name must be free; got a model with this name; try another name, or replace: true$/u,
    );
    expect(await readFile(join(place, "model.safetensors"))).toEqual(before);
    await exportModel(place, model, { format: "hf", dtype: "bf16", replace: true });
    expect((await readFile(join(place, "model.safetensors"))).length).toBeLessThan(before.length);
    await expect(exportModel(place, place, { format: "hf", replace: true })).rejects.toThrow(
      /must not be the source's own folder/u,
    );
  });

  it("ends by its signal, with nothing left", async () => {
    for (const format of ["hf", "gguf"] as const) {
      for (const phase of ["read", "write"] as const) {
        const folder = newPath();
        const controller = new AbortController();
        const place = join(folder, format === "hf" ? "out" : "out.gguf");
        const ended = exportModel(place, model, {
          ...{ format, signal: controller.signal },
          onProgress: (now) => {
            if (now === phase) controller.abort(new Error("enough"));
          },
        });
        if (format === "hf" && phase === "write") await ended;
        else await expect(ended).rejects.toThrow("enough");
        if (phase === "read" || format === "gguf") expect(await readdir(folder).catch(() => [])).toEqual([]);
      }
    }
  });
});

describe("an export that stops for good before any of its operations", () => {
  it.each([
    ["gguf", "out.gguf"],
    ["hf", "out"],
  ] as const)("as %s is whole or not there, and can be made again", async (format, name) => {
    const whole = join(newPath(), name);
    await exportModel(whole, model, { format });
    const contents = async (place: string) =>
      format === "gguf"
        ? readFile(place)
        : Promise.all((await readdir(place)).sort().map(async (file) => [file, await readFile(join(place, file))]));
    /** Whether the export reached the given operation. */
    const stops = async (operation: number): Promise<boolean> => {
      const folder = newPath();
      const place = join(folder, name);
      const stopped = await stopBefore(operation, () => exportModel(place, model, { format }));
      const entries: readonly string[] = await readdir(folder).catch(() => []);
      if (entries.includes(name)) expect(await contents(place)).toEqual(await contents(whole));
      if (!stopped) return false;
      await exportModel(place, model, { format, replace: true });
      expect(await contents(place)).toEqual(await contents(whole));
      expect(await readdir(folder)).toEqual([name]);
      return true;
    };
    // Every tenth operation, because most operations write pieces of one file. Also the last operations, which set the
    // name.
    let operation = 1;
    while (await stops(operation)) operation += 10;
    expect(operation).toBeGreaterThan(20);
    for (let last = operation - 9; await stops(last); last++);
  });
});

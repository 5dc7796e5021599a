/**
 * Adapters from strangers. These adapters are damaged, forged or of another format. Each adapter is refused with one
 * clear line, or it loads correctly.
 */
import { readFileSync } from "node:fs";
import { mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { CheckpointError, ForetokenError } from "#foretoken/core/errors/errors.js";
import { memorySource } from "#foretoken/io/byte-source.js";
import { writeCheckpoint } from "#foretoken/io/checkpoint.node.js";
import { readSafetensors, writeSafetensors } from "#foretoken/io/safetensors.js";
import { parsePeftConfig } from "#foretoken/pretrained/adapter/config.js";
import { readAdapterValues } from "#foretoken/pretrained/adapter/read.js";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import { damage, forge, forgeHeader, randomFor } from "../../support/forge.ts";
import { groupedModel } from "../../support/models.ts";
import { copyAdapter, peftAdapter } from "../../support/peft.ts";
import { useFolder } from "../../support/runs.ts";

const { newPath } = useFolder();
let backend: Backend;
beforeAll(async () => {
  backend = await openReference();
});
afterAll(() => backend.close());

const [configName, weightsName] = ["adapter_config.json", "adapter_model.safetensors"] as const;
type Tensors = Map<string, { shape: readonly number[]; data: Float32Array }>;

/** The error line for an adapter. Also checks that no memory stays allocated. */
const failure = async (name: string, directory: string): Promise<string> => {
  const before = backend.bytesInUse();
  const error = await loadPretrained(peftAdapter(name).base, { backend, adapter: directory }).catch(
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(CheckpointError);
  const { message } = error as Error;
  expect(message).not.toContain("\n");
  expect(message.startsWith(directory)).toBe(true);
  expect(backend.bytesInUse()).toBe(before);
  return message.slice(directory.length + 1);
};

const withConfig = async (changes: Readonly<Record<string, unknown>>, name = "llama"): Promise<string> => {
  const directory = await copyAdapter(name, newPath());
  const path = join(directory, configName);
  await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, "utf8")), ...changes }));
  return failure(name, directory);
};

const withTensors = async (change: (tensors: Tensors) => void, name = "llama"): Promise<string> => {
  const directory = await copyAdapter(name, newPath());
  const path = join(directory, weightsName);
  const tensors: Tensors = new Map(readSafetensors(await readFile(path), path).tensors);
  change(tensors);
  await writeFile(path, writeSafetensors([...tensors].map(([key, tensor]) => ({ ...tensor, name: key }))));
  return failure(name, directory);
};

const nameOf = (module: string, matrix: "A" | "B"): string =>
  `base_model.model.model.layers.${module}.lora_${matrix}.weight`;

describe("an adapter of another kind is refused", () => {
  const others = "other kinds of adapters are not supported; got";
  const absent = "must be absent: this kind of adapter is not supported; got";
  it.each<readonly [Readonly<Record<string, unknown>>, string]>([
    [{ peft_type: "IA3" }, `${configName}: peft_type: must be LORA: ${others} "IA3"`],
    [{ use_dora: true }, `${configName}: use_dora: ${absent} true`],
    [{ modules_to_save: ["lm_head"] }, `${configName}: modules_to_save: ${absent} ["lm_head"]`],
    [{ bias: "all" }, `${configName}: bias: must be none: ${others} "all"`],
    [{ lora_bias: true }, `${configName}: lora_bias: ${absent} true`],
    [
      { init_lora_weights: "pissa" },
      `${configName}: init_lora_weights: must be true, false, gaussian, eva or orthogonal: ${others} "pissa"`,
    ],
    [{ layer_replication: [[0, 2]] }, `${configName}: layer_replication: ${absent} [[…]]`],
    [{ trainable_token_indices: [1] }, `${configName}: trainable_token_indices: ${absent} [1]`],
    [{ alora_invocation_tokens: [1] }, `${configName}: alora_invocation_tokens: ${absent} [1]`],
    [{ of_a_later_version: { a: 1 } }, `${configName}: of_a_later_version: ${absent} an object`],
    [{ task_type: "SEQ_CLS" }, `${configName}: task_type: must be CAUSAL_LM: ${others} "SEQ_CLS"`],
    [{ r: 0 }, `${configName}.r: must be above 0; got 0`],
    [{ lora_alpha: -8 }, `${configName}.lora_alpha: must be above 0; got -8`],
    [{ target_modules: 3 }, `${configName}.target_modules: must be a string or a list of strings; got 3`],
    [
      { rank_pattern: { "(a+)+$": 4 } },
      `${configName}: rank_pattern: patterns must be plain module names; got "(a+)+$"`,
    ],
  ])("by its configuration %j", async (changes, line) => {
    expect(await withConfig(changes)).toBe(line);
  });

  it("by its tensors, of an embedding or a head", async () => {
    const of = (name: string): Promise<string> =>
      withTensors((tensors) => tensors.set(name, { shape: [4, 24], data: new Float32Array(96) }));
    expect(await of("base_model.model.lm_head.lora_A.weight")).toBe(
      `${weightsName}: adapters must belong to linear layers of the model's blocks, such as model.layers.0.self_attn.q_proj; got "lm_head"; try the model that the adapter was trained for`,
    );
    expect(await of("base_model.model.model.embed_tokens.lora_embedding_A")).toBe(
      `${weightsName}: every tensor must be a LoRA matrix, such as base_model.model.NAME.lora_A.weight; got "base_model.model.model.embed_tokens.lora_embedding_A"`,
    );
    expect(await of(`base_model.model.model.layers.0.mlp.up_proj.lora_magnitude_vector`)).toMatch(
      /must be a LoRA matrix/u,
    );
  });
});

describe("an adapter whose files do not go together is refused", () => {
  it("where a matrix is missing, or a whole module", async () => {
    const [a, b] = [nameOf("1.self_attn.k_proj", "A"), nameOf("1.self_attn.k_proj", "B")];
    expect(await withTensors((tensors) => tensors.delete(b))).toMatch(
      `${weightsName}: the file must hold ${b}; got no such tensor`,
    );
    const without = (tensors: Tensors): void => {
      tensors.delete(a);
      tensors.delete(b);
    };
    expect(await withTensors(without)).toMatch(`${weightsName}: the file must hold ${a}; got no such tensor`);
    expect(await withTensors((tensors) => tensors.clear())).toMatch(`${weightsName}: the file must hold`);
  });

  it("where a module is not in target_modules", async () => {
    expect(await withConfig({ target_modules: ["q_proj"] })).toMatch(
      `${weightsName}: target_modules must name every module with an adapter; got no entry for model.layers.0.mlp.down_proj`,
    );
  });

  it("where the ranks of file and configuration differ", async () => {
    const expected = `${nameOf("0.mlp.down_proj", "A")} must have shape [3, 32]; got [4, 32]`;
    expect(await withConfig({ r: 3 })).toMatch(`${weightsName}: ${expected}`);
  });

  it("where a number is not finite", async () => {
    const name = nameOf("0.mlp.up_proj", "B");
    const spoil = (tensors: Tensors): void => {
      const { shape, data } = tensors.get(name) ?? expect.fail(name);
      tensors.set(name, { shape, data: Float32Array.from(data, (x, i) => (i === 5 ? Number.NaN : x)) });
    };
    expect(await withTensors(spoil)).toBe(`${weightsName}: ${name} must hold finite numbers; got NaN at 5`);
  });

  it("where one layer has a rank that would fill the memory for all", async () => {
    const config = { ...groupedModel, nEmbd: 96, headDim: 24, nLayer: 200 };
    const matrix = (shape: readonly [number, number]) => ({ shape, data: new Float32Array(shape[0] * shape[1]) });
    const source = memorySource(
      writeSafetensors([
        { name: nameOf("7.self_attn.k_proj", "A"), ...matrix([4096, 96]) },
        { name: nameOf("7.self_attn.k_proj", "B"), ...matrix([48, 4096]) },
      ]),
    );
    const json = { peft_type: "LORA", r: 4096, lora_alpha: 1, target_modules: "expression" };
    const peft = parsePeftConfig(new TextEncoder().encode(JSON.stringify(json)), "config");
    await expect(readAdapterValues(config, peft, source, "adapter")).rejects.toThrow(
      "adapter: the layers must have similar ranks, because all layers get the highest rank; got 450.0 MiB instead of 2.3 MiB",
    );
  });

  it("where a file is missing, a link, cut off or changed after it was saved", async () => {
    const directory = await copyAdapter("llama", newPath());
    const weights = join(directory, weightsName);
    const bytes = await readFile(weights);
    await writeFile(weights, bytes.subarray(0, 3000));
    expect(await failure("llama", directory)).toMatch(/is the file truncated\?|a complete copy of the file/u);
    await rm(weights);
    await writeFile(join(directory, "adapter_model.bin"), "pickle");
    expect(await failure("llama", directory)).toMatch(
      /^adapter_model\.safetensors: a checkpoint must have adapter_model\.safetensors; got no such file/u,
    );
    await writeFile(join(directory, "elsewhere"), bytes);
    await symlink(join(directory, "elsewhere"), weights);
    expect(await failure("llama", directory)).toMatch(/: the path must be a regular file; got a link/u);
    const saved = newPath();
    await writeCheckpoint(saved, { [configName]: await readFile(join(directory, configName)), [weightsName]: bytes });
    const changed = Uint8Array.from(bytes);
    changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
    await writeFile(join(saved, weightsName), changed);
    expect(await failure("llama", saved)).toMatch(
      /: the file must match its SHA-256 in manifest\.json; got other contents/u,
    );
  });
});

const cases = 100;

describe.each(["llama", "gpt2", "phi3", "patterns"])("an adapter like %s", (name) => {
  it(`is refused or loaded, in ${cases} forms`, async () => {
    const { directory, base, ids } = peftAdapter(name);
    const whole = new Map(
      [configName, weightsName].map((file) => [file, Uint8Array.from(readFileSync(join(directory, file)))]),
    );
    const path = newPath();
    await mkdir(path);
    for (const [file, bytes] of whole) await writeFile(join(path, file), bytes);
    const before = backend.bytesInUse();
    let loaded = 0;
    for (let index = 0; index < cases; index++) {
      const random = randomFor(`adapter ${name}`, index);
      const [target, bytes] = random.pick([...whole]);
      const change = random.below(3) > 0 ? (target === configName ? "forge" : "header") : "damage";
      const changed =
        change === "forge"
          ? new TextEncoder().encode(JSON.stringify(forge(random, JSON.parse(new TextDecoder().decode(bytes)))))
          : change === "header"
            ? forgeHeader(random, bytes)
            : damage(random, bytes);
      await writeFile(join(path, target), changed);
      const said = `${name} ${index}: ${target}`;
      try {
        const lm = await loadPretrained(base, { backend, adapter: path });
        const { data } = await lm.logits(ids.slice(0, 4));
        expect(data.length, said).toBe(4 * lm.model.vocabSize);
        await lm.close();
        loaded++;
      } catch (error) {
        if (!(error instanceof ForetokenError)) throw new Error(said, { cause: error });
        expect(error.message, said).not.toMatch(/\n/u);
        expect(error.message.length, said).toBeLessThanOrEqual(420);
        expect(error.message, said).toContain(path);
      }
      expect(backend.bytesInUse(), said).toBe(before);
      await writeFile(join(path, target), bytes);
    }
    // Some changes do no harm. So some adapters are refused, and others load.
    expect(loaded).toBeGreaterThan(0);
    expect(loaded).toBeLessThan(cases);
  });
});

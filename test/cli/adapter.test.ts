import { existsSync } from "node:fs";
import { cp, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import { openPretrained } from "#foretoken/pretrained/open.node.js";
import { largest } from "../support/closeness.ts";
import { baseModel, copyAdapter, modelWithText, peftAdapter } from "../support/peft.ts";
import { cli, jsonLines, tree, workplace } from "./cli.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let cwd: string;
let remove: () => Promise<void>;
beforeAll(async () => {
  ({ cwd, remove } = await workplace());
  await modelWithText("llama3", join(cwd, "base"));
  await writeFile(
    join(cwd, "base", "tokenizer_config.json"),
    JSON.stringify({ chat_template: "{% for m in messages %}{{ m.content }}{% endfor %}", eos_token: "2" }),
  );
  await writeFile(join(cwd, "base", "special.txt"), "not a model's file");
  const adapter = await copyAdapter("llama", join(cwd, "adapter"));
  await nameBase(adapter, "../base");
  await writeFile(join(cwd, "text.txt"), "01234567".repeat(30));
  await writeFile(join(cwd, "longer.txt"), "0123456789:;<=>".repeat(60));
});
afterAll(() => remove());

const nameBase = async (adapter: string, base: unknown): Promise<void> => {
  const path = join(adapter, "adapter_config.json");
  await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, "utf8")), base_model_name_or_path: base }));
};

const on = ["--backend", "reference", "--dtype", "float32", "--json"];

const lossOf = async (...args: readonly string[]): Promise<number> => {
  const { status, stdout, stderr } = await cli(["evaluate", ...args, "--data", "text.txt", "--split", "all", ...on], {
    cwd,
  });
  expect(status, stderr).toBe(0);
  return Number(jsonLines(stdout)[0]?.natsPerToken);
};

/** Largest difference between two sets of logits: from a merged model, and from the model with its adapter. */
const differenceOf = async (merged: string): Promise<number> => {
  const { ids } = peftAdapter("llama");
  const [one, other] = await Promise.all(
    [merged, "adapter"].map(async (name) => {
      const lm = await loadPretrained(join(cwd, name), { backend: "reference" });
      const { data } = await lm.logits(ids);
      await lm.close();
      return data;
    }),
  );
  return largest((one ?? []).map((x, i) => x - (other?.[i] as number)));
};

describe("merge", () => {
  test("refuses an adapter whose changes give no numbers, and names it", async () => {
    const huge = await copyAdapter("llama", join(cwd, "huge"));
    await nameBase(huge, "../base");
    const path = join(huge, "adapter_model.safetensors");
    const bytes = await readFile(path);
    const start = 8 + Number(bytes.readBigUInt64LE(0));
    for (let at = start; at + 4 <= bytes.length; at += 4) bytes.writeFloatLE(3e38, at);
    await writeFile(path, bytes);
    const { status, stderr } = await cli(["merge", "huge", "--out", "merged-huge"], { cwd });
    expect({ status, stderr }).toEqual({
      status: 2,
      stderr: expect.stringMatching(
        /huge: the weights with the adapter's changes must be finite numbers; got -?Infinity: /u,
      ),
    });
    expect(existsSync(join(cwd, "merged-huge"))).toBe(false);
  });

  test("writes a model that computes the same without the adapter", async () => {
    const { status, stdout, stderr } = await cli(["merge", "adapter/"], { cwd });
    expect({ status, stderr }).toEqual({
      status: 0,
      stderr: expect.stringMatching(/^adapter\/: unchecked, .*\n\S+base: unchecked, .*\n$/u),
    });
    expect(stdout).toMatch(
      /^adapter-merged: 13,416 parameters of \S+base, including the merged adapter\nIf you open the merged model in bfloat16, rounding removes a part of what the adapter learned\. [^\n]* --dtype float32, or use the unmerged adapter adapter\/\.\n$/u,
    );
    expect(await differenceOf("adapter-merged")).toBeLessThan(1e-5);
    // The model's tokenizer and chat template, and no other files.
    expect(tree(join(cwd, "adapter-merged"))).toEqual([
      "config.json",
      "generation_config.json",
      "manifest.json",
      "model.safetensors",
      "tokenizer.json",
      "tokenizer_config.json",
    ]);
    for (const file of ["tokenizer.json", "tokenizer_config.json", "generation_config.json"]) {
      expect(await readFile(join(cwd, "adapter-merged", file))).toEqual(await readFile(join(cwd, "base", file)));
    }
    const again = await cli(["merge", "adapter", "--base", "base", "--json"], { cwd });
    expect(jsonLines(again.stdout)).toHaveLength(1);
    expect(jsonLines(again.stdout)[0]).toMatchObject({
      path: "adapter-merged",
      adapter: "adapter",
      base: "base",
      dtype: "float32",
    });
  });

  test("writes bfloat16, half as large", async () => {
    const { stdout } = await cli(["merge", "adapter", "--out", "narrow", "--dtype", "bfloat16"], { cwd });
    expect(stdout).toMatch(
      /\nRounding to bfloat16 has removed a part of what the adapter learned\. [^\n]* --dtype float32, or use the unmerged adapter adapter\.\n$/u,
    );
    const opened = await openPretrained(join(cwd, "narrow"));
    await opened.weights.close();
    expect(opened).toMatchObject({ dtypes: ["BF16"], checked: true });
    const difference = await differenceOf("narrow");
    expect(difference).toBeGreaterThan(1e-4);
    expect(difference).toBeLessThan(0.3);
    const config = JSON.parse(await readFile(join(cwd, "narrow", "config.json"), "utf8"));
    expect(config).toMatchObject({ dtype: "bfloat16", architectures: ["LlamaForCausalLM"] });
  });

  test("changes nothing where it fails", async () => {
    await cp(join(cwd, "base"), join(cwd, "other"), { recursive: true });
    const before = tree(cwd);
    const refused = async (...args: readonly string[]): Promise<string> => {
      const { status, stderr, stdout } = await cli(["merge", ...args], { cwd });
      expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
      expect(tree(cwd)).toEqual(before);
      return stderr.trim().split("\n").at(-1) ?? "";
    };
    expect(await refused("adapter", "--out", "other")).toMatch(
      /^foretoken: other: the folder must be new, empty or contain only an earlier checkpoint; got a folder that contains "/u,
    );
    expect(await refused("adapter", "--base", "adapter-merged", "--out", "adapter-merged")).toMatch(
      /^foretoken: \S+adapter-merged: the folder must not be the source's own folder; got \S+, the adapter's base model;/u,
    );
    expect(await refused("base", "--out", "new")).toContain("base: the path must name an adapter; got a whole model");
    expect(await refused("adapter", "--out", "new", "--base", "adapter")).toMatch(
      /^foretoken: adapter: the path must name a whole model; got an adapter alone; try npx foretoken merge adapter$/u,
    );
    expect(await refused("adapter", "--out", "new", "--base", baseModel("gpt2"))).toMatch(
      /adapters must belong to linear layers of the model's blocks, such as transformer\.h\.0\.attn\.c_attn; got /u,
    );
    expect(await refused("adapter", "--out", ".")).toMatch(/must not be or contain the working directory/u);
  });
});

/** Trains from the model in `base`, on windows of 24 tokens. The context length of the model is 48 tokens. */
const train = async (out: string, ...more: readonly string[]): Promise<void> => {
  const small = ["--steps", "4", "--batch-size", "2", "--model.contextLength", "24", "--train.sampleTokens", "0"];
  const about = ["--init-from", "base", "--data", "longer.txt", ...small, ...on, "--out", out, ...more];
  const { status, stderr } = await cli(["train", ...about], { cwd });
  expect(status, stderr).toBe(0);
};

describe("a run", () => {
  beforeAll(async () => {
    await train("whole");
    await train("tuned", "--lora.rank", "2", "--learning-rate", "0.05");
  });

  test("without an adapter needs no merging, and merge says so", async () => {
    for (const named of ["whole", "whole/checkpoint"]) {
      const { status, stdout, stderr } = await cli(["merge", named], { cwd });
      expect({ status, stdout, stderr }).toEqual({
        status: 2,
        stdout: "",
        stderr: `foretoken: ${named}: the run must have trained an adapter; got a run that trained all weights: its result is already a whole model; try the run itself instead of a merged model\n`,
      });
    }
  });

  test("of a whole model is no adapter, and --adapter says so", async () => {
    for (const named of ["whole", "whole/checkpoint"]) {
      const { status, stderr } = await cli(["generate", "base", "--adapter", named], { cwd });
      expect({ status, stderr }).toEqual({
        status: 2,
        stderr: expect.stringMatching(
          /^foretoken: whole\/\w+: the path must name an adapter; got a whole model; try the folder or GGUF file of an adapter\n$/u,
        ),
      });
    }
  });

  test("of an adapter has the windows of its training on its page, and its model's context in info", async () => {
    expect(await readFile(join(cwd, "tuned", "README.md"), "utf8")).toMatch(/, trained in windows of 24 tokens \|$/mu);
    expect(await readFile(join(cwd, "whole", "README.md"), "utf8")).toMatch(/, context 24 \|$/mu);
    const { stdout } = await cli(["info", "tuned"], { cwd });
    expect(stdout).toMatch(/^context +48 tokens, /mu);
  });

  test("against another adapter takes the base of --base for each that does not find its own", async () => {
    await nameBase(await copyAdapter("llama", join(cwd, "moved")), "../gone");
    const compared = async (...args: readonly string[]): Promise<readonly unknown[]> => {
      const { status, stdout, stderr } = await cli(
        ["evaluate", ...args, "--data", "text.txt", "--split", "all", ...on],
        {
          cwd,
        },
      );
      expect(status, stderr).toBe(0);
      const found = jsonLines(stdout)[0] as { natsPerToken: number; against: { natsPerToken: number } };
      return [found.natsPerToken, found.against.natsPerToken];
    };
    const [own, whole, onMerged] = [
      await lossOf("adapter"),
      await lossOf("base"),
      await lossOf("moved", "--base", "adapter-merged"),
    ];
    expect(onMerged).not.toBeCloseTo(own, 4);
    expect(await compared("moved", "--against", "moved", "--base", "base")).toEqual([own, own]);
    // The second adapter finds its base.
    expect(await compared("moved", "--against", "adapter", "--base", "adapter-merged")).toEqual([onMerged, own]);
    // One of the two models is whole, in either place.
    expect(await compared("moved", "--against", "base", "--base", "base")).toEqual([own, whole]);
    expect(await compared("base", "--against", "moved", "--base", "base")).toEqual([whole, own]);
    expect(await compared("base", "--adapter", "adapter", "--against", "moved", "--base", "base")).toEqual([own, own]);
    // The folder of the run of the second adapter has a copy of its base, which comes before --base.
    await rename(join(cwd, "base"), join(cwd, "away"));
    const kept = await cli(
      [
        "evaluate",
        "moved",
        "--base",
        "adapter-merged",
        "--no-base-check",
        "--against",
        "tuned",
        "--data",
        "text.txt",
        ...on,
      ],
      { cwd },
    );
    await rename(join(cwd, "away"), join(cwd, "base"));
    expect(kept.status, kept.stderr).toBe(0);
    expect(kept.stderr).toMatch(/using \S+base instead/u);
    expect(kept.stderr).not.toContain("--base");
    const none = await cli(["evaluate", "base", "--against", "base", "--base", "base", "--data", "text.txt", ...on], {
      cwd,
    });
    expect(none).toMatchObject({ status: 2, stderr: expect.stringContaining("--base") });
    // --no-base-check is for the model that is an adapter.
    const flags = ["--no-base-check", "--base", "base"];
    expect(await compared("base", "--against", "moved", ...flags)).toEqual([whole, own]);
    expect(await compared("moved", "--against", "base", ...flags)).toEqual([own, whole]);
    const unused = "--no-base-check: must be used only with an adapter";
    for (const command of [
      ["evaluate"],
      ["evaluate", "--against", "base"],
      ["generate"],
      ["export", "--format", "gguf"],
    ]) {
      const { status, stderr } = await cli([...command, "base", "--no-base-check"], { cwd });
      expect({ command, status, stderr }).toMatchObject({ status: 2, stderr: expect.stringContaining(unused) });
    }
  });

  test("of an adapter has its own losses in the windows of its training, which the last line names", async () => {
    const notes = jsonLines(await readFile(join(cwd, "tuned", "metrics.jsonl"), "utf8"));
    const own = notes.findLast(({ type }) => type === "eval")?.valLoss;
    const figures = async (...args: readonly string[]): Promise<Record<string, unknown>> => {
      const { status, stdout, stderr } = await cli(["evaluate", "tuned", "--weights", "last", ...args, ...on], { cwd });
      expect(status, stderr).toBe(0);
      return jsonLines(stdout)[0] ?? {};
    };
    expect(await figures()).toMatchObject({ natsPerToken: own, contextLength: 24 });
    const against = await figures("--against", "base");
    expect(against).toMatchObject({ contextLength: 24, against: { contextLength: 24 } });
    expect(against.natsPerToken).toBeCloseTo(Number(own), 6);
    const other = await figures("--context-length", "48");
    expect(other.contextLength).toBe(48);
    expect(other.natsPerToken).not.toBe(own);
    expect(await figures("--data", "longer.txt")).toEqual(other);

    const shown = async (...args: readonly string[]): Promise<string> =>
      (await cli(["evaluate", ...args, ...on.slice(0, -1)], { cwd })).stdout;
    const held = "longer\\.txt, the part that was held out";
    expect(await shown("tuned")).toMatch(new RegExp(`^measured on +${held}, in windows of 24 tokens$`, "mu"));
    expect(await shown("tuned", "--against", "base")).toMatch(
      new RegExp(`^measured on +${held}, in windows of 24 `, "mu"),
    );
    // If the length of a window is the model's context length, the length is printed too.
    expect(await shown("base", "--data", "longer.txt")).toMatch(/^measured on +.*, in windows of 48 tokens$/mu);
    expect(await shown("whole")).toMatch(new RegExp(`^measured on +${held}, in windows of 24 tokens$`, "mu"));
  });
});

test("verify measures a run in the windows of its training, as evaluate does, and another text in the model's", async () => {
  const few = ["--prompt-count", "1", "--max-new-tokens", "2", "--backend", "reference", "--json"];
  const verified = async (...args: readonly string[]): Promise<Record<string, unknown>> => {
    const { status, stdout, stderr } = await cli(["verify", "tuned", "tuned/best", ...args, ...few], { cwd });
    expect(status, stderr).toBe(0);
    return jsonLines(stdout)[0] ?? {};
  };
  const { bitsPerByte } = jsonLines((await cli(["evaluate", "tuned", ...on], { cwd })).stdout)[0] ?? {};
  const own = await verified();
  expect(own).toMatchObject({ contextLength: 24, forms: [{ contextLength: 24, bitsPerByte: own.bitsPerByte }] });
  expect(own.bitsPerByte).toBeCloseTo(Number(bitsPerByte), 6);
  expect(await verified("--data", "longer.txt")).toMatchObject({ contextLength: 48, forms: [{ contextLength: 48 }] });
  expect(await verified("--context-length", "12")).toMatchObject({ contextLength: 12 });
});

describe("a model with an adapter", () => {
  test("is named by the adapter's folder, with its own model or another, or beside the model", async () => {
    const [plain, beside, named, given] = await Promise.all([
      lossOf("base"),
      lossOf("base", "--adapter", "adapter"),
      lossOf("adapter"),
      lossOf("adapter", "--base", "adapter-merged"),
    ]);
    expect(beside).not.toBe(plain);
    expect(named).toBe(beside);
    expect(given).not.toBe(beside);
  });

  test("writes and chats", async () => {
    const prompt = ["--prompt", "0123", "--max-new-tokens", "8", "--temperature", "0"];
    const textOf = async (...args: readonly string[]): Promise<unknown> => {
      const { stdout, stderr } = await cli(["generate", ...args, ...prompt, ...on], { cwd });
      expect(stderr).toMatch(/unchecked/u);
      return jsonLines(stdout).at(-1)?.text;
    };
    const [plain, adapted, chat] = await Promise.all([
      textOf("base"),
      textOf("base", "--adapter", "adapter"),
      cli(["chat", "adapter", "--max-new-tokens", "4", ...on], { cwd, input: "0123\n" }),
    ]);
    expect(adapted).not.toBe(plain);
    expect(chat.status, chat.stderr).toBe(0);
    expect(jsonLines(chat.stdout).at(-1)).toMatchObject({ type: "done" });
  });

  test("is told about by info", async () => {
    const expected = { rank: 4, alpha: 8, parameters: 2 * 4 * 384, checked: false };
    const [told, shown, plain] = await Promise.all([
      cli(["info", "base", "--adapter", "adapter", "--json"], { cwd }),
      cli(["info", "adapter", "--base", "base"], { cwd }),
      cli(["info", "base", "--json"], { cwd }),
    ]);
    expect(jsonLines(told.stdout)[0]).toMatchObject({ architecture: "LlamaForCausalLM", adapter: expected });
    expect(shown.stdout).toMatch(/^rank +4, alpha 8, on query, key, value, projection, gate, up, down$/mu);
    expect(jsonLines(plain.stdout)[0]).toMatchObject({ adapter: null });
  });
});

describe("an adapter whose model is not here", () => {
  test("is refused with the flag that names it", async () => {
    const lost = await copyAdapter("llama", join(cwd, "lost"));
    await nameBase(lost, "org/name");
    const line =
      /^foretoken: lost\/adapter_config\.json: base_model_name_or_path: the adapter's base model must be on this disk; got "org\/name"; try --base hf:org\/name$/mu;
    for (const args of [
      ["generate", "lost", "--prompt", "0"],
      ["info", "lost"],
      ["merge", "lost", "--out", "new"],
    ]) {
      const { status, stderr } = await cli(args, { cwd });
      expect(status).toBe(2);
      expect(stderr).toMatch(line);
    }
  });

  test("and flags that do not go together", async () => {
    const { directory } = peftAdapter("llama");
    const refused = async (...args: readonly string[]): Promise<string> => (await cli(args, { cwd })).stderr;
    expect(await refused("info", "base", "--base", "base")).toBe(
      "foretoken: --base: must be used only to load an adapter, because base is the adapter's base model; got base, which is not an adapter\n",
    );
    expect(await refused("generate", "adapter", "--adapter", directory, "--prompt", "0")).toMatch(
      /^foretoken: --adapter: must be used only to load a whole model; got adapter, which is an adapter itself; try the adapter's base model$/mu,
    );
    expect(await refused("info", "--adapter", "adapter")).toBe(
      "foretoken: --adapter: works only with a model; got no model; try info MODEL\n",
    );
  });
});

/** The check of an adapter's base model. */
import { cp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { cli, tinyWith, workplace } from "../cli/cli.ts";
import { damage, others, withoutHash } from "../pretrained/adapter/base/use-bases.ts";
import { checked } from "./checked.ts";

let cwd: string;
let remove: () => Promise<void>;
/** A path in the folder of this file's tests. */
const at = (...names: readonly string[]): string => join(cwd, ...names);

/**
 * A model, a run that trained an adapter for this model, and another model. A test may change the model and the run.
 */
const made = ["model", "run"];
beforeAll(async () => {
  ({ cwd, remove } = await workplace());
  const train = async (...flags: readonly string[]): Promise<void> => {
    const { status, stderr } = await cli(["train", ...flags], { cwd });
    expect(status, stderr).toBe(0);
  };
  for (const [name, seed] of [
    ["model", "1"],
    ["other", "2"],
  ] as const) {
    await train(...tinyWith("--steps", "1", "--seed", seed), "--out", `${name}-run`);
    await rename(at(`${name}-run`, "checkpoint"), at(name));
  }
  const small = ["--steps", "2", "--batch-size", "2", "--train.sampleTokens", "0", "--backend", "reference"];
  await train("--init-from", "model", "--data", "text.txt", "--lora.rank", "1", ...small, "--out", "run");
  for (const name of made) await rename(at(name), at(`${name}-as-made`));
});
beforeEach(async () => {
  for (const name of made) {
    await rm(at(name), { recursive: true, force: true });
    await cp(at(`${name}-as-made`), at(name), { recursive: true });
  }
});
afterAll(() => remove());

const right = (place: string) => ({
  status: "ok",
  fact: `${place}: has the weights that the adapter was trained on (SHA-256)`,
  advice: null,
});
const wrong = (fact: unknown, model = "MODEL") => ({
  status: "failed",
  fact,
  advice: `move the adapter's base model back to this path, or name a copy of the base model when you load the adapter: --base ${model}`,
});

describe("a run of adapters", () => {
  it("is right beside its base, and with the copy that it keeps", async () => {
    const found = await checked(at("run"));
    expect(Object.keys(found)).toEqual(["run", "files: base", "files: best", "files: checkpoint", "base"]);
    expect(found.base).toEqual(right(at("model")));
    await rm(at("model"), { recursive: true });
    expect((await checked(at("run"))).base).toEqual(right(at("run", "base")));
  });

  it("fails where the base is gone, and no copy is kept", async () => {
    await rm(at("model"), { recursive: true });
    await rm(at("run", "base"), { recursive: true });
    const gone = wrong(
      expect.stringMatching(
        /best\/adapter_config\.json: base_model_name_or_path: the adapter's base model must be on this disk; got "/u,
      ),
    );
    const { base, ...more } = await checked(at("run"));
    expect(base).toEqual(gone);
    expect(Object.values(more).map(({ status }) => status)).toEqual(["ok", "ok", "ok"]);
    const folder = await checked(at("run", "best"));
    expect(folder).toEqual({ files: expect.objectContaining({ status: "ok" }), base: gone });
  });

  it("fails where another model is in the place of the base, and the copy is damaged", async () => {
    await rm(at("model"), { recursive: true });
    await cp(at("other"), at("model"), { recursive: true });
    expect((await checked(at("run"))).base).toEqual(right(at("run", "base")));
    await damage(at("run", "base", "model.safetensors"));
    const { "files: base": kept, base } = await checked(at("run"));
    expect(kept?.status).toBe("failed");
    expect(base).toMatchObject({ status: "failed", advice: wrong("").advice });
    await rm(at("run", "base"), { recursive: true });
    expect((await checked(at("run"))).base).toEqual(wrong(`${at("model")}: ${others}${at("run", "best")}`));
  });

  it("fails where the weights of the base are damaged, which its manifest does not tell", async () => {
    await damage(at("model", "model.safetensors"));
    expect((await checked(at("run"))).base).toEqual(right(at("run", "base")));
    await rm(at("run", "base"), { recursive: true });
    expect((await checked(at("run"))).base).toEqual(
      wrong(expect.stringMatching(/model\.safetensors: the file must match its SHA-256 .*; got other contents$/u)),
    );
  });

  it("whose best adapter cannot be opened is checked by another one", async () => {
    await rm(at("run", "best", "adapter_config.json"));
    expect(await checked(at("run"))).toMatchObject({ "files: best": { status: "failed" }, base: right(at("model")) });
  });
});

describe("an adapter", () => {
  const nameBase = async (base: string | null): Promise<void> => {
    const path = at("run", "best", "adapter_config.json");
    const config = JSON.parse(await readFile(path, "utf8"));
    await writeFile(path, JSON.stringify({ ...config, base_model_name_or_path: base, revision: null }));
  };

  it("that does not say which weights it was trained on must fit its base", async () => {
    await withoutHash(at("run", "best"));
    expect((await checked(at("run", "best"))).base).toEqual({
      status: "skipped",
      fact: `${at("model")}: the adapter has the right shapes, but does not say which weights it was trained on`,
      advice: null,
    });
  });

  it("that names no model is skipped", async () => {
    await withoutHash(at("run", "best"));
    await nameBase(null);
    expect((await checked(at("run", "best"))).base).toEqual({
      status: "skipped",
      fact: `${at("run", "best")} does not name its base model; to load it, add --base MODEL`,
      advice: null,
    });
  });

  it("of a model of the hub is put on the copy that was fetched, and the hub is not asked", async () => {
    await rm(at("run", "best", "manifest.json"));
    await nameBase("org/name");
    vi.stubEnv("FORETOKEN_CACHE", at("cache"));
    vi.stubEnv("HF_ENDPOINT", "http://127.0.0.1:9");
    try {
      expect((await checked(at("run", "best"))).base).toEqual(right(at("run", "base")));
      await rm(at("run", "base"), { recursive: true });
      expect((await checked(at("run", "best"))).base).toEqual(
        wrong(expect.stringMatching(/must be on this disk; got "org\/name"$/u), "hf:org/name"),
      );
      const [hub, commit] = [at("cache", "hub", "org--name"), "0".repeat(40)];
      await cp(at("model"), join(hub, commit), { recursive: true });
      await writeFile(join(hub, "main.ref"), commit);
      expect((await checked(at("run", "best"))).base).toEqual(right(join(hub, commit)));
    } finally {
      vi.unstubAllEnvs();
    }
  });
});

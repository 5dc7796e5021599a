import { beforeEach, expect, it, vi } from "vitest";
import type { RunConfig } from "#foretoken/config/config.js";

beforeEach(() => {
  vi.stubGlobal("location", { hash: "", pathname: "/new", search: "", href: "http://localhost/new" });
  vi.stubGlobal("sessionStorage", { getItem: () => null, setItem: () => {}, removeItem: () => {} });
  vi.stubGlobal("window", new EventTarget());
  vi.stubGlobal("document", new EventTarget());
});
const likeRun = () => import("../../web/new-run/like-run.ts");

const configWith = (learningRate: number) =>
  ({ model: { nLayer: 2 }, train: { learningRate, steps: 50, extensions: [] }, lora: null }) as unknown as RunConfig;
const known = ["model.nLayer", "train.learningRate", "train.steps"].map((path) => ({ path }));

it("takes the recipe of a run, and the fields that differ from it", async () => {
  const { settingsLike } = await likeRun();
  const run = { preset: "quick", config: configWith(1e30) } as const;
  expect(settingsLike(run, known, configWith(1e-3))).toEqual({
    preset: "quick",
    values: { "train.learningRate": "1e+30" },
  });
});

it("takes every field of the form where no text tells what follows from it", async () => {
  const { settingsLike } = await likeRun();
  expect(settingsLike({ preset: null, config: configWith(0.5) }, known, undefined)).toEqual({
    preset: "",
    values: { "model.nLayer": "2", "train.learningRate": "0.5", "train.steps": "50" },
  });
});

it("finds a text by its name, and the model that a run began with", async () => {
  const { textLike, modelLike } = await likeRun();
  expect(textLike("moby-dick", ["moby-dick"], ["moby-dick"])).toEqual({ kind: "corpus", corpus: "moby-dick" });
  expect(textLike("a.txt", ["moby-dick"], ["b.txt", "notes/a.txt"])).toEqual({ kind: "file", file: "notes/a.txt" });
  expect(textLike("pasted.txt", ["moby-dick"], [])).toBeUndefined();
  const keys = ["models/hf:a/b", "runs/first/best", "runs/first/last"];
  expect(modelLike("/home/me/runs/first/best", keys)).toBe("runs/first/best");
  expect(modelLike("runs\\first\\checkpoint", keys)).toBe("runs/first/last");
  expect(modelLike("elsewhere/other/best", keys)).toBe("");
  expect(modelLike(null, keys)).toBe("");
});

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cli, jsonLines, tiny, workplace } from "./cli.ts";

let place: Awaited<ReturnType<typeof workplace>>;
const file = join("run", "nonfinite-step-2.safetensors");
let stopped: Awaited<ReturnType<typeof cli>>;

beforeAll(async () => {
  place = await workplace();
  // Every loss exceeds this ratio, except the first loss, which counts as good.
  stopped = await cli(["train", ...tiny, "--out", "run", "--train.maxLossRatio", "0.001"], place);
});
afterAll(() => place.remove());

describe("foretoken replay", () => {
  it("is what a stopped run names", () => {
    expect(stopped.status).toBe(2);
    expect(stopped.stderr).toMatch(
      /^foretoken: step 2: the loss must not exceed 0\.001 × 2\.\d+ .*; got loss [\d.]+, .*\n$/mu,
    );
    expect(stopped.stderr).toContain(`; npx foretoken replay ${file}\n`);
    expect(stopped.stderr.length).toBeLessThanOrEqual(300);
  });

  it("makes the step again, and ends with 0", async () => {
    const { status, stdout, stderr } = await cli(["replay", file], place);
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/^step 2 of 6, which had an exploding loss\n/u);
    expect(stdout).toMatch(/^loss +([\d.]+) +\1$/mu);
    expect(stdout).toMatch(/^gradient norm +([\d.]+) +\1$/mu);
    expect(stdout).toMatch(/^first bad tensor +no tensor: all finite, largest gradient \S+$/mu);
    expect(stdout).toMatch(/^reproduced +yes$/mu);
  });

  it("tells programs in JSON, and says where it computes on another backend", async () => {
    const { status, stdout, stderr } = await cli(["replay", file, "--json", "--backend", "wasm"], place);
    expect(status).toBe(0);
    expect(stderr).toMatch(/^computed on wasm \(simd128\), recorded on reference \(javascript\): /u);
    const [told] = jsonLines(stdout);
    expect(told).toMatchObject({
      step: 2,
      reason: "loss",
      backend: "wasm",
      reproduced: true,
      recorded: { backend: "reference", instructionSet: "javascript", dtype: "float32" },
    });
  });

  it("ends with 2 where something else comes out", async () => {
    const { readSafetensors, writeSafetensors } = await import("#foretoken/io/safetensors.js");
    const { readFile } = await import("node:fs/promises");
    const { tensors, metadata } = readSafetensors(await readFile(join(place.cwd, file)), file);
    await writeFile(
      join(place.cwd, "other.safetensors"),
      writeSafetensors(tensors.values(), { ...metadata, loss: "9" }),
    );
    const { status, stdout } = await cli(["replay", "other.safetensors"], place);
    expect(status).toBe(2);
    expect(stdout).toMatch(/^reproduced +no$/mu);
  });

  it.each([
    [
      "a file that is not there",
      ["replay", "nowhere"],
      /^foretoken: nowhere: must name a readable file; got no such file\n$/u,
    ],
    ["a folder", ["replay", "run"], /^foretoken: run: the path must be a regular file; got a folder\n$/u],
    ["a text", ["replay", "text.txt"], /^foretoken: text\.txt: the header must be at most \d+ bytes; got \d+; .*\n$/u],
    [
      "weights",
      ["replay", join("good", "checkpoint", "model.safetensors")],
      /^foretoken: good\/checkpoint\/model\.safetensors: the file must be the record of a step; got another .*\n$/u,
    ],
    ["no file", ["replay"], /^foretoken: replay: <file> must be given; got nothing; .*\n$/u],
  ])("refuses %s in one line", async (_, args, expected) => {
    if (args[1]?.startsWith("good") === true) await cli(["train", ...tiny, "--out", "good"], place);
    const { status, stderr } = await cli(args, place);
    expect(status).toBe(2);
    expect(stderr).toMatch(expected);
  });
});

describe("foretoken train --on-nonfinite", () => {
  it("has the choices in its help, and refuses others", async () => {
    const { stdout } = await cli(["train", "--help-all"], place);
    expect(stdout).toMatch(/--on-nonfinite <stop\|skip\|rollback>/u);
    const { status, stderr } = await cli(["train", ...tiny, "--out", "no", "--on-nonfinite", "skipp"], place);
    expect([status, stderr]).toEqual([
      2,
      'foretoken: --on-nonfinite: must be stop, skip or rollback; got "skipp"; try skip\n',
    ]);
  });

  it("goes on without the step", async () => {
    const flags = ["--on-nonfinite", "skip", "--train.maxLossRatio", "0.9975", "--json"];
    const { status, stdout } = await cli(["train", ...tiny, "--out", "skipped", ...flags], place);
    const events = jsonLines(stdout);
    const left = events.filter(({ type }) => type === "nonfinite");
    expect(status).toBe(0);
    expect(left.length).toBeGreaterThan(0);
    expect(left[0]).toMatchObject({ v: 1, action: "skip", loss: expect.any(Number), gradNorm: expect.any(Number) });
    expect(left[0]?.file).toBe(join("skipped", `nonfinite-step-${String(left[0]?.step)}.safetensors`));
  });
});

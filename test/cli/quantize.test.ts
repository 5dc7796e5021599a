import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { modelWithText } from "../support/peft.ts";
import { cli, jsonLines, tinyWith, tree, workplace } from "./cli.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let cwd: string;
let remove: () => Promise<void>;
beforeAll(async () => {
  ({ cwd, remove } = await workplace());
  await cli(["train", ...tinyWith("--out", "runs/notes")], { cwd });
  await modelWithText("llama3", join(cwd, "base"));
  await writeFile(join(cwd, "text.txt"), "0123456789:;<=>".repeat(60));
  await writeFile(join(cwd, "short.txt"), "0123456789");
  await writeFile(join(cwd, "odd.txt"), `${"It sat.\n".repeat(99)}It sät.\n`);
  await writeFile(join(cwd, "chat.jsonl"), '{"text": "0123"}\n');
});
afterAll(() => remove());

const run = (...args: readonly string[]) => cli(["quantize", ...args], { cwd });

describe("quantize", () => {
  test("writes a file beside the model, which commands take", async () => {
    const { status, stdout, stderr } = await run("base/");
    expect({ status, stderr }).toEqual({ status: 0, stderr: expect.stringMatching(/^base\/: unchecked, .*\n$/u) });
    expect(stdout).toMatch(/^base-q8_0\.gguf: 1\d,\d{3} parameters in q8_0, [\d.]+ KiB, \d\d% of float32\n/u);
    const shown = await cli(["info", "base-q8_0.gguf"], { cwd });
    expect(shown.stdout).toMatch(/Q8_0/u);
    const on = ["--backend", "reference", "--max-new-tokens", "3", "--json"];
    const generated = await cli(["generate", "base-q8_0.gguf", "--prompt", "01", ...on], { cwd });
    expect(generated.status, generated.stderr).toBe(0);
  });

  test("tells the losses before and after, in a folder of one's choice", async () => {
    const on = ["--data", "text.txt", "--backend", "reference", "--context-length", "8"];
    const { status, stdout, stderr } = await run("base", "--to", "q4_k", "--out", "models", ...on);
    expect(status, stderr).toBe(0);
    expect(stdout).toMatch(/^models[/\\]base-q4_k\.gguf: /u);
    expect(stdout).toMatch(
      /\d+ matrices are in q5_0 instead of q4_k: their rows of \d+ weights cannot be divided into blocks of q4_k; --to q4_1 keeps 4 bits for such rows\n/u,
    );
    expect(stdout).toMatch(/\nnats per token +\d\.\d{4} +\d\.\d{4} +[+-]\d\.\d{4} ± \d\.\d{4}\n/u);
    expect(stdout).toMatch(/\nmeasured on +[\d,]+ tokens of text\.txt, its last 10%, in windows of \d+ tokens\n$/u);
    const again = await run("models/base-q4_k.gguf", "--to", "f16", "--out", "wide.gguf", "--json", ...on);
    expect(jsonLines(again.stdout)).toMatchObject([
      {
        path: "wide.gguf",
        model: "models/base-q4_k.gguf",
        encoding: "f16",
        fallbacks: [],
        from: ["F16", "F32", "Q5_0"],
      },
    ]);
    const { loss } = jsonLines(again.stdout)[0] as { readonly loss: Record<string, { readonly natsPerToken: number }> };
    // The quantized numbers are binary16 numbers, or nearly. So quantizing changes the loss little.
    expect(Math.abs((loss.after?.natsPerToken ?? 0) - (loss.before?.natsPerToken ?? 1))).toBeLessThan(0.01);
  });

  test("calibrates on the first 90% of a text", async () => {
    const on = ["--calibrate", "text.txt", "--backend", "reference", "--to", "q4_0"];
    const { status, stdout, stderr } = await run("base", ...on, "--out", "calibrated.gguf");
    expect(status, stderr).toBe(0);
    expect(stdout).toMatch(/\ncalibrated \d+ matrices on [\d,]+ tokens of the first 90% of text\.txt\n$/u);
    await run("base", "--to", "q4_0", "--out", "plain.gguf");
    const [calibrated, plain] = await Promise.all(
      ["calibrated.gguf", "plain.gguf"].map((name) => readFile(join(cwd, name), "latin1")),
    );
    expect(calibrated).toContain("quantize.imatrix.dataset");
    expect(plain).not.toContain("quantize.imatrix");
    const json = await run("base", ...on, "--out", "again.json.gguf", "--json");
    expect(jsonLines(json.stdout)[0]).toMatchObject({ calibration: { matrices: expect.any(Number), without: [] } });
    expect(await readFile(join(cwd, "again.json.gguf"), "latin1")).toBe(calibrated);
  });

  test("advises another text for characters that the model does not know", async () => {
    const { status, stderr } = await cli(["quantize", "runs/notes", "--data", "odd.txt", "--backend", "reference"], {
      cwd,
    });
    expect(status).toBe(2);
    expect(stderr).toMatch(/got "ä" .*line 100.*; try a text without this character, or a model/u);
    expect(stderr).not.toContain("--unknown");
    expect(tree(cwd).filter((name) => name.includes("notes-"))).toEqual([]);
  });

  test("never replaces a file that is no GGUF file, such as the text that it reads", async () => {
    const text = await readFile(join(cwd, "text.txt"));
    await writeFile(join(cwd, "text.gguf"), text);
    const given = ["--calibrate", "text.gguf", "--backend", "reference", "--to", "q4_0"];
    const { status, stderr } = await run("base", ...given, "--out", "text.gguf", "--overwrite");
    expect({ status, stderr }).toEqual({
      status: 2,
      stderr: "foretoken: text.gguf: only a GGUF file may be overwritten; got another file; try another name\n",
    });
    expect(await readFile(join(cwd, "text.gguf"))).toEqual(text);
  });

  test("replaces a file where it is asked to, and writes nothing for bad input", async () => {
    await writeFile(join(cwd, "mine.gguf"), "GGUF precious");
    await mkdir(join(cwd, "folder.gguf"));
    const before = tree(cwd);
    const refused = async (...args: readonly string[]): Promise<string> => {
      const { status, stderr, stdout } = await run(...args);
      expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
      expect(tree(cwd)).toEqual(before);
      return stderr.trim().split("\n").at(-1) ?? "";
    };
    const out = ["--out", "new.gguf"];
    expect(await refused("base", "--to", "q3_k", ...out)).toMatch(
      /^foretoken: --to: must be f32, f16, .* or q4_k; got "q3_k"; try q/u,
    );
    expect(await refused("base", "--to", "q9", ...out)).toMatch(/got "q9"; try q8_0$/u);
    expect(await refused("base", "--to", "q8_0", "--out", "mine.gguf")).toMatch(
      /^foretoken: mine\.gguf: the name must be free; got a file with this name; try another name, or --overwrite$/u,
    );
    expect(await refused("base", "--to", "q8_0", "--out", "folder.gguf", "--overwrite")).toMatch(
      /got a folder with this name/u,
    );
    expect(await refused("base", "--out", "mine.gguf", "--data", "text.txt")).toMatch(/the name must be free/u);
    expect(await refused("base", "--threads", "1", ...out)).toBe(
      "foretoken: --threads: works only with --data or --calibrate; got no --data; try --data FILE, or no --threads",
    );
    const calibrate = ["--calibrate", "text.txt"];
    expect(await refused("base", "--context-length", "8", ...calibrate, ...out)).toBe(
      "foretoken: --context-length: works only with --data; got no --data; try --data FILE, or no --context-length",
    );
    expect(await refused("base", "--to", "f16", ...calibrate, ...out)).toBe(
      "foretoken: --calibrate: must be used only with a quantized encoding; got f16, which needs no calibration; try q8_0, or no calibration",
    );
    expect(await refused("base", "--calibrate", "chat.jsonl", ...out)).toBe(
      "foretoken: --calibrate: must be a text; got documents; try a text file with the documents' texts",
    );
    expect(await refused("base", "--calibrate", "short.txt", "--to", "q4_0", ...out)).toBe(
      "foretoken: short.txt: a text for calibration must have at least 256 tokens; got 9; try a longer text",
    );
    expect(await refused("none", "--to", "q8_0", ...out)).toMatch(/^foretoken: none: the path must name a model;/u);
    expect(await refused("base", "--to", "q8_0", "--data", "chat.jsonl", ...out)).toMatch(
      /^foretoken: --data: must be a text; got documents; try writing the file without --data, then npx foretoken evaluate/u,
    );
    expect(await refused("base", "--to", "q8_0", "--embedding", "int4", ...out)).toMatch(
      /^foretoken: --embedding: must be f32/u,
    );
    expect(await readFile(join(cwd, "mine.gguf"), "utf8")).toBe("GGUF precious");
    const { status, stderr } = await run("base", "--to", "f32", "--out", "mine.gguf", "--overwrite");
    expect(status, stderr).toBe(0);
    expect((await readFile(join(cwd, "mine.gguf"))).subarray(0, 4).toString()).toBe("GGUF");
  });

  test("says that a file of few bits gets no better", async () => {
    const { stderr } = await run("base-q8_0.gguf", "--to", "f32", "--out", "again.gguf");
    expect(stderr).toMatch(
      /base-q8_0\.gguf: has matrices in Q8_0 already; encoding them again cannot improve them\n$/u,
    );
  });
});

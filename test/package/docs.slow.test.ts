import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { presets } from "#foretoken/config/presets.js";
import { root } from "./installed.ts";

describe("the reference, made from the docstrings", () => {
  let folder = "";
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "foretoken-docs-"));
    // In typedoc.json, a missing docstring or a broken link is an error.
    await promisify(execFile)(process.execPath, [join(root, "scripts/docs/reference.mjs"), folder]);
  });
  afterAll(() => rm(folder, { recursive: true }));

  it.each([
    ["foretoken.md", "index"],
    ["foretoken/browser.md", "browser"],
  ])("describes in %s each function and class that it exports", async (page, entry) => {
    const headings = [...(await readFile(join(folder, page), "utf8")).matchAll(/^### (?:`abstract` )?(\w+)/gm)];
    const exported = Object.keys(await import(`#foretoken/${entry}.js`));
    expect(exported.length).toBeGreaterThan(10);
    expect(headings.map(([, name]) => name)).toEqual(expect.arrayContaining(exported));
  });

  const pages = ["foretoken.md", "foretoken/browser.md"];

  it.each(pages)("begins %s with what is called first, each with an example", async (page) => {
    const text = await readFile(join(folder, page), "utf8");
    const functions = [...text.matchAll(/^### (\w+)\(\)$/gmu)].map(([, name]) => name as string);
    const first = ["train", "generate", "evaluate", "loadPretrained", "loadInWorker", "savePretrained", "openBackend"];
    const own = page === "foretoken.md" ? first : first.filter((name) => name !== "generate");
    expect(functions.filter((name) => first.includes(name))).toEqual(own);
    expect(functions[0]).toBe("train");
    // The functions come before the types.
    expect(text.indexOf("### openBackend()")).toBeLessThan(text.indexOf("## Type Aliases"));
    for (const name of own) {
      const section = text.slice(text.indexOf(`### ${name}()`)).split("\n***\n")[0] as string;
      expect(section, name).toMatch(/#### Example\n\n```ts\nimport \{[^}]*\} from "foretoken/u);
    }
  });

  it.each(pages)("names in %s each parameter, and has no function outside of a group", async (page) => {
    const text = await readFile(join(folder, page), "utf8");
    expect(text).not.toContain("__namedParameters");
    expect(text).not.toMatch(/^## (?:Functions|Variables)$/mu);
  });

  it("lists each field of the configuration with its values, its default and what it is in the presets", async () => {
    const lines = (await readFile(join(folder, "configuration.md"), "utf8")).split("\n");
    const rowsOf = (field: string): string[] => lines.filter((line) => line.startsWith(`| \`${field}\` |`));
    expect(rowsOf("model.nLayer")).toEqual([
      expect.stringMatching(/whole number from 1 to \d+ \| transformer blocks \|/),
    ]);
    // Two objects have this field. Each of the two objects has its own default.
    expect(rowsOf("model.norm.eps").map((row) => row.split(" | ")[3])).toEqual(["`0.00001`", "`0.000001`"]);
    const missing = Object.entries(presets.book).flatMap(([part, fields]) =>
      Object.keys(fields).filter((name) => !lines.some((line) => line.startsWith(`| \`${part}.${name}`))),
    );
    expect(missing).toEqual([]);
  });
});

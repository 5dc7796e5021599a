import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import * as foretoken from "#foretoken/index.js";
import { linksOf, root } from "../support/pages.ts";
import { codeOf, keptOf, notebookText, readNotebook } from "./notebook.ts";

const text = await notebookText();
const notebook = readNotebook(text);
const cells = codeOf(notebook);

test("the notebook is one of version 4, for Deno's kernel", () => {
  expect(notebook.metadata.kernelspec.name).toBe("deno");
  expect(notebook.metadata.language_info).toMatchObject({ name: "typescript", file_extension: ".ts" });
  expect(new Set(notebook.cells.map(({ id }) => id)).size).toBe(notebook.cells.length);
  // The file has Jupyter's format. So if Jupyter saves the file again, only lines of outputs change.
  expect(text).toBe(`${JSON.stringify(JSON.parse(text), null, 1)}\n`);
});

test("a notebook of another form is refused", () => {
  const wrong = (change: object): string => JSON.stringify({ ...notebook, ...change });
  expect(() => readNotebook(wrong({ nbformat: 3 }))).toThrow();
  expect(() => readNotebook(wrong({ cells: [{ cell_type: "code", id: "a", metadata: {}, source: [] }] }))).toThrow();
  expect(() => readNotebook(wrong({ cells: [{ cell_type: "raw", id: "a", metadata: {}, source: [] }] }))).toThrow();
});

test("its outputs are those of one run in order, without an error, and small", () => {
  expect(cells.map(({ execution_count }) => execution_count)).toEqual(cells.map((_, i) => i + 1));
  const outputs = cells.flatMap((cell) => cell.outputs);
  expect(outputs.filter((output) => output.output_type === "stream" && output.name === "stderr")).toEqual([]);
  expect(text.length).toBeLessThan(60_000);
  const shown = cells.map(keptOf).flatMap(({ printed, displayed }) => [printed, ...displayed.map(([, one]) => one)]);
  // The notebook must not contain paths of the machine on which it was executed.
  for (const one of shown) expect(one).not.toMatch(/\/(?:tmp|home|root|work|Users)\//u);
  expect(cells.map(keptOf).flatMap(({ displayed }) => displayed.map(([type]) => type))).toEqual([
    "image/svg+xml",
    "text/html",
    "image/svg+xml",
  ]);
});

test("it imports the library as a program of a user does, and names that it exports", () => {
  const code = cells.map(({ source }) => source.join("")).join("\n");
  const imports = [...code.matchAll(/^import \{ (.*) \} from "(.*)";$/gmu)];
  expect(imports.map(([, , from]) => from)).toEqual(["foretoken"]);
  const names = imports.flatMap(([, all = ""]) => all.split(", "));
  expect(Object.keys(foretoken)).toEqual(expect.arrayContaining(names));
  for (const name of names) expect(code.split(name).length, `${name} is used`).toBeGreaterThan(2);
});

test("its links lead to files", () => {
  const prose = notebook.cells.flatMap(({ cell_type, source }) => (cell_type === "markdown" ? [source.join("")] : []));
  const links = prose.flatMap(linksOf);
  expect(links.length).toBeGreaterThan(0);
  for (const { file } of links) expect(existsSync(join(root, "examples", file)), file).toBe(true);
});

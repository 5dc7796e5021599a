import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { expect, it } from "vitest";

const folder = fileURLToPath(new URL("../../dist/studio", import.meta.url));
const files = (await readdir(folder, { recursive: true, withFileTypes: true }))
  .filter((entry) => entry.isFile())
  .map(({ name, parentPath }) => join(parentPath, name));

const sizeOf = async (names: Iterable<string>): Promise<number> => {
  const scripts = await Promise.all([...names].map((name) => readFile(name)));
  return scripts.reduce((sum, bytes) => sum + gzipSync(bytes).length, 0);
};

/** The script, and the scripts that it imports. */
const withImports = async (name: string, known: Set<string> = new Set()): Promise<Set<string>> => {
  if (known.has(name)) return known;
  known.add(name);
  const code = await readFile(name, "utf8");
  for (const [, imported = ""] of code.matchAll(/(?:\bfrom|\bimport)\s*"(\.[^"]+)"/g))
    await withImports(join(name, "..", imported), known);
  return known;
};

it("loads less than 80 KiB of JavaScript, gzipped, and with all its views less than 160", async () => {
  const html = await readFile(join(folder, "index.html"), "utf8");
  const first = new Set<string>();
  for (const [, address = ""] of html.matchAll(/<script[^>]* src="([^"]+)"/g))
    await withImports(join(folder, address), first);
  expect(first.size).toBeGreaterThanOrEqual(2);
  expect(await sizeOf(first)).toBeGreaterThan(10_000);
  expect(await sizeOf(first)).toBeLessThan(80 * 1024);
  expect(await sizeOf(files.filter((name) => name.endsWith(".js")))).toBeLessThan(160 * 1024);
});

it("has no script or style in its HTML, and names no other host", async () => {
  const html = await readFile(join(folder, "index.html"), "utf8");
  expect(html).not.toMatch(/<style|style=|<script(?![^>]*\ssrc=)|\son[a-z]+=|https?:/i);
  const sources = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, address = ""]) => address);
  expect(sources.length).toBeGreaterThanOrEqual(4);
  for (const address of sources) expect(files).toContain(join(folder, address));
  const css = await readFile(files.find((name) => name.endsWith(".css")) ?? "", "utf8");
  expect(css).not.toMatch(/@import|https?:/);
});

it("carries the licences of the libraries in it", async () => {
  const names = files.filter((name) => /assets.*\.js$/.test(name));
  const script = (await Promise.all(names.map((name) => readFile(name, "utf8")))).join("\n");
  for (const library of ["preact", "@preact/signals", "@preact/signals-core", "uplot"])
    expect(script).toMatch(new RegExp(`With ${library} \\d+\\.\\d+`));
  expect(script).toContain("The MIT License");
});

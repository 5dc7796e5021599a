/** What those who carry on need to find: the scripts in CONTRIBUTING.md. */
import { expect, test } from "vitest";
import { readPage } from "./support/pages.ts";

interface Manifest {
  readonly scripts: Readonly<Record<string, string>>;
}
const manifest = JSON.parse(await readPage("package.json")) as Manifest;

/** Scripts that npm calls by itself. */
const hooks = ["prepare"];

test("CONTRIBUTING.md names each script of package.json, and no other", async () => {
  const page = (await readPage("CONTRIBUTING.md")).replaceAll(/\s+/gu, " ");
  const named = [...page.matchAll(/\bnpm (?:run ([\w:]+)|(start|test)\b)/gu)].map(([, run, own]) => run ?? own);
  const scripts = Object.keys(manifest.scripts).filter((name) => !hooks.includes(name));
  expect([...new Set(named)].sort()).toEqual(scripts.sort());
});

/** Tests information for contributors: the scripts in CONTRIBUTING.md, and the version in CHANGELOG.md. */
import { expect, test } from "vitest";
import { readPage } from "./support/pages.ts";

interface Manifest {
  readonly version: string;
  readonly scripts: Readonly<Record<string, string>>;
}
const manifest = JSON.parse(await readPage("package.json")) as Manifest;

/** Scripts that npm calls automatically. */
const hooks = ["prepare"];

test("CONTRIBUTING.md names each script of package.json, and no other", async () => {
  const page = (await readPage("CONTRIBUTING.md")).replaceAll(/\s+/gu, " ");
  const named = [...page.matchAll(/\bnpm (?:run ([\w:]+)|(start|test)\b)/gu)].map(([, run, own]) => run ?? own);
  const scripts = Object.keys(manifest.scripts).filter((name) => !hooks.includes(name));
  expect([...new Set(named)].sort()).toEqual(scripts.sort());
});

test("CHANGELOG.md begins with what is unreleased; below are versions with their dates, the newest first", async () => {
  const headings = [...(await readPage("CHANGELOG.md")).matchAll(/^## (.*)$/gmu)].map(
    ([, heading]) => heading as string,
  );
  expect(headings[0]).toBe("[Unreleased]");
  const released = headings.slice(1);
  expect(released.filter((heading) => !/^\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d$/u.test(heading))).toEqual([]);
  expect(released[0]).toMatch(`[${manifest.version}] - `);
  const newestFirst = released.toSorted((a, b) => b.localeCompare(a, "en", { numeric: true }));
  expect(released).toEqual(newestFirst);
});

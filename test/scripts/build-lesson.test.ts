import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

// The import uses a URL, because the scripts have no types.
const { buildLesson } = (await import(new URL("../../scripts/build/lesson.mjs", import.meta.url).href)) as {
  buildLesson(folder: string): Promise<string>;
};

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "foretoken-lesson-"));
});
afterEach(() => rm(folder, { recursive: true }));

test("the lesson is a folder of files that name each other by relative addresses", async () => {
  await buildLesson(folder);
  const names = await readdir(folder, { recursive: true });
  const html = await readFile(join(folder, "index.html"), "utf8");
  const addresses = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, address = ""]) => address);
  expect(addresses.length).toBeGreaterThanOrEqual(5);
  for (const address of addresses) {
    expect(address).toMatch(/^\.\//);
    expect(names).toContain(join(address));
  }
  // The script comes first in the page, because it may reload the page.
  expect(html.indexOf("isolate.js")).toBeLessThan(html.indexOf('type="module"'));
  expect(html).not.toMatch(/<style|style=|<script(?![^>]*\ssrc=)|\son[a-z]+=|https?:\/\//i);
  const worker = names.find((name) => /lesson-worker-/.test(name)) ?? "";
  const [, library = ""] =
    /\.\.\/(foretoken-[0-9a-f]{8}\.browser\.js)/.exec(await readFile(join(folder, worker), "utf8")) ?? [];
  expect(await readFile(join(folder, library), "utf8")).toBe(
    await readFile(new URL("../../dist/foretoken.browser.js", import.meta.url), "utf8"),
  );
  expect((await readFile(join(folder, "moby-dick.txt"), "utf8")).startsWith("Call me Ishmael.")).toBe(true);
  // The build may write into its own folder again. The build must not write into a folder with other files.
  await buildLesson(folder);
  await writeFile(join(folder, "CNAME"), "example.org");
  await expect(buildLesson(folder)).rejects.toThrow(
    /: must be empty, or a lesson that was built before; got a folder with CNAME; /,
  );
  expect(await readFile(join(folder, "CNAME"), "utf8")).toBe("example.org");
});

test("a site of one's own is left alone, whatever its files are called", async () => {
  await writeFile(join(folder, "index.html"), "mine");
  await writeFile(join(folder, "isolate.js"), "mine");
  await expect(buildLesson(folder)).rejects.toThrow(/got a folder with other files; try a new folder$/);
  expect(await readFile(join(folder, "index.html"), "utf8")).toBe("mine");
});

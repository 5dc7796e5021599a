/** Tests the guide on serving. The guide's tables equal the server's tables, and the guide's programs work. */
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { useServer } from "../../support/openai-server.ts";
import { readPage, root } from "../../support/pages.ts";

const script = new URL("../../../scripts/docs/serving-fields.mjs", import.meta.url).href;
const { servingPage }: { servingPage: () => Promise<{ readonly source: string; readonly text: string }> } =
  await import(script);

const server = useServer();
let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "foretoken-page-"));
  await symlink(join(root, "node_modules"), join(folder, "node_modules"), "junction");
});
afterAll(() => rm(folder, { recursive: true }));

it("the tables of fields are up to date", async () => {
  const { source, text } = await servingPage();
  const written = source.split("\n");
  const differing = text.split("\n").filter((line) => !written.includes(line));
  expect(differing, "node scripts/docs/serving-fields.mjs writes them").toEqual([]);
  expect(source).toBe(text);
  for (const kind of ["honoured", "accepted at its default", "accepted, changes nothing", "refused by name"])
    expect(text).toContain(`| ${kind} |`);
});

it("the programs write what the server answers", async () => {
  const blocks = [...(await readPage("docs/guides/serving.md")).matchAll(/```js\n([\s\S]*?)```/gu)];
  expect(blocks).toHaveLength(2);
  const asked = {
    model: "talk",
    messages: [{ role: "user", content: "who are you?" }],
    max_tokens: 40,
    temperature: 0,
  };
  const expected = (await server.post("/v1/chat/completions", asked)).body.choices[0].message.content;
  expect(expected).not.toBe("");
  for (const [i, [, block = ""]] of blocks.entries()) {
    const here = block
      .replace("http://127.0.0.1:8000", server.url())
      .replace("SmolLM2-135M-Instruct", "talk")
      // A prompt that contains only characters of the small model.
      .replace("Name three rivers.", "who are you?");
    const file = join(folder, `program-${i}.mjs`);
    await writeFile(file, here);
    const written: string[] = [];
    const write = vi.spyOn(process.stdout, "write").mockImplementation((text) => written.push(String(text)) > 0);
    try {
      await import(pathToFileURL(file).href);
    } finally {
      write.mockRestore();
    }
    expect(written.join("")).toBe(expected);
  }
});

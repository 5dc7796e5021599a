import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

interface Passage {
  readonly file: string;
  readonly line: number;
  readonly kind: string;
  readonly text: string;
}

const part = (name: string): Promise<unknown> =>
  import(new URL(`../../scripts/checks/prose/${name}.mjs`, import.meta.url).href);
const { passages, proseFiles, sentences } = (await part("read")) as {
  passages: (root: string, files: readonly string[]) => Passage[];
  proseFiles: (root: string) => string[];
  sentences: (text: string) => string[];
};
const { banned } = (await part("banned")) as { banned: readonly { readonly turn: RegExp }[] };

const source = `/** Reads a run that is none,
 * of which nothing is kept. */
export const read = (path: string): string => {
  // First line of a comment,
  // and its second line.
  const view = <p>Text of the page here</p>;
  fail("the file must be " + path + " of this run", \`got \${path} and more words\`);
  return "one two"; // after code it stands here
};
`;
const page = `# A heading with four words

A paragraph that has
two lines.

\`\`\`sh
npm run this is code
\`\`\`

| a cell with words | another cell with words |
|---|---|
`;

describe("the project's prose", () => {
  let root: string;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "foretoken-prose-"));
    await mkdir(join(root, "src"));
    await mkdir(join(root, "native"));
    await writeFile(join(root, "src/read.tsx"), source);
    await writeFile(
      join(root, "native/kernel.h"),
      "int x;  // A comment of three words\n/* Another comment with words */\n",
    );
    await writeFile(join(root, "page.md"), page);
    await writeFile(join(root, "CHANGELOG.md"), "A line that tells history.\n");
    await promisify(execFile)("git", ["init", "-q"], { cwd: root });
  });
  afterAll(() => rm(root, { recursive: true }));

  it("is read from comments, strings, elements and pages, with lines and kinds", () => {
    const files = proseFiles(root);
    expect(files).toEqual(["native/kernel.h", "page.md", "src/read.tsx"]);
    const found = passages(root, files).map(({ file, line, kind, text }) => `${file}:${line} ${kind} ${text}`);
    expect(found.sort()).toEqual(
      [
        "native/kernel.h:1 comments A comment of three words",
        "native/kernel.h:2 comments Another comment with words",
        "page.md:1 docs A heading with four words",
        "page.md:3 docs A paragraph that has\ntwo lines.",
        "page.md:10 docs a cell with words",
        "page.md:10 docs another cell with words",
        "src/read.tsx:1 comments Reads a run that is none,\nof which nothing is kept.",
        "src/read.tsx:4 comments First line of a comment,\nand its second line.",
        "src/read.tsx:6 messages Text of the page here",
        "src/read.tsx:7 messages got … and more words",
        "src/read.tsx:7 messages the file must be … of this run",
        "src/read.tsx:8 comments after code it stands here",
      ].sort(),
    );
  });

  it("splits into sentences of five words or more", () => {
    expect(
      sentences("One two three four five. Too short. It needs\nfive words again: Here are five words too."),
    ).toEqual(["One two three four five.", "It needs five words again:", "Here are five words too."]);
  });

  it.each([
    ["a folder that is none", true],
    ["a folder that is not a run", false],
    ["which is no run", true],
    ["which is no longer used", false],
    ["it is no faster", false],
    ["packed unless given", true],
    ["the losses of A are those of B", true],
    ["two parts, of which one is kept", true],
    ["the run goes on", true],
    ["the run moves on to the next step", false],
    ["it goes on to the next step", false],
    ["Of a text, the end is kept", true],
    ["WebAssembly serves.", true],
    ["node bench/serve.mjs serves requests", false],
    ["so does the other one", true],
  ])("%j has a banned turn: %j", (text, isBanned) => {
    expect(banned.some(({ turn }) => [...text.matchAll(turn)].length > 0)).toBe(isBanned);
  });
});

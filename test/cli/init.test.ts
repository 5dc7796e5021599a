import { mkdirSync, readdirSync, readFileSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { cli, onWindows, shell, tree, workplace } from "./cli.ts";

// The time limit is far longer than any test takes, because a machine may be slow or busy.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const root = fileURLToPath(new URL("../..", import.meta.url));
const noLinks = onWindows ? " (Windows allows links to administrators only)" : "";

let cwd: string;
let remove: () => Promise<void>;

beforeAll(async () => {
  ({ cwd, remove } = await workplace());
  cwd = realpathSync(cwd);
});

afterAll(() => remove());

const inside = (...parts: string[]): string => join(cwd, ...parts);
const readText = (...parts: string[]): string => readFileSync(inside(...parts), "utf8");

/** The names of a starter's files except its text. Each name has the path of its source in this project. */
const filesOf = (kind: string, js: boolean): Readonly<Record<string, string>> => {
  const inFolder = (folder: string): (readonly [string, string])[] =>
    readdirSync(join(root, folder)).map((name) => [name === "gitignore" ? ".gitignore" : name, join(folder, name)]);
  const template = inFolder(`templates/${kind}`);
  if (!js) return Object.fromEntries(template);
  const shared = template.filter(([name]) => /\.(html|css|svg)$/u.test(name));
  return Object.fromEntries([...shared, ...inFolder(`templates/${kind}-js`), ...inFolder(`dist/starters/${kind}`)]);
};

describe.each([
  ["page", []],
  ["page", ["--js"]],
  ["node", []],
  ["node", ["--js"]],
] as const)("init %s %s", (kind, flags) => {
  test("writes its template's files with a text, and names the next commands", async () => {
    const folder = ["new", kind, ...flags].join("");
    const { status, stdout, stderr } = await cli(["init", kind, folder, ...flags], { cwd });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const files = filesOf(kind, flags.length > 0);
    const expected = [...Object.keys(files), "text.txt"].sort();
    expect(tree(inside(folder))).toEqual(expected);
    expect(expected).toContain(flags.length > 0 ? "main.js" : "main.ts");
    expect(stdout).toBe(
      `${expected.length} new files in ${folder}. Next:\n\n  cd ${folder}\n  npm install\n  npm start\n`,
    );
    for (const [name, path] of Object.entries(files)) {
      if (name === "package.json" || (name === "index.html" && flags.length > 0)) continue;
      expect(readText(folder, name)).toBe(readFileSync(join(root, path), "utf8"));
    }
    const list = readFileSync(join(root, "examples/names.txt"), "utf8");
    const text = readText(folder, "text.txt");
    expect(text.split("\n").sort()).toEqual(list.split("\n").sort());
    // The names are shuffled. In alphabetical order, the names in the held-out end would begin with other letters than
    // the names before them.
    expect(new Set(text.split("\n", 100).map((name) => name[0])).size).toBeGreaterThan(10);
    expect(readText(folder, ".gitignore")).toContain("node_modules\n");
  });
});

test("init page --js names the library and the script for a page without a bundler", async () => {
  await cli(["init", "page", "in-js", "--js"], { cwd });
  const [typeScript, javaScript] = [
    readFileSync(join(root, "templates/page/index.html"), "utf8"),
    readText("in-js", "index.html"),
  ];
  const scripts = (page: string): readonly string[] => page.match(/<script.*<\/script>/gu) ?? [];
  expect(scripts(typeScript)).toEqual(['<script type="module" src="./main.ts"></script>']);
  expect(scripts(javaScript)).toEqual([
    '<script type="importmap">{ "imports": { "foretoken/browser": "./foretoken.browser.js" } }</script>',
    '<script type="module" src="main.js"></script>',
  ]);
  const rest = (page: string): string => page.replaceAll(/\s*<script.*<\/script>/gu, "");
  expect(rest(javaScript)).toBe(rest(typeScript));
});

test.each(["page", "node"])("init %s writes into a folder of its name by itself", async (kind) => {
  expect((await cli(["init", kind], { cwd })).status).toBe(0);
  expect(tree(inside(`foretoken-${kind}`))).toContain("main.ts");
});

describe.each(["page", "node"])("init %s", (kind) => {
  test("depends on this package by its path, in a folder however deep, and in the current one", async () => {
    mkdirSync(inside("deep", kind, "here"), { recursive: true });
    await cli(["init", kind, `deep/${kind}/new folder`], { cwd });
    const here = await cli(["init", kind, "."], { cwd: inside("deep", kind, "here") });
    expect(here.stdout).toMatch(/^\d+ new files in this folder\. Next:\n\n {2}npm install\n {2}npm start\n$/u);
    for (const name of ["new folder", "here"]) {
      const folder = inside("deep", kind, name);
      const { dependencies, allowScripts } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
      expect(Object.keys(dependencies)).toEqual(["foretoken"]);
      const pathIn = (spec: string): string => /^file:(.+)$/u.exec(spec)?.[1] ?? "";
      expect(realpathSync(resolve(folder, pathIn(dependencies.foretoken)))).toBe(realpathSync(root));
      // npm resolves this path from node_modules.
      const [[denied = "", allowed] = []] = Object.entries(allowScripts);
      expect(realpathSync(resolve(folder, pathIn(denied).replace("../", "")))).toBe(realpathSync(root));
      expect(allowed).toBe(false);
    }
  });

  test("keeps what else is in the folder", async () => {
    mkdirSync(inside(`full-${kind}`));
    writeFileSync(inside(`full-${kind}`, "notes.txt"), "mine");
    expect((await cli(["init", kind, `full-${kind}`], { cwd })).status).toBe(0);
    expect(readText(`full-${kind}`, "notes.txt")).toBe("mine");
  });
});

test.skipIf(onWindows)("a folder's name moves no cursor, and the next command is right for a shell", async () => {
  const name = "new\u001b[2J one";
  const { stdout } = await cli(["init", "node", name], { cwd });
  expect(stdout).not.toContain("\u001b");
  expect(stdout).toContain(" new files in new\\u001b[2J one. ");
  expect(stdout).toContain("  cd $'new\\033[2J one'\n");
  expect(tree(inside(name))).toContain("main.ts");
});

test("a folder whose name looks like a flag is one of cd's", async () => {
  const { stdout } = await cli(["init", "node", "--", "-dash"], { cwd });
  expect(stdout).toContain("  cd ./-dash\n");
});

describe("init writes nothing", () => {
  const refused = async (folder: string, says: string): Promise<void> => {
    const before = tree(cwd);
    const { status, stdout, stderr } = await cli(["init", "page", folder], { cwd });
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toBe(`foretoken: init: folder ${folder}: ${says}; try another folder\n`);
    expect(tree(cwd)).toEqual(before);
  };

  test("where one of its files is, or a folder of that name", async () => {
    mkdirSync(inside("taken"));
    writeFileSync(inside("taken", "style.css"), "mine");
    await refused("taken", "must not contain any of the files to be written; got style.css");
    expect(readText("taken", "style.css")).toBe("mine");
    mkdirSync(inside("holder", "main.ts"), { recursive: true });
    await refused("holder", "must not contain any of the files to be written; got main.ts, a folder");
  });

  test("in the place of a file", () => refused("text.txt", "must be a folder, or not exist yet; got a file"));

  test.skipIf(onWindows)("below a file (a code of the system's)", async () => {
    const path = join(cwd, "text.txt", "page");
    const refusal = `must be a writable folder; got ENOTDIR: not a directory, lstat '${path}'`;
    await refused("text.txt/page", refusal);
  });

  test.skipIf(onWindows)(`through a link, to a file, to nothing or to a folder${noLinks}`, async () => {
    mkdirSync(inside("elsewhere"));
    writeFileSync(inside("secret.txt"), "mine");
    for (const [name, target] of [
      ["to-file", inside("secret.txt")],
      ["to-nothing", inside("elsewhere", "new.txt")],
    ] as const) {
      mkdirSync(inside(name));
      symlinkSync(target, inside(name, "text.txt"));
      await refused(name, "must not contain any of the files to be written; got text.txt, a link");
    }
    symlinkSync(inside("elsewhere"), inside("way-out"));
    await refused("way-out", "must be a folder, or not exist yet; got a link");
    expect(readText("secret.txt")).toBe("mine");
    expect(readdirSync(inside("elsewhere"))).toEqual([]);
  });

  test("in a folder that holds this package, whose link would replace it", async () => {
    const folder = resolve(root, "..");
    const { status, stderr } = await cli(["init", "node", folder], { cwd });
    expect(status).toBe(2);
    expect(stderr).toMatch(/must not be a folder that contains foretoken itself; got .*; try a folder next to it\n$/u);
  });

  test("where it is told nothing, or a kind that there is not", async () => {
    const before = tree(cwd);
    const none = await cli(["init"], { cwd });
    expect(none).toMatchObject({ status: 2, stderr: expect.stringContaining("<kind> must be given") });
    const unknown = await cli(["init", "pages"], { cwd });
    expect(unknown.stderr).toBe('foretoken: kind: must be page or node; got "pages"; try page\n');
    const surplus = await cli(["init", "page", "a", "b"], { cwd });
    expect(surplus).toMatchObject({ status: 2, stderr: expect.stringContaining('"b"') });
    expect(tree(cwd)).toEqual(before);
  });

  test.skipIf(onWindows)("that it cannot finish, as on a full disk", async () => {
    mkdirSync(inside("begun"));
    const before = tree(cwd);
    for (const folder of ["begun", "not/begun"]) {
      // Files may have at most 8 KiB; the text is longer.
      const { status, stderr } = await shell(`ulimit -f 8; foretoken init node ${folder}`, cwd);
      expect({ status, stderr }).toEqual({
        status: 2,
        stderr: expect.stringMatching(/^foretoken: init: folder .*; got EFBIG.*text\.txt'; try another folder\n$/u),
      });
      expect(tree(cwd)).toEqual(before);
    }
  });
});

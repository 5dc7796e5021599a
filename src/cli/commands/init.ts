import { lstat, readdir, readFile, realpath, unlink } from "node:fs/promises";
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { ConfigError } from "../../core/errors/errors.ts";
import { systemErrorCode } from "../../core/errors/system-error.ts";
import { randomKey, randomStream } from "../../core/random.ts";
import { oneLine } from "../../core/text/one-line.ts";
import { quotePath } from "../../core/text/shell-word.ts";
import { makeFolders, removeEmptyFolders, writeFlushed } from "../../io/files.node.ts";
import { checkArguments, parseChoice, parsePath } from "../flags/flags.ts";
import { notes } from "../help.ts";
import { writeOut } from "../process/output.ts";

const kinds = ["page", "node"] as const;
type Kind = (typeof kinds)[number];
type Form = "ts" | "js";

const examples = `
Examples:
  $ npx foretoken init page               a web page that trains a model, in foretoken-page
  $ npx foretoken init node ../my-model   a program for Node.js, in ../my-model
  $ npx foretoken init page --js          the page in JavaScript; it needs no other package

Existing files are never changed: if one of the files exists already, nothing is written.`;

/** Root folder of this package, in a clone and in an installed package. */
const packageRoot = fileURLToPath(new URL("../../../", import.meta.url));

interface NewFile {
  readonly name: string;
  readonly contents: string;
}

/** Shuffles the lines with a fixed seed, so that the validation split at the end is like the training split. */
const shuffled = (text: string): string => {
  const lines = text.trim().split("\n");
  const random = randomStream(randomKey(1, "batches"));
  for (let i = lines.length - 1; i > 0; i--) {
    const other = random.integer(i + 1);
    [lines[i], lines[other]] = [lines[other] as string, lines[i] as string];
  }
  return `${lines.join("\n")}\n`;
};

/** The text of both starters: 1,717 first names, one per line. */
const firstText = async (): Promise<NewFile> => ({
  name: "text.txt",
  contents: shuffled(await readFile(join(packageRoot, "examples/names.txt"), "utf8")),
});

/** Files that npm leaves out of packages. Maps the file's name in templates/ to its name in the starter. */
const hiddenNames: Readonly<Record<string, string>> = { gitignore: ".gitignore" };

/** A dependency on a local path, as npm writes it in package.json. */
const specOf = (from: string): string => `file:${relative(from, packageRoot).split(sep).join("/")}`;

/**
 * In templates/ a starter depends on the folder two levels up. In a copy of a starter, the dependency is the path from
 * the copy to the package.
 * `allowScripts` keeps npm from running a clone's scripts when the starter is installed. npm resolves the path in
 * `allowScripts` from node_modules.
 */
const withDependency = (text: string, folder: string): string => {
  const json = JSON.parse(text) as Record<string, unknown>;
  const dependencies = { foretoken: specOf(folder) };
  const allowScripts = { [specOf(join(folder, "node_modules"))]: false };
  return `${JSON.stringify({ ...json, dependencies, allowScripts }, null, 2)}\n`;
};

/** Files of the page that TypeScript and JavaScript share. */
const isShared = (name: string): boolean => /\.(html|css|svg)$/.test(name);

const moduleInTypeScript = '<script type="module" src="./main.ts"></script>';

/**
 * Vite finds the library in node_modules. Without Vite, the import map names the library's file. The starter's own
 * server reads this file from node_modules.
 */
const moduleInJavaScript = `<script type="importmap">{ "imports": { "foretoken/browser": "./foretoken.browser.js" } }</script>
    <script type="module" src="main.js"></script>`;

/**
 * Paths of a starter's files. scripts/build/starters.mjs makes the JavaScript files from the TypeScript files in
 * templates/.
 */
const sourcesOf = async (kind: Kind, form: Form): Promise<readonly string[]> => {
  const filesIn = async (folder: string): Promise<readonly string[]> =>
    (await readdir(join(packageRoot, folder))).sort().map((name) => join(packageRoot, folder, name));
  const template = await filesIn(`templates/${kind}`);
  if (form === "ts") return template;
  const own = await Promise.all([filesIn(`templates/${kind}-js`), filesIn(`dist/starters/${kind}`)]);
  return [...template.filter(isShared), ...own.flat()];
};

/** The files of a starter, to be written to `folder`. */
const filesOf = async (kind: Kind, form: Form, folder: string): Promise<readonly NewFile[]> => {
  const copied = (await sourcesOf(kind, form)).map(async (path): Promise<NewFile> => {
    const text = await readFile(path, "utf8");
    const name = hiddenNames[basename(path)] ?? basename(path);
    if (name === "package.json") return { name, contents: withDependency(text, folder) };
    const contents = form === "js" ? text.replace(moduleInTypeScript, moduleInJavaScript) : text;
    return { name, contents };
  });
  return Promise.all([...copied, firstText()]);
};

/**
 * Resolves symbolic links in `path`, but not in its last name. npm computes the dependency's path from the real folder.
 */
const realPath = async (path: string): Promise<string> => {
  const parent = dirname(path);
  if (parent === path) return path;
  const real = await realpath(parent).catch((error: unknown) => {
    if (systemErrorCode(error) === "ENOENT") return realPath(parent);
    throw error;
  });
  return join(real, basename(path));
};

type Found = "nothing" | "a folder" | "a link" | "a file";

/** Kind of the file at `path`; symbolic links are not followed. */
const kindAt = async (path: string): Promise<Found> => {
  const found = await lstat(path).catch((error: unknown) => {
    if (systemErrorCode(error) === "ENOENT") return undefined;
    throw error;
  });
  if (found === undefined) return "nothing";
  if (found.isSymbolicLink()) return "a link";
  return found.isDirectory() ? "a folder" : "a file";
};

/** @throws ConfigError if one of the files already exists in `folder`. */
const checkFree = async (folder: string, at: Found, given: string, files: readonly NewFile[]): Promise<void> => {
  const where = `init: folder ${given}`;
  if (at === "a link" || at === "a file") {
    throw new ConfigError({ where, must: "must be a folder, or not exist yet", got: at, hint: "another folder" });
  }
  // In a folder that contains foretoken, npm would replace the package by a link to itself.
  const way = relative(folder, packageRoot);
  if (!way.startsWith("..") && !isAbsolute(way)) {
    const must = "must not be a folder that contains foretoken itself";
    throw new ConfigError({ where, must, got: packageRoot, hint: "a folder next to it" });
  }
  if (at === "nothing") return;
  for (const { name } of files) {
    const taken = await kindAt(join(folder, name));
    if (taken === "nothing") continue;
    const got = taken === "a file" ? name : `${name}, ${taken}`;
    throw new ConfigError({
      where,
      must: "must not contain any of the files to be written",
      got,
      hint: "another folder",
    });
  }
};

/** Writes all files. If one file cannot be written, no file stays. */
const writeFiles = async (folder: string, files: readonly NewFile[]): Promise<void> => {
  const made = await makeFolders(folder);
  const written: string[] = [];
  try {
    for (const { name, contents } of files) {
      written.push(join(folder, name));
      // Fails if a file or link with this name appeared after the check.
      await writeFlushed(join(folder, name), contents);
    }
  } catch (error) {
    // Another program wrote the last file, so do not delete it.
    if (systemErrorCode(error) === "EEXIST") written.pop();
    for (const path of written) await unlink(path).catch(() => undefined);
    await removeEmptyFolders(made);
    throw error;
  }
};

/** Runs `work` and turns an error of the file system into a one-line ConfigError. */
const inFolder = async <T>(given: string, work: () => Promise<T>): Promise<T> => {
  try {
    return await work();
  } catch (error) {
    if (systemErrorCode(error) === undefined) throw error;
    const got = error instanceof Error ? oneLine(error.message) : "an error";
    const must = "must be a writable folder";
    throw new ConfigError({ where: `init: folder ${given}`, must, got, hint: "another folder", cause: error });
  }
};

const runInit = async (kind: Kind, form: Form, given: string): Promise<void> => {
  const path = resolve(given);
  const { files, folder } = await inFolder(given, async () => {
    const at = await kindAt(path);
    const folder = await realPath(path);
    const files = await filesOf(kind, form, folder);
    await checkFree(folder, at, given, files);
    await writeFiles(folder, files);
    return { files, folder };
  });
  const isHere = folder === process.cwd();
  const steps = [...(isHere ? [] : [`cd ${quotePath(given)}`]), "npm install", "npm start"];
  const lines = steps.map((step) => `  ${step}\n`).join("");
  writeOut(`${files.length} new files in ${isHere ? "this folder" : oneLine(given)}. Next:\n\n${lines}`);
};

/** `foretoken init`. */
export const declareInit = (command: Command): void => {
  command
    .usage("<kind> [folder]")
    .argument("<kind>", "page or node", parseChoice("kind", kinds))
    .argument("[folder]", "a new or existing folder (default: foretoken-<kind>)", parsePath("[folder]"))
    .optionsGroup("Files: the language")
    .option("--js", "JavaScript (default: TypeScript)")
    .optionsGroup("Output: errors and help")
    .addHelpText("after", notes(examples))
    .allowExcessArguments()
    .action(async (kind: Kind, folder: string | undefined, { js = false }: { readonly js?: boolean }) => {
      checkArguments(command);
      await runInit(kind, js ? "js" : "ts", folder ?? `foretoken-${kind}`);
    });
};

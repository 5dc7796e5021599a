/** Executes the steps of a Dockerfile in folders of this machine, not in an image. */
import { cp, mkdir, readFile, rm } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";

export interface Step {
  /** The name of the instruction in capitals, such as "RUN". */
  readonly instruction: string;
  readonly rest: string;
}
export interface Stage {
  readonly name: string;
  readonly steps: readonly Step[];
}

/**
 * The stages of a Dockerfile. Comments are removed, and lines that end with a backslash are joined with the next line.
 */
export const stagesOf = (text: string): readonly Stage[] => {
  const lines = text.replaceAll(/^\s*#.*\n/gmu, "").replaceAll(/\s*\\\n\s*/gu, " ");
  const stages: { name: string; steps: Step[] }[] = [];
  for (const line of lines.split("\n").filter((one) => one.trim() !== "")) {
    const [, instruction = "", rest = ""] = /^([A-Z]+) (.*)$/u.exec(line) ?? [];
    if (instruction === "") throw new Error(`no step of a Dockerfile: ${line}`);
    if (instruction === "FROM") stages.push({ name: / AS (\S+)$/u.exec(rest)?.[1] ?? "", steps: [] });
    else stages.at(-1)?.steps.push({ instruction, rest });
  }
  return stages;
};

/** The folders that our Dockerfile uses. The folders have the same paths in the image and in a stage's folder. */
const folders = /(?<![\w./])\/(?=(?:src|packages|opt|usr|home)\b)/gu;

export interface Image {
  /** A path of the image. The path is in the folder of the last stage. */
  path(inside: string): string;
  readonly folder: string;
  readonly user: string;
  readonly environment: Readonly<Record<string, string>>;
}

interface Building {
  /** Folder in which the stages get their folders. */
  readonly place: string;
  /** Names below `context` that `.dockerignore` excludes. */
  readonly context: string;
  readonly entries: readonly string[];
  /** Executes a RUN step: a shell command, in a folder, with variables. */
  readonly run: (line: string, folder: string, env: Readonly<Record<string, string>>) => Promise<void>;
}

/** Executes the steps of all stages. Returns the steps of the last stage that say how to start the image. */
export const buildImage = async (
  stages: readonly Stage[],
  { place, context, entries, run }: Building,
): Promise<Image> => {
  let image: Image | undefined;
  for (const [i, { steps }] of stages.entries()) {
    const root = join(place, String(i));
    const inStage = (text: string): string => text.replaceAll(folders, `${root}/`);
    for (const name of ["src", "packages", "opt", "usr/local/bin", "home/node"])
      await mkdir(join(root, name), { recursive: true });
    let folder = root;
    let user = "root";
    const environment: Record<string, string> = {};
    const copy = async (rest: string): Promise<void> => {
      const words = rest.split(" ");
      const from = words[0]?.startsWith("--from=") ? words.shift()?.slice("--from=".length) : undefined;
      const target = resolve(folder, inStage(words.pop() ?? ""));
      const other = stages.findIndex(({ name }) => name === from);
      const sources = words.flatMap((word) => (word === "." ? entries : [word]));
      for (const source of sources) {
        const path = from === undefined ? join(context, source) : join(place, String(other), source);
        const to = from === undefined ? join(target, source) : target;
        await mkdir(dirname(to), { recursive: true });
        await cp(path, to, { recursive: true, verbatimSymlinks: true });
      }
    };
    for (const { instruction, rest } of steps) {
      if (instruction === "ENV") {
        const [, name = "", value = ""] = /^(\w+)=(.*)$/u.exec(rest) ?? [];
        environment[name] = value;
      } else if (instruction === "WORKDIR") {
        folder = inStage(rest);
        await mkdir(folder, { recursive: true });
      } else if (instruction === "USER") user = rest;
      else if (instruction === "COPY") await copy(rest);
      else if (instruction === "RUN") await run(inStage(rest), folder, environment);
      else if (!["VOLUME", "EXPOSE", "ENTRYPOINT", "CMD"].includes(instruction))
        throw new Error(`a step that this test does not know: ${instruction}`);
    }
    image = { path: inStage, folder, user, environment };
  }
  if (image === undefined) throw new Error("a Dockerfile must have a stage");
  // The image contains only the last stage.
  for (const i of stages.keys()) if (i < stages.length - 1) await rm(join(place, String(i)), { recursive: true });
  return image;
};

/** Names that a `.dockerignore` excludes. @throws Error for a pattern that is not a plain name. */
export const ignoredIn = async (path: string): Promise<readonly string[]> => {
  const lines = (await readFile(path, "utf8")).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  const odd = lines.find((line) => !/^[\w.-]+$/u.test(line));
  if (odd !== undefined) throw new Error(`.dockerignore: this test reads names alone; got ${odd}`);
  return lines;
};

/** A sweep as a job array: writes the scripts, and trains the run of a task. */
import { chmod, lstat, mkdir, stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { ConfigError } from "../../core/errors/errors.ts";
import { systemErrorCode } from "../../core/errors/system-error.ts";
import { quotePath } from "../../core/text/shell-word.ts";
import { writeNewFile } from "../../io/new-file.node.ts";
import type { SweepOptions } from "../../sweep/open.node.ts";
import { prepareSweep, trainSingleRun } from "../../sweep/single-run.node.ts";
import type { SweepConfig } from "../../sweep/sweep-types.ts";
import { formatPlural } from "../display/texts/format.ts";
import { slurmNames, slurmScripts } from "../display/texts/slurm-scripts.ts";
import { writeJson, writeOut } from "../process/output.ts";
import { printableName } from "../process/terminal.ts";

export interface JobArray {
  /** Folder for the scripts. */
  readonly folder: string;
  /** Path of the sweep's file. */
  readonly file: string;
  /** Maximum number of tasks at a time; undefined: no limit. */
  readonly jobs: number | undefined;
  readonly json: boolean;
}

/** The program of this installation. */
const program = (): string => fileURLToPath(new URL("../main.js", import.meta.url));

/**
 * @throws ConfigError if the path cannot be a folder, or if the folder has a script already, because the user may have
 * changed it.
 */
const checkScripts = async (folder: string): Promise<void> => {
  const place = await stat(folder).catch((error: unknown) => {
    if (systemErrorCode(error) === "ENOENT") return undefined;
    if (systemErrorCode(error) === "ENOTDIR") return "a file in its path";
    throw error;
  });
  if (place !== undefined && (typeof place === "string" || !place.isDirectory())) {
    const got = typeof place === "string" ? place : "a file";
    throw new ConfigError({ where: `--slurm ${folder}`, must: "must be a folder", got, hint: "another name" });
  }
  for (const name of Object.values(slurmNames)) {
    const found = await lstat(join(folder, name)).catch(() => undefined);
    if (found === undefined) continue;
    throw new ConfigError({
      where: `--slurm ${folder}`,
      must: "must be a folder without scripts of a sweep",
      got: `one with ${name}`,
      hint: `another folder, or submitting again: bash ${quotePath(join(folder, slurmNames.submit))}`,
    });
  }
};

/** Prepares the sweep's folder, and writes scripts for Slurm. No run is trained. */
export const writeJobArray = async (
  config: SweepConfig,
  options: SweepOptions,
  { folder, file, jobs, json }: JobArray,
): Promise<void> => {
  const { out, backend = "auto", threads = 1 } = options;
  await checkScripts(folder);
  const runs = await prepareSweep(config, options);
  const place = resolve(folder);
  await mkdir(place, { recursive: true });
  const scripts = slurmScripts({
    ...{ name: basename(out), runs, jobs, cores: threads, cwd: process.cwd(), folder: place },
    command: [process.execPath, program(), "sweep", quotable(file), "--out", out, "--backend", backend],
  });
  for (const [name, text] of Object.entries(scripts)) {
    await writeNewFile(join(place, name), text, false);
    await chmod(join(place, name), 0o755);
  }
  if (json)
    return writeJson({ type: "prepared", out, runs, scripts: Object.keys(scripts).map((name) => join(folder, name)) });
  const submit = join(folder, slurmNames.submit);
  writeOut(`${formatPlural(runs, "run")} prepared in ${printableName(out)}; nothing is trained yet\n`);
  writeOut(`To submit the runs and the job that makes the table: bash ${quotePath(submit)}\n`);
};

/** A path that begins with - would look like a flag. */
const quotable = (path: string): string => (path.startsWith("-") ? `./${path}` : path);

/** Trains the run of a task. */
export const trainTask = async (
  config: SweepConfig,
  options: SweepOptions,
  { number, json }: { readonly number: number; readonly json: boolean },
): Promise<void> => {
  const event = await trainSingleRun(config, options, number);
  if (json) return writeJson(event);
  const { setting, seed, natsPerCharacter, failure } = event;
  const told =
    failure === null ? `${natsPerCharacter?.toFixed(4)} nats per character` : `failed: ${printableName(failure)}`;
  writeOut(`run ${number}, setting ${setting}, seed ${seed}: ${told}\n`);
};

import { stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import type { Command } from "commander";
import type { BackendChoice } from "../../backend/choices.node.ts";
import { ConfigError } from "../../core/errors/errors.ts";
import { commandLine } from "../../core/text/shell-word.ts";
import { isHubName, parseName } from "../../pretrained/files/hub-name.ts";
import { folderNames, runsFolder } from "../../runs/folder-names.ts";
import type { OpenAiServer } from "../../serve/openai/start.ts";
import { defaultPort, startStudio } from "../../serve/studio/start.ts";
import { chooseBackend } from "../flags/backend-choice.ts";
import {
  addComputingFlags,
  checkArguments,
  expecting,
  parseInteger,
  parsePath,
  type RunningFlags,
} from "../flags/flags.ts";
import { notes } from "../help.ts";
import { modelPlaces } from "../model/checkpoint-path.ts";
import { host } from "../process/host.ts";
import { onInterrupt } from "../process/interrupt.ts";
import { openPage } from "../process/open-page.ts";
import { writeNotice, writeOut } from "../process/output.ts";
import { version } from "../version.ts";

interface StudioFlags extends Omit<RunningFlags, "json"> {
  readonly texts?: string;
  readonly model?: readonly string[];
  readonly host?: string;
  readonly port?: number;
  readonly open?: true;
  readonly serve?: readonly string[];
  readonly servePort: number;
}

const examples = `
Examples:
  $ npx foretoken studio                              the runs in ${runsFolder}, on a page of this machine
  $ npx foretoken studio --texts texts --open         offers the texts in a folder for new runs; opens the browser
  $ npx foretoken studio --model hf:Qwen/Qwen3-0.6B   look inside another model, and try it
  $ npx foretoken studio experiments --port 8080
  $ npx foretoken studio --serve runs/notes           other programs can use this model, at http://127.0.0.1:8000/v1

The page shows runs while they train, including runs in other terminals. The page can compare, start, stop and resume runs, and
write text with the models of runs. With --model, the printed address and --open show the first named model. The page
shows what this model predicts after each layer, on a text that you can change. A run started in the page continues when the page is closed. Ctrl-C saves the run and ends the
studio; train --resume or the page resumes the run.

By default only this machine can reach the page. With another address in --host, the page needs the token in the printed
address: anyone with the token can start runs on this machine and read their texts. Nothing is encrypted, so use it only in a network that you trust.`;

const collect = (flag: string): ((text: string, earlier: readonly string[] | undefined) => readonly string[]) => {
  const parse = parsePath(flag);
  return expecting((text: string, earlier: readonly string[] = []) => [...earlier, parse(text)], {
    paths: true,
    repeats: true,
  });
};

const isMissing = async (path: string): Promise<boolean> =>
  stat(path).then(
    () => false,
    () => true,
  );

/**
 * Checks a model without reading its weights, so that mistakes appear here and not in the page. @throws ConfigError for
 * a misspelled name.
 */
const checkModel = async (model: string): Promise<void> => {
  // A model of the hub may need a download, so only its name is checked.
  if (isHubName(model)) {
    parseName(model);
    return;
  }
  if (!(await isMissing(model))) {
    const { checkHeader } = await import("../model/check-header.ts");
    await checkHeader(model);
    return;
  }
  const hint = /^[\w.-]+\/[\w.-]+$/u.test(model) ? `hf:${model} for a model on the hub` : modelPlaces;
  throw new ConfigError({ where: `--model ${model}`, must: "must be a model", got: "no such file or folder", hint });
};

const parseHost = (text: string): string => {
  if (/^[\w.:-]+$/u.test(text) && !text.startsWith("-")) return text;
  throw new ConfigError({
    where: "--host",
    must: "must be a host name or an IP address of this machine",
    got: JSON.stringify(text),
    hint: "127.0.0.1",
  });
};

/** Explains the printed address on standard error. Standard output contains only the address, for scripts. */
const aboutPage = (opens: boolean): string =>
  [
    `The studio is the page at this address${opens ? ", which opens in the browser" : ""}.`,
    "Ctrl-C ends the studio; if a run is training, the studio saves the run first.",
    ...(opens ? [] : ["--open opens the page in the browser."]),
  ].join(" ");

/** Timeout in milliseconds for requests of other programs when the studio ends. */
const endingMs = 5000;

/** Starts a server for other programs on this machine, with the defaults of `serve`. */
const serveModels = async (
  models: readonly string[],
  running: { readonly backend: BackendChoice; readonly threads: number | undefined },
  port: number,
): Promise<OpenAiServer> => {
  const [{ startServer }, { servedSources }, { serveDefaults, patienceMs }] = await Promise.all([
    import("../../serve/openai/start.ts"),
    import("../model/served-sources.ts"),
    import("./serve.ts"),
  ]);
  const { backend, threads } = running;
  const loading = { backend, dtype: "auto" as const, ...(threads === undefined ? {} : { threads }) };
  const { perKey, parallel, queue, cacheMib, timeLimit, connections, host: address } = serveDefaults;
  return startServer({
    models: servedSources(models, { adapters: {} }, loading, writeNotice),
    ...{ host: address, port, keys: [], perKey, origins: [], parallel, queue, connections, patienceMs },
    ...{ cacheBytes: cacheMib * 2 ** 20, timeLimitMs: timeLimit * 1000, log: null, version: version() },
    tell: writeNotice,
  });
};

const runStudio = async (given: string | undefined, flags: StudioFlags): Promise<void> => {
  const { texts, model: models, host: address, port, open, threads } = flags;
  // The default folder may be missing, because the first run creates it. If another folder is missing, its name is
  // probably wrong.
  if (given !== undefined && (await isMissing(given)))
    throw new ConfigError({ where: given, must: "must be a folder of runs", got: "no such folder" });
  const { backend, advice, remark } = await chooseBackend(flags);
  if (remark !== undefined) writeNotice(remark);
  for (const model of models ?? []) await checkModel(model);
  const isRun = given !== undefined && !(await isMissing(join(given, folderNames.description)));
  // For the folder of one run, the page shows all runs in its parent folder.
  const folder = isRun ? dirname(resolve(given)) : (given ?? runsFolder);
  // If a run could not be saved in its own folder (the disk may be full), the line shows where the run was saved.
  const onFailure = (name: string, line: string): void => writeNotice(`${name} ended with an error: ${line}`);
  const server =
    flags.serve === undefined ? undefined : await serveModels(flags.serve, { backend, threads }, flags.servePort);
  const studio = await startStudio({
    server,
    ...{ folder, texts, models, host: address, port, backend, advice, threads, onFailure },
    version: version(),
  }).catch(async (error: unknown) => {
    // An open server would keep the process alive.
    await server?.close(0);
    throw error;
  });
  if (server !== undefined) writeNotice(`models for other programs: ${server.url}/v1`);
  const { url, elsewhere } = studio.inside ?? studio;
  writeOut(`${url}\n`);
  writeNotice(aboutPage(open === true));
  if (elsewhere.length > 0) writeNotice(`address for other machines: ${elsewhere.join(" or ")}`);
  if (open === true) openPage(url);
  await new Promise<void>((ended) => {
    onInterrupt(() => ended());
  });
  const run = studio.training();
  const saving = run === undefined ? "" : `; the studio saves ${run} first`;
  writeNotice(`Ending the studio${saving} (Ctrl-C again quits at once)`);
  const [saved] = await Promise.all([studio.close(), server?.close(endingMs)]);
  if (saved !== undefined) {
    const goOn = commandLine(["train", "--resume", join(folder, saved)]);
    writeNotice(`${saved} is saved; to resume it: ${goOn}, or the studio`);
  }
  // Exit at once, because a thread may still read the text of a run that has not started.
  host.exit();
};

/** `foretoken studio`. */
export const declareStudio = (command: Command): void => {
  command
    .usage("[folder] [flags]")
    .argument("[folder]", `a folder of runs, or the folder of one run (default: ${runsFolder})`, parsePath("[folder]"))
    .optionsGroup("Page: texts and models")
    .option("--texts <folder>", "a folder of texts for new runs (default: none)", parsePath("--texts"))
    .option(
      "--model <model>",
      `a model for viewing and writing, in addition to the models of the runs: ${modelPlaces}; the page opens with the first of these models; may be given several times (default: none)`,
      collect("--model"),
    )
    .option("--open", "open the page in the browser")
    .option(
      "--serve <model>",
      "let other programs on this machine use this model, as `serve` does, and show their requests; may be given several times (default: none)",
      collect("--serve"),
    )
    .optionsGroup("Server: addresses and ports")
    .option("--host <address>", "the address to listen at (default: 127.0.0.1)", parseHost)
    .option(
      "--port <n>",
      `the port; 0 chooses a free port (default: the first free port from ${defaultPort} upwards)`,
      parseInteger("--port", 0, 65_535),
    )
    .option(
      "--serve-port <n>",
      "the port for other programs; 0 chooses a free port",
      parseInteger("--serve-port", 0, 65_535),
      8000,
    );
  addComputingFlags(command)
    .addHelpText("after", notes(examples))
    .allowExcessArguments()
    .action(async (folder: string | undefined, flags: StudioFlags) => {
      checkArguments(command);
      await runStudio(folder, flags);
    });
};

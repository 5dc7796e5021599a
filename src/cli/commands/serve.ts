import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import { ConfigError } from "../../core/errors/errors.ts";
import { systemErrorCode } from "../../core/errors/system-error.ts";
import { startServer } from "../../serve/openai/start.ts";
import { chooseBackend } from "../flags/backend-choice.ts";
import {
  addComputingFlags,
  addDTypeFlag,
  checkArguments,
  checkValue,
  type DTypeFlag,
  expecting,
  parseInteger,
  parsePath,
  type RunningFlags,
  weightsKept,
} from "../flags/flags.ts";
import { addSpeculateFlag, type SpeculateFlag, speculationOf } from "../flags/speculate-flag.ts";
import { baseCheckFlag, baseFlag, weightsOption } from "../flags/weights-flag.ts";
import { notes } from "../help.ts";
import { type ModelParts, modelPlaces } from "../model/checkpoint-path.ts";
import { servedSources } from "../model/served-sources.ts";
import { host } from "../process/host.ts";
import { onInterrupt } from "../process/interrupt.ts";
import { writeNotice, writeOut } from "../process/output.ts";
import { version } from "../version.ts";

interface ServeFlags extends Omit<RunningFlags, "json">, DTypeFlag, Omit<ModelParts, "adapter">, SpeculateFlag {
  readonly name?: string;
  readonly adapter?: Readonly<Record<string, string>>;
  readonly host: string;
  readonly port: number;
  readonly apiKey?: readonly string[];
  readonly apiKeys?: string;
  readonly allowOrigin?: readonly string[];
  readonly perKey: number;
  readonly parallel: number;
  readonly queue: number;
  readonly cacheMib: number;
  readonly timeLimit: number;
  readonly connections: number;
  readonly grace: number;
  readonly log: string | false;
}

/** Defaults of the flags. */
export const serveDefaults = {
  host: "127.0.0.1",
  port: 8000,
  perKey: 64,
  parallel: 16,
  queue: 256,
  cacheMib: 1024,
  timeLimit: 600,
  connections: 1024,
  grace: 30,
} as const;

/**
 * Timeout in milliseconds for a client that does not read its answer. After the timeout, the client is disconnected.
 */
export const patienceMs = 30_000;

const examples = `
Examples:
  $ npx foretoken serve runs/notes                       the run's best weights, at http://127.0.0.1:${serveDefaults.port}/v1
  $ npx foretoken serve model.gguf --port 8080
  $ npx foretoken serve SmolLM2-135M-Instruct --adapter poems=runs/poems
  $ npx foretoken serve runs/notes --host 0.0.0.0 --api-keys keys.txt

The server uses OpenAI's protocol: completions, chat completions and responses, with streams, log-probabilities and seeds.
OpenAI clients work with the address that the server prints first. /openapi.json describes the server, and /metrics is for Prometheus.
A request names a model by its id in /v1/models. The id is the name of the model's folder or file, the value of --name, or an adapter's name. The same
request with the same seed gets the same answer, no matter which other requests are running.

By default only this machine can reach the server. With another address in --host, requests need a key. Nothing is encrypted: put a
reverse proxy with TLS in front of the server. When a run gets new best weights, the server loads them, and no request has to wait.
After SIGTERM or Ctrl-C, running requests may finish within --grace seconds.`;

const collect = (parse: (text: string) => string) =>
  expecting((text: string, earlier: readonly string[] = []) => [...earlier, parse(text)], { repeats: true });

const parseWord =
  (flag: string) =>
  (text: string): string => {
    checkValue(flag, text);
    if (/^[\x21-\x7e]+$/u.test(text)) return text;
    throw new ConfigError({
      where: flag,
      must: "must have only ASCII characters and no spaces",
      got: JSON.stringify(text),
    });
  };

const parseOrigin = (text: string): string => {
  const flag = "--allow-origin";
  const word = parseWord(flag)(text);
  if (word === "*") return word;
  const origin = URL.canParse(word) ? new URL(word).origin : "null";
  if (origin === word) return word;
  const hint = origin === "null" ? "https://example.com" : origin;
  throw new ConfigError({
    where: flag,
    must: "must be an origin (scheme, host and port), or *",
    got: JSON.stringify(text),
    hint,
  });
};

const parseAdapter = expecting(
  (text: string, earlier: Readonly<Record<string, string>> = {}) => {
    checkValue("--adapter", text);
    const [, name, place] = /^([^=]+)=(.+)$/u.exec(text) ?? [];
    if (name === undefined || place === undefined) {
      throw new ConfigError({
        where: "--adapter",
        must: "must be NAME=FOLDER",
        got: JSON.stringify(text),
        hint: `poems=${text}`,
      });
    }
    if (Object.hasOwn(earlier, name))
      throw new ConfigError({ where: "--adapter", must: "names must be different", got: `${name} twice` });
    return { ...earlier, [name]: place };
  },
  { paths: true, repeats: true },
);

/** Reads API keys from a file, one per line; skips empty lines and lines that begin with #. */
const keysOf = async (path: string): Promise<readonly string[]> => {
  const text = await readFile(path, "utf8").catch((cause: unknown) => {
    throw new ConfigError({
      where: `--api-keys ${path}`,
      must: "must be a file with one key on each line",
      got: systemErrorCode(cause) ?? String(cause),
      cause,
    });
  });
  const keys = text.split(/\r?\n/u).map((line) => line.trim());
  const found = keys.filter((line) => line !== "" && !line.startsWith("#"));
  if (found.length > 0 && found.every((key) => /^[\x21-\x7e]+$/u.test(key))) return found;
  throw new ConfigError({
    where: `--api-keys ${path}`,
    must: "must have one key on each line, with only ASCII characters and no spaces",
    got: found.length === 0 ? "none" : "another line",
  });
};

const runServe = async (places: readonly string[], flags: ServeFlags): Promise<void> => {
  const { name, adapter = {}, weights, base, baseCheck, host: address, port, threads, log } = flags;
  const keys = [...(flags.apiKey ?? []), ...(flags.apiKeys === undefined ? [] : await keysOf(flags.apiKeys))];
  const { backend, remark } = await chooseBackend(flags);
  if (remark !== undefined) writeNotice(remark);
  const parts = {
    ...{ name, adapters: adapter },
    ...(weights === undefined ? {} : { weights }),
    ...(base === undefined ? {} : { base }),
    ...(baseCheck === undefined ? {} : { baseCheck }),
  };
  const { speculate, loading } = await speculationOf(flags);
  const running = { backend, ...weightsKept(flags), ...loading, ...(threads === undefined ? {} : { threads }) };
  const server = await startServer({
    models: servedSources(places, parts, running, writeNotice),
    ...{ host: address, port, keys, perKey: flags.perKey, origins: flags.allowOrigin ?? [] },
    ...{ parallel: flags.parallel, queue: flags.queue, cacheBytes: flags.cacheMib * 2 ** 20, speculate },
    ...{ timeLimitMs: flags.timeLimit * 1000, patienceMs, connections: flags.connections },
    log: log === false ? null : log === "-" ? host.stderr : log,
    ...{ version: version(), tell: writeNotice },
  });
  writeOut(`${server.url}/v1\n`);
  writeNotice("The server is at this address. Ctrl-C ends it.");
  await new Promise<void>((ended) => {
    onInterrupt(() => ended());
  });
  if ((await server.state()).running > 0)
    writeNotice(`Ending: running requests have ${flags.grace} s to finish (Ctrl-C again quits at once)`);
  await server.close(flags.grace * 1000);
  host.exit();
};

/** `foretoken serve`. */
export const declareServe = (command: Command): void => {
  command
    .usage("<model...> [flags]")
    .argument("<model...>", `models: ${modelPlaces}`)
    .optionsGroup("Model: weights and adapters")
    .option(
      "--name <id>",
      "the model's id in requests (default: the name of the model's folder or file)",
      parseWord("--name"),
    )
    .option(
      "--adapter <name=dir>",
      "a LoRA adapter; requests use the adapter's name as the model id; may be given several times (default: none)",
      parseAdapter,
    )
    .addOption(weightsOption());
  baseCheckFlag(baseFlag(command))
    .optionsGroup("Server: address and access")
    .option("--host <address>", "the address to listen at", parseWord("--host"), serveDefaults.host)
    .option("--port <n>", "the port; 0 chooses a free port", parseInteger("--port", 0, 65_535), serveDefaults.port)
    .option(
      "--api-key <key>",
      "an API key that requests must contain; other users of this machine can see the key in the list of processes; may be given several times (default: no key needed)",
      collect(parseWord("--api-key")),
    )
    .option("--api-keys <file>", "a file with one key on each line (default: none)", parsePath("--api-keys"))
    .option(
      "--allow-origin <origin>",
      "an origin that may send requests from web pages; * allows any origin; may be given several times (default: none)",
      collect(parseOrigin),
    )
    .optionsGroup("Limits: requests, memory and time")
    .option(
      "--parallel <n>",
      "maximum number of texts that a model writes at a time",
      parseInteger("--parallel", 1, 1024),
      serveDefaults.parallel,
    )
    .option(
      "--queue <n>",
      "maximum number of waiting texts; further texts are refused with status 429",
      parseInteger("--queue", 0, 1e6),
      serveDefaults.queue,
    )
    .option(
      "--per-key <n>",
      "maximum number of requests at a time for each key",
      parseInteger("--per-key", 1, 1e6),
      serveDefaults.perKey,
    )
    .option(
      "--cache-mib <n>",
      "memory for the KV cache of each model, in MiB; at least one full context always fits",
      parseInteger("--cache-mib", 1, 2 ** 20),
      serveDefaults.cacheMib,
    )
    .option(
      "--time-limit <s>",
      "maximum number of seconds for a request",
      parseInteger("--time-limit", 1, 86_400),
      serveDefaults.timeLimit,
    )
    .option(
      "--connections <n>",
      "maximum number of connections at a time",
      parseInteger("--connections", 1, 65_535),
      serveDefaults.connections,
    )
    .option(
      "--grace <s>",
      "number of seconds in which running requests may finish after SIGTERM or Ctrl-C",
      parseInteger("--grace", 0, 3600),
      serveDefaults.grace,
    )
    .optionsGroup("Log: one line of JSON for each request, without prompts and texts")
    .option("--log <file>", "a file to append the lines to, or - for standard error", parsePath("--log"), "-")
    .option("--no-log", "no lines");
  addSpeculateFlag(addDTypeFlag(addComputingFlags(command)))
    .addHelpText("after", notes(examples))
    .action(async (places: readonly string[], flags: ServeFlags) => {
      if (places.length === 0) checkArguments(command);
      await runServe(places, flags);
    });
};

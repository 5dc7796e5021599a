/** The studio's server: it begins here, and ends by `close`. */
import { readdir } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { basename, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { getRequestListener } from "@hono/node-server";
import type { BackendChoice } from "../../backend/select.node.ts";
import { openTemplateRenderer } from "../../chat/template.node.ts";
import { ConfigError } from "../../core/errors/errors.ts";
import { systemErrorCode } from "../../core/errors/system-error.ts";
import type { StartEvent } from "../../runs/events.ts";
import { findsFolder } from "../../runs/finds-folder.node.ts";
import { folderNames } from "../../runs/folder-names.ts";
import { type BodyLimits, bodyLimits, createBodies } from "../http/bodies.ts";
import { type GuardSettings, guardHeaders, isLoopback, namesOf, newToken, shownNames } from "../http/guard.ts";
import { HttpError } from "../http/http-error.ts";
import { inTurn } from "../http/in-turn.ts";
import { failureAnswer } from "../http/json.ts";
import { listen } from "../http/listen.ts";
import { endUntaken } from "../http/untaken.ts";
import type { OpenAiServer } from "../openai/start.ts";
import { createApp } from "./app.ts";
import { firstInside } from "./first-inside.ts";
import { type AdoptedRun, createJobs, type Jobs } from "./jobs.ts";
import { openModels } from "./models.ts";
import { apiPath } from "./protocol.ts";
import { openShelf, type RunShelf } from "./runs.ts";
import { createTurns } from "./turns.ts";

export interface StudioOptions {
  /** The folder of runs. One that is missing is made by the first run. */
  readonly folder: string;
  /** A folder of texts that may be chosen. Default: none. */
  readonly texts?: string | undefined;
  /** Models to write with besides the runs' own: directories, GGUF files, `hf:org/name`. Default: none. */
  readonly models?: readonly string[] | undefined;
  /** Default: 127.0.0.1, which this machine alone can reach. Any other needs the token in `url`. */
  readonly host?: string | undefined;
  /** 0: a free one. Default: the first free one from `defaultPort` on. */
  readonly port?: number | undefined;
  /** The token of a server that other machines can reach. Default: a new one. */
  readonly token?: string | undefined;
  readonly backend?: BackendChoice | undefined;
  /** What the page says of a backend that is not the fastest: see `BackendReport`. Default: nothing. */
  readonly advice?: string | undefined;
  readonly threads?: number | undefined;
  /** Milliseconds that an answer waits for a page which does not take it, before it is given up. Default: 30,000. */
  readonly patienceMs?: number | undefined;
  /** Limits of the bodies of requests. Default: 200 MiB of all together, and 64 KiB of each in 10 seconds. */
  readonly bodies?: BodyLimits | undefined;
  /** Is called with the line of an error that has ended a run, and the run's name. */
  readonly onFailure?: ((name: string, line: string) => void) | undefined;
  /** A server for other programs, which the page shows. The caller ends it. Default: none. */
  readonly server?: Pick<OpenAiServer, "url" | "state"> | undefined;
  /** The version that the page shows. */
  readonly version?: string | undefined;
  /** The folder of the built page. Default: the package's own. */
  readonly page?: string | undefined;
}

export interface Studio {
  /** Where it is, with the token if it needs one. */
  readonly url: string;
  /** The same for other machines, where this one has several addresses. */
  readonly elsewhere: readonly string[];
  /** The same as both, but of the page that looks into the first model named at start; undefined: none was named. */
  readonly inside: Pick<Studio, "url" | "elsewhere"> | undefined;
  /** The address of a run's page. */
  urlOf(name: string): string;
  /** Takes in a run of the folder that this process computes by itself. */
  adopt(name: string, start: StartEvent, stop: () => void): AdoptedRun;
  /** Stops and saves the run under way, then ends the server and all connections. @returns the name of the run, if there was one. */
  close(): Promise<string | undefined>;
}

/** The first port that is tried. */
export const defaultPort = 4747;
/** So many ports are tried after it. */
const morePorts = 20;

const ownPage = fileURLToPath(new URL("../../studio/", import.meta.url));
/** With the library for pages in it. */
const ownLibrary = fileURLToPath(new URL("../../", import.meta.url));

const cannotListen = (port: number, host: string, cause: unknown): ConfigError =>
  new ConfigError({
    where: "studio",
    must: `port ${port} of ${host} must be free, and usable by this user`,
    got: systemErrorCode(cause) ?? String(cause),
    hint: "another --port, or leaving it out",
    cause,
  });

/** Listens on `asked`, or on the first free port. */
const listenOn = async (server: Server, asked: number | undefined, host: string): Promise<void> => {
  const last = defaultPort + morePorts;
  for (let port = asked ?? defaultPort; ; port++) {
    try {
      await listen(server, port, host);
      return;
    } catch (error) {
      const goesOn = asked === undefined && port < last && systemErrorCode(error) === "EADDRINUSE";
      if (!goesOn) throw cannotListen(port, host, error);
    }
  }
};

/** @throws ConfigError for a folder that cannot be one of runs, or of texts. */
const checkFolders = async ({ folder, texts }: StudioOptions): Promise<void> => {
  const entries: readonly string[] = await readdir(folder).catch(() => []);
  if (entries.includes(folderNames.description)) {
    throw new ConfigError({
      where: folder,
      must: "must be a folder of runs",
      got: "a run's own folder",
      hint: `studio ${join(folder, "..")}`,
    });
  }
  if (texts !== undefined && !(await findsFolder(texts))) {
    throw new ConfigError({ where: `--texts ${texts}`, must: "must be a folder", got: "no such folder" });
  }
};

/**
 * Starts the studio: a local page on the runs of a folder, which also begins, stops and resumes them.
 * @throws ConfigError for a folder or a port that cannot be used.
 */
export const startStudio = async (options: StudioOptions): Promise<Studio> => {
  await checkFolders(options);
  const { host = "127.0.0.1", texts, threads, version = "unknown", page = ownPage } = options;
  const folder = resolve(options.folder);
  const token = isLoopback(host) ? null : (options.token ?? newToken());
  // Each tells the list of what its folder does not show.
  let shelf: RunShelf | undefined;
  const touch = (): void => shelf?.touch();
  const turns = createTurns(touch);
  const jobs: Jobs = createJobs(turns, touch, options.onFailure);
  shelf = openShelf(folder, jobs);
  let guard = (): GuardSettings => ({ names: [], port: 0, token, apiPath });
  const textFolder = texts === undefined ? null : { path: resolve(texts), name: basename(resolve(texts)) };
  const { backend, advice, models: named = [], patienceMs = 30_000 } = options;
  const models = openModels({ shelf, named, backend, threads });
  const templates = openTemplateRenderer();
  const own = { shelf, jobs, turns, models, templates, bodies: createBodies(options.bodies ?? bodyLimits) };
  const served = { version, runsFolder: basename(folder), textFolder, page, library: ownLibrary };
  const parts = { ...own, ...served, patienceMs, backend, advice, threads, server: options.server };
  const app = createApp(parts, () => guard());
  const listener = getRequestListener(app.fetch, {
    overrideGlobalObjects: false,
    // A request that is none, such as one without a host.
    errorHandler: () => {
      const answer = failureAnswer(
        new HttpError(400, "the request must be HTTP with the header Host; got another request"),
      );
      for (const [name, value] of Object.entries(guardHeaders)) answer.headers.set(name, value);
      return answer;
    },
  });
  const server = createServer(
    inTurn((request, response) => {
      endUntaken(response, patienceMs);
      void listener(request, response);
    }),
  );
  const first = await firstInside(named, shelf);
  await listenOn(server, options.port, host);
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const bound = typeof address === "object" && address !== null ? address.address : host;
  // Each time: a laptop gets other addresses on its way.
  guard = () => ({ names: namesOf(host, bound), port, token, apiPath });
  const { here, elsewhere } = shownNames(host, bound);
  let closing: Promise<string | undefined> | undefined;
  const at = (path: string, name = here): string =>
    `http://${name}:${port}/${path}${token === null ? "" : `#token=${token}`}`;
  const addresses = (path: string) => ({ url: at(path), elsewhere: elsewhere.map((name) => at(path, name)) });
  return {
    ...addresses(""),
    inside: first === undefined ? undefined : addresses(first),
    urlOf: (name) => at(`runs/${encodeURIComponent(name)}`),
    adopt: jobs.adopt,
    close: () => {
      closing ??= (async () => {
        const ended = new Promise<void>((done) => server.close(() => done()));
        // First: a text that is being written would hold the run back.
        server.closeAllConnections();
        const saved = await jobs.close();
        await ended;
        templates.close();
        await models.close();
        return saved;
      })();
      return closing;
    },
  };
};

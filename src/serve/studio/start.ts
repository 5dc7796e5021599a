/** Starts the studio's server. The function `close` stops the server. */
import { readdir } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { basename, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { getRequestListener } from "@hono/node-server";
import type { BackendChoice } from "../../backend/choices.node.ts";
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
  /** The folder of runs. If the folder does not exist, the first run creates it. */
  readonly folder: string;
  /** A folder of texts to choose from. Default: none. */
  readonly texts?: string | undefined;
  /** Models to write with, in addition to the models of runs: directories, GGUF files, `hf:org/name`. Default: none. */
  readonly models?: readonly string[] | undefined;
  /**
   * Host to listen on. Default: 127.0.0.1, which only this machine can reach. Any other host requires the token in
   * `url`.
   */
  readonly host?: string | undefined;
  /** Port. 0: any free port. Default: the first free port from `defaultPort` on. */
  readonly port?: number | undefined;
  /** The token that is required if other machines can reach the server. Default: a new random token. */
  readonly token?: string | undefined;
  readonly backend?: BackendChoice | undefined;
  /** Advice that the page shows if a faster backend is possible: see `BackendReport`. Default: none. */
  readonly advice?: string | undefined;
  readonly threads?: number | undefined;
  /** Milliseconds after which a response is dropped if the page reads nothing. Default: 30,000. */
  readonly patienceMs?: number | undefined;
  /**
   * Limits of request bodies. Default: 200 MiB for all bodies together, and at least 64 KiB of each body in 10 seconds.
   */
  readonly bodies?: BodyLimits | undefined;
  /** Gets the name of a run that ended with an error, and the error as one line. */
  readonly onFailure?: ((name: string, line: string) => void) | undefined;
  /** An OpenAI server to show on the page. The caller closes it. Default: none. */
  readonly server?: Pick<OpenAiServer, "url" | "state"> | undefined;
  /** The version that the page shows. */
  readonly version?: string | undefined;
  /** The folder of the built page. Default: the page in the package. */
  readonly page?: string | undefined;
}

export interface Studio {
  /** Address of the page. The address contains the token if a token is required. */
  readonly url: string;
  /** Addresses for other machines, if the server listens on several addresses. */
  readonly elsewhere: readonly string[];
  /** Addresses of the page that looks inside the first model named at start. Undefined: no model was named. */
  readonly inside: Pick<Studio, "url" | "elsewhere"> | undefined;
  /** The address of a run's page. */
  urlOf(name: string): string;
  /** Registers a run of the folder that this process executes outside the studio. */
  adopt(name: string, start: StartEvent, stop: () => void): AdoptedRun;
  /** Name of the run in progress, which `close` saves. Undefined if no run is in progress. */
  training(): string | undefined;
  /**
   * Stops and saves the run in progress, then closes the server and all connections. @returns the name of the run, or
   * undefined if no run was in progress.
   */
  close(): Promise<string | undefined>;
}

/** The first port to try. */
export const defaultPort = 4747;
/** Number of further ports to try. */
const morePorts = 20;

const ownPage = fileURLToPath(new URL("../../studio/", import.meta.url));
/** The folder that contains the library for browsers. */
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

/** @throws ConfigError if `folder` is the folder of a single run, or if the folder of texts does not exist. */
const checkFolders = async ({ folder, texts }: StudioOptions): Promise<void> => {
  const entries: readonly string[] = await readdir(folder).catch(() => []);
  if (entries.includes(folderNames.description)) {
    throw new ConfigError({
      where: folder,
      must: "must be a folder of runs",
      got: "the folder of a single run",
      hint: `studio ${join(folder, "..")}`,
    });
  }
  if (texts !== undefined && !(await findsFolder(texts))) {
    throw new ConfigError({ where: `--texts ${texts}`, must: "must be a folder", got: "no such folder" });
  }
};

/**
 * Starts the studio: a local page that shows the runs of a folder and can start, stop and resume them.
 * @throws ConfigError for a folder or a port that cannot be used.
 */
export const startStudio = async (options: StudioOptions): Promise<Studio> => {
  await checkFolders(options);
  const { host = "127.0.0.1", texts, threads, version = "unknown", page = ownPage } = options;
  const folder = resolve(options.folder);
  const token = isLoopback(host) ? null : (options.token ?? newToken());
  // Turns and jobs report changes to the list that the folder does not show.
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
    // This handler answers an invalid request, for example a request without the header Host.
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
  // Compute this for each request, because a laptop gets other addresses when it changes networks.
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
    training: jobs.training,
    close: () => {
      closing ??= (async () => {
        const ended = new Promise<void>((done) => server.close(() => done()));
        // Close connections first. Closing connections ends texts in progress, which would otherwise pause the run.
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

/** Starts a server with OpenAI's protocol. The function `close` stops the server. */
import { createServer } from "node:http";
import type { Writable } from "node:stream";
import { getRequestListener } from "@hono/node-server";
import { ConfigError } from "../../core/errors/errors.ts";
import { systemErrorCode } from "../../core/errors/system-error.ts";
import { createBodies } from "../http/bodies.ts";
import { hostInUrl, isLoopback } from "../http/guard.ts";
import { inTurn } from "../http/in-turn.ts";
import { listen } from "../http/listen.ts";
import { endUntaken } from "../http/untaken.ts";
import { ApiError, errorAnswer, invalid } from "./api-error.ts";
import { createApp } from "./app.ts";
import { type CallerSettings, createCallers } from "./callers.ts";
import { createMetrics } from "./metrics.ts";
import { createRecent, type RecentWork } from "./recent.ts";
import { checkLogFile, createRequestLog } from "./request-log.ts";
import { type ModelSource, openServedModels, type ServingLimits } from "./served-models.ts";

export interface ServerOptions extends CallerSettings, ServingLimits {
  /** Models to serve, at least one. */
  readonly models: readonly ModelSource[];
  readonly host: string;
  /** Port. 0: any free port. */
  readonly port: number;
  /** Maximum time of a request in milliseconds. */
  readonly timeLimitMs: number;
  /** Milliseconds that a response waits for a client that reads nothing. */
  readonly patienceMs: number;
  /** Maximum number of connections at the same time. */
  readonly connections: number;
  /** File or stream for the log, with one line for each request. Null: no log. */
  readonly log: string | Writable | null;
  readonly version: string;
  /** Gets lines for the user. */
  readonly tell: (line: string) => void;
}

/** State of a server, for the user. */
export interface ServerState extends RecentWork {
  /** Number of requests in progress. */
  readonly running: number;
  /** For each model: whether it has a chat template, the number of texts in progress, and of waiting texts. */
  readonly models: readonly {
    readonly name: string;
    readonly chats: boolean;
    readonly running: number;
    readonly waiting: number;
  }[];
}

export interface OpenAiServer {
  readonly url: string;
  state(): Promise<ServerState>;
  /**
   * Stops accepting requests. Resolves when all requests in progress are answered. After `graceMs` milliseconds, the
   * remaining requests are ended with an error.
   */
  close(graceMs: number): Promise<void>;
}

/** Interval in milliseconds between checks for replaced files. */
const refreshMs = 2000;
/** Maximum time in milliseconds in which a whole request must arrive. */
const requestMs = 120_000;
const headersMs = 20_000;
const keepAliveMs = 65_000;
/** Time in milliseconds in which streams may still send their last events after the server ends them. */
const lastWordsMs = 2000;

/**
 * Loads the models and starts the server.
 * @throws ConfigError if other machines could reach the server but it has no keys, or if the address cannot be used.
 */
export const startServer = async (options: ServerOptions): Promise<OpenAiServer> => {
  const { host, tell } = options;
  if (!isLoopback(host) && options.keys.length === 0) {
    throw new ConfigError({
      where: `--host ${host}`,
      must: "a server that other machines can reach must have keys",
      got: "none",
      hint: "--api-key or --api-keys",
    });
  }
  if (typeof options.log === "string") await checkLogFile(options.log);
  const underWay = new Set<AbortController>();
  let isEnding = false;
  const models = await openServedModels(options.models, options, tell);
  const log = createRequestLog(options.log, tell);
  const metrics = createMetrics();
  const recent = createRecent();
  const app = createApp({
    ...{ models, log, underWay, timeLimitMs: options.timeLimitMs, version: options.version },
    ...{ callers: createCallers(options), bodies: createBodies(), metrics, recent },
    isEnding: () => isEnding,
  });
  const listener = getRequestListener(app.fetch, {
    overrideGlobalObjects: false,
    errorHandler: () => errorAnswer(invalid("the request must be HTTP with the header Host; got another request")),
  });
  const server = createServer(
    { requestTimeout: requestMs, headersTimeout: headersMs, keepAliveTimeout: keepAliveMs },
    inTurn((request, response) => {
      endUntaken(response, options.patienceMs);
      void listener(request, response);
    }),
  );
  server.maxConnections = options.connections;
  const end = async (): Promise<void> => {
    await models.close();
    await log.close();
  };
  try {
    await listen(server, options.port, host);
  } catch (cause) {
    await end();
    throw new ConfigError({
      where: "serve",
      must: `port ${options.port} of ${host} must be free, and usable by this user`,
      got: systemErrorCode(cause) ?? String(cause),
      hint: "another port",
      cause,
    });
  }
  const refresh = setInterval(() => void models.refresh(), refreshMs);
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const idle = (): Promise<void> =>
    new Promise((resolve) => {
      const look = setInterval(() => {
        if (underWay.size > 0) return;
        clearInterval(look);
        resolve();
      }, 20);
    });
  const within = (ms: number, work: Promise<void>): Promise<void> => {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ms);
    });
    return Promise.race([work, late]).finally(() => clearTimeout(timer));
  };
  let closing: Promise<void> | undefined;
  return {
    url: `http://${hostInUrl(host)}:${port}`,
    async state() {
      const found = await models.state();
      return {
        ...recent.work(),
        running: underWay.size,
        models: found.map(({ name, chats, texts, counts: { running } }) => ({
          name,
          chats,
          running,
          waiting: Math.max(0, texts - running),
        })),
      };
    },
    close(graceMs) {
      closing ??= (async () => {
        isEnding = true;
        clearInterval(refresh);
        const ended = new Promise<void>((resolve) => server.close(() => resolve()));
        server.closeIdleConnections();
        await within(graceMs, idle());
        for (const controller of underWay) {
          controller.abort(
            new ApiError(503, "the server is shutting down; try again later", { code: "server_ending" }),
          );
        }
        await within(lastWordsMs, idle());
        server.closeAllConnections();
        await ended;
        await end();
      })();
      return closing;
    },
  };
};

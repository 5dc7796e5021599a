/** The addresses of the server, and the functions that answer them. */
import { randomBytes } from "node:crypto";
import type { ServerResponse } from "node:http";
import type { HttpBindings } from "@hono/node-server";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { type Context, Hono } from "hono";
import { parseJson } from "../../core/checks/json.ts";
import { nearest } from "../../core/text/nearest.ts";
import { shorten } from "../../core/text/show.ts";
import type { Bodies } from "../http/bodies.ts";
import { jsonAnswer } from "../http/json.ts";
import { ApiError, apiErrorOf, errorAnswer, invalid } from "./api-error.ts";
import type { Caller, Callers } from "./callers.ts";
import { answerChat } from "./chat-completions.ts";
import { answerCompletion } from "./completions.ts";
import type { Answered, Exchange, ExchangeFacts } from "./exchange.ts";
import type { Metrics } from "./metrics.ts";
import { openApiDocument } from "./openapi.ts";
import { endingOf, type Recent } from "./recent.ts";
import type { RequestLog } from "./request-log.ts";
import { answerResponse } from "./responses.ts";
import type { ListedModel, ServedModels } from "./served-models.ts";
import { answerDetokenize, answerTokenize, answerTokenizerInfo } from "./tokens.ts";

/** The parts of a server. */
export interface ServerParts {
  readonly models: ServedModels;
  readonly callers: Callers;
  readonly bodies: Bodies;
  readonly metrics: Metrics;
  readonly recent: Recent;
  readonly log: RequestLog;
  /** Maximum time of a request in milliseconds. */
  readonly timeLimitMs: number;
  readonly version: string;
  /** The abort controllers of all requests in progress. */
  readonly underWay: Set<AbortController>;
  /** Whether the server is shutting down. */
  isEnding(): boolean;
}

/** Limits of a request body. The limits allow many prompts as token ids. */
const bodyLimits = { maxBytes: 2 ** 24, maxValues: 2 ** 21, maxKeys: 2 ** 15 } as const;

type AppContext = Context<{ Bindings: HttpBindings }>;
type Work = (exchange: Exchange, body: unknown, query: URLSearchParams) => Promise<Answered>;

/** Headers of every response. */
const commonHeaders = { "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store" } as const;

const newId = (): string => randomBytes(12).toString("hex");

const readBody = async (request: Request, bodies: Bodies): Promise<unknown> => {
  const [type = "", ...parameters] = (request.headers.get("content-type") ?? "").toLowerCase().split(";");
  const charset = parameters.map((one) => one.trim()).find((one) => one.startsWith("charset="));
  const encoding = (request.headers.get("content-encoding") ?? "identity").trim().toLowerCase();
  if (encoding !== "identity" || (charset !== undefined && !/^charset="?utf-?8"?$/u.test(charset))) {
    throw new ApiError(
      415,
      "the body must be uncompressed JSON in UTF-8; got another encoding; try it without Content-Encoding and charset",
    );
  }
  if (type.trim() !== "application/json") {
    throw new ApiError(
      415,
      "the body must be JSON; got another content type; try the header Content-Type: application/json",
    );
  }
  const bytes = await bodies.read(request, bodyLimits.maxBytes);
  return parseJson(bytes, { ...bodyLimits, what: "the request" }, ({ must, got }) => invalid(`${must}; got ${got}`));
};

const ending = (): ApiError =>
  new ApiError(503, "the server is shutting down; try again later", { code: "server_ending", retryAfter: 5 });

/** Aborts the work on a request if it takes too long, or if the client disconnects. */
const watch = (parts: ServerParts, response: ServerResponse) => {
  const controller = new AbortController();
  let left = false;
  const timer = setTimeout(() => {
    controller.abort(
      new ApiError(504, `a request must end within ${parts.timeLimitMs / 1000} s; it did not; try fewer tokens`, {
        code: "timeout",
      }),
    );
  }, parts.timeLimitMs);
  parts.underWay.add(controller);
  response.once("close", () => {
    if (!response.writableFinished) {
      left = true;
      controller.abort(new ApiError(499, "the client has disconnected"));
    }
  });
  return {
    signal: controller.signal,
    hasLeft: () => left,
    end(): void {
      clearTimeout(timer);
      parts.underWay.delete(controller);
    },
  };
};

/** Answers one request, logs it and counts it. */
const answer = async (c: AppContext, parts: ServerParts, path: string, work: Work): Promise<Response> => {
  const began = performance.now();
  const time = new Date().toISOString();
  const id = newId();
  const { outgoing } = c.env;
  const facts: ExchangeFacts = { promptTokens: 0, newTokens: 0 };
  const watched = watch(parts, outgoing);
  let headers: Record<string, string> = { ...commonHeaders, "X-Request-Id": id };
  let caller: Caller | undefined;
  const done = (status: number): void => {
    watched.end();
    caller?.release();
    parts.bodies.release(c.req.raw);
    const ms = performance.now() - began;
    const { promptTokens, newTokens, firstTokenMs = null, error } = facts;
    parts.metrics.note({ path, status, milliseconds: ms, firstTokenMs, promptTokens });
    const shownStatus = error?.status ?? status;
    parts.recent.note({
      ...{ id, time, path, model: facts.model ?? null, promptTokens, newTokens, firstTokenMs, milliseconds: ms },
      ...{ status: shownStatus, ending: endingOf(shownStatus, watched.hasLeft()), code: error?.details.code ?? null },
    });
    parts.log.note({
      ...{ id, method: c.req.method, path, status, ms: Math.round(ms), key: caller?.id ?? null },
      ...(facts.model === undefined ? {} : { model: facts.model, promptTokens, newTokens }),
      ...(firstTokenMs === null ? {} : { firstTokenMs: Math.round(firstTokenMs) }),
      ...(watched.hasLeft() ? { left: true } : {}),
      ...(error === undefined ? {} : { error: error.message }),
    });
  };
  const send = (response: Response): Response => {
    for (const [name, value] of Object.entries(headers)) response.headers.set(name, value);
    done(response.status);
    return response;
  };
  try {
    headers = { ...headers, ...parts.callers.pageHeaders(c.req.raw) };
    caller = parts.callers.admit(c.req.raw);
    if (parts.isEnding()) throw ending();
    const body = c.req.method === "POST" ? await readBody(c.req.raw, parts.bodies) : undefined;
    const { models } = parts;
    const exchange: Exchange = {
      id,
      began,
      signal: watched.signal,
      response: outgoing,
      headers,
      models,
      facts,
      wrote(tokens) {
        parts.metrics.wrote(tokens);
        parts.recent.wrote(tokens);
      },
    };
    const answered = await work(exchange, body, new URL(c.req.url).searchParams);
    if (answered === "streamed") {
      done(200);
      return RESPONSE_ALREADY_SENT;
    }
    return send(jsonAnswer(answered.json));
  } catch (error) {
    // Aborted work fails with many different errors. So report the reason of the abort instead of these errors.
    const why = watched.signal.aborted ? watched.signal.reason : error;
    facts.error = apiErrorOf(why);
    if (parts.isEnding()) headers = { ...headers, Connection: "close" };
    return send(errorAnswer(why));
  }
};

const listed = ({ name, parent, created, contextLength }: ListedModel) => ({
  ...{ id: name, object: "model", created, owned_by: "foretoken" },
  ...{ parent, root: parent ?? name, max_model_len: contextLength },
});

/** Creates the server as a function from requests to responses. */
export const createApp = (parts: ServerParts): Hono<{ Bindings: HttpBindings }> => {
  const app = new Hono<{ Bindings: HttpBindings }>({ strict: true });
  const { models } = parts;
  const openApi = openApiDocument(parts.version);
  const posts: Readonly<Record<string, Work>> = {
    "/v1/completions": answerCompletion,
    "/v1/chat/completions": answerChat,
    "/v1/responses": answerResponse,
    "/tokenize": answerTokenize,
    "/detokenize": answerDetokenize,
  };
  const gets: Readonly<Record<string, Work>> = {
    "/v1/models": async () => ({ json: { object: "list", data: models.list().map(listed) } }),
    "/tokenizer_info": (exchange, _, query) => answerTokenizerInfo(exchange, query.get("model") ?? undefined),
  };
  app.options("*", (c) => {
    const headers = parts.callers.pageHeaders(c.req.raw);
    return new Response(null, { status: 204, headers: { ...commonHeaders, ...headers } });
  });
  for (const [path, work] of Object.entries(posts)) app.post(path, (c) => answer(c, parts, path, work));
  for (const [path, work] of Object.entries(gets)) app.get(path, (c) => answer(c, parts, path, work));
  app.get("/v1/models/:name{.+}", (c) =>
    answer(c, parts, "/v1/models/{model}", async () => ({ json: listed(models.lookUp(c.req.param("name"))) })),
  );
  // Anyone may use /health and /openapi.json, because they reveal nothing about models or texts.
  app.get("/health", () => jsonAnswer({ status: parts.isEnding() ? "ending" : "ok" }, parts.isEnding() ? 503 : 200));
  app.get("/openapi.json", (c) => {
    const headers = parts.callers.pageHeaders(c.req.raw);
    return new Response(JSON.stringify(openApi), {
      headers: { ...commonHeaders, ...headers, "Content-Type": "application/json; charset=utf-8" },
    });
  });
  app.get("/metrics", async (c) => {
    const headers = parts.callers.pageHeaders(c.req.raw);
    parts.callers.admit(c.req.raw, false);
    const text = parts.metrics.text(await models.state(), parts.underWay.size);
    return new Response(text, {
      headers: { ...commonHeaders, ...headers, "Content-Type": "text/plain; version=0.0.4; charset=utf-8" },
    });
  });
  const known = new Set([...Object.keys(posts), ...Object.keys(gets), "/health", "/openapi.json", "/metrics"]);
  app.all("*", (c) => {
    const { path } = c.req;
    if (known.has(path)) {
      const method = path in posts ? "POST" : "GET";
      throw new ApiError(405, `the method of ${path} must be ${method}; got ${c.req.method}; try ${method}`, {
        allow: method,
      });
    }
    // A request to an unknown path is logged, and its caller is checked, like any other request.
    return answer(c, parts, "other", async () => {
      const near = nearest(path, [...known]);
      throw new ApiError(
        404,
        `the path must be listed in /openapi.json; got ${shorten(path)}; try ${near ?? "/v1/models"}`,
        { code: "not_found" },
      );
    });
  });
  app.onError((error) => {
    const response = errorAnswer(error);
    for (const [name, value] of Object.entries(commonHeaders)) response.headers.set(name, value);
    return response;
  });
  return app;
};

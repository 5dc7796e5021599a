/** The addresses of the studio, and the functions that answer them. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { HttpBindings } from "@hono/node-server";
import { type Context, Hono } from "hono";
import { z } from "zod";
import type { BackendChoice } from "../../backend/choices.node.ts";
import { describeBackends } from "../../backend/select.node.ts";
import type { TemplateRenderer } from "../../chat/template.node.ts";
import { runConfigSchema } from "../../config/config.ts";
import { defaultPreset } from "../../config/presets.ts";
import { configFields } from "../../core/checks/schema-fields.ts";
import { corpusNames } from "../../data/corpora.node.ts";
import { readRunDescription } from "../../runs/description.node.ts";
import { folderNames } from "../../runs/folder-names.ts";
import { readColumns } from "../../runs/list/series.node.ts";
import { isValTraining } from "../../runs/run-schemas.ts";
import type { Bodies } from "../http/bodies.ts";
import { computingPolicy, type GuardSettings, guardHeaders, refusalOf, tokenRefusal } from "../http/guard.ts";
import { HttpError } from "../http/http-error.ts";
import { failureAnswer, jsonAnswer, jsonTextAnswer, readJson } from "../http/json.ts";
import { createSharedWork, type SharedWork } from "../http/shared-work.ts";
import { eventAnswer } from "../http/sse.ts";
import { staticAnswer } from "../http/static.ts";
import type { OpenAiServer } from "../openai/start.ts";
import { addedSystem, answerChat } from "./chat.ts";
import { stopElsewhere } from "./elsewhere.ts";
import { listEvents, runEvents } from "./events.ts";
import { addInsideRoutes } from "./inside/routes.ts";
import type { Jobs } from "./jobs.ts";
import type { Models } from "./models.ts";
import { askedRun, inForm } from "./new-run.ts";
import { planOrFaults } from "./plan-faults.ts";
import { presetTexts } from "./presets.ts";
import {
  apiPath,
  type ConfigFieldInfo,
  chatSchema,
  newRunSchema,
  type RunSeries,
  resumeSchema,
  type ServerAnswer,
  type StudioInfo,
  scoreSchema,
  stopSchema,
  writeSchema,
} from "./protocol.ts";
import { createRunTimes, type RunTimes } from "./run-time.ts";
import type { RunShelf } from "./runs.ts";
import { isOfSweep } from "./sweeps.ts";
import { listTexts } from "./texts.ts";
import { createTurns, type Turns } from "./turns.ts";
import { scoreText, writeText } from "./writing.ts";

/** The parts of a studio. */
export interface StudioParts {
  readonly version: string;
  readonly runsFolder: string;
  readonly textFolder: { readonly path: string; readonly name: string } | null;
  /** The folder of the built page. */
  readonly page: string;
  /** The folder with the library for browsers. The page's lesson worker loads this library. */
  readonly library: string;
  readonly shelf: RunShelf;
  readonly jobs: Jobs;
  readonly turns: Turns;
  readonly models: Models;
  /** Renders conversations with the models' chat templates. */
  readonly templates: TemplateRenderer;
  readonly bodies: Bodies;
  readonly patienceMs: number;
  readonly backend: BackendChoice | undefined;
  readonly advice: string | undefined;
  readonly threads: number | undefined;
  /** The OpenAI server in the same process. Undefined: there is no such server. */
  readonly server: Pick<OpenAiServer, "url" | "state"> | undefined;
}

/**
 * Maximum number of steps in a run's series. A series of this length takes about 17 MB of JSON and has far more steps
 * than a chart has pixels.
 */
const mostSteps = 200_000;
/**
 * Minimum of the parameter `most`. The last steps are always complete: a quarter of `most`, but at most 1,000 steps.
 */
const fewestSteps = 1000;

/**
 * Limits on the number of JSON values in a body. A text of any length is one value. Many small values would use many
 * times the memory of their bytes.
 */
const few = { maxValues: 4096, maxKeys: 2048 } as const;
/** Limits for requests that stop or resume a run. */
const smallBody = { maxBytes: 2 ** 12, ...few } as const;
/** Limits for a prompt with the tokens after it, or for a text to score. */
const textBody = { maxBytes: 2 ** 23, maxValues: 70_000, maxKeys: few.maxKeys } as const;
/** Limits for a conversation with the tokens of an unfinished answer. */
const chatBody = { maxBytes: 2 ** 23, maxValues: 90_000, maxKeys: 2 ** 14 } as const;
/** Limits for a text to train on, as JSON. */
const corpusBody = { maxBytes: 2 ** 26, ...few } as const;

/**
 * The byte of the event log from which to continue. If the client has events, the result is the byte after its last
 * event. If the client has no event, the result is the parameter `after`.
 */
const offsetOf = (request: Request): number => {
  const given = request.headers.get("last-event-id") ?? new URL(request.url).searchParams.get("after") ?? "0";
  const offset = Number(given);
  if (/^\d{1,15}$/u.test(given) && Number.isSafeInteger(offset)) return offset;
  throw new HttpError(400, "after: must be a byte offset, such as `offset` of the series; got another value; try 0");
};

/** Maximum number of steps of a series, from the parameter `most`. */
const mostOf = (request: Request): number => {
  const given = new URL(request.url).searchParams.get("most");
  if (given === null) return mostSteps;
  const most = /^\d{1,9}$/u.test(given) ? Number(given) : 0;
  if (most >= fewestSteps && most <= mostSteps) return most;
  throw new HttpError(
    400,
    `most: must be a number of steps from ${fewestSteps} to ${mostSteps}; got another value; try ${fewestSteps}`,
  );
};

const infoOf = async (parts: StudioParts): Promise<StudioInfo> => {
  const { version, runsFolder, textFolder, backend = "auto", threads } = parts;
  const { backends, auto } = await describeBackends();
  const name = backend === "auto" ? auto.name : backend;
  const found = backends.find((one) => one.name === name);
  const used = found?.available === true ? found : undefined;
  return {
    version,
    runsFolder,
    textFolder: textFolder?.name ?? null,
    serves: parts.server !== undefined,
    backend: {
      name,
      instructionSet: used?.instructionSet ?? "",
      threads: threads ?? used?.threads ?? 1,
      advice: parts.advice ?? null,
    },
    presets: presetTexts,
    defaultPreset,
    corpora: corpusNames,
  };
};

/** The fields of the form. The form has no teachers, so it has no settings for them. */
const fields = (): readonly ConfigFieldInfo[] =>
  configFields(runConfigSchema)
    .filter(({ path }) => path[1] !== "teacher")
    .map(({ path, type, choices = [], description }) => ({
      path: path.join("."),
      type,
      choices,
      about: description,
    }));

/**
 * A run's series as JSON. Requests that arrive during a read share its result. A read covers all events in the log
 * until its end, so its result is never out of date.
 */
const seriesOf = async (
  { shelf }: StudioParts,
  shared: SharedWork<string>,
  name: string,
  most: number,
  signal: AbortSignal,
): Promise<string> => {
  const { path, summary } = await shelf.find(name);
  const { config } = summary;
  const { batchSize, gradAccumSteps } = config.train;
  const tokensPerStep = batchSize * gradAccumSteps * config.model.contextLength;
  const read = async (ended: AbortSignal): Promise<string> => {
    const { thinned, ...columns } = await readColumns(path, most, ended);
    const seconds = thinned?.time.map((time) => time * tokensPerStep);
    const data = (await readRunDescription(path).catch(() => undefined))?.data;
    const series: RunSeries = {
      ...{ ...columns, tokensPerStep, mostSteps: most },
      valIsTraining: data !== undefined && isValTraining(data),
      thinned: seconds === undefined ? null : { seconds },
    };
    return JSON.stringify(series);
  };
  // A resumed run has a new event log. The file's inode is part of the key, so later requests read the new file.
  const { ino = 0 } = (await stat(join(path, folderNames.metrics)).catch(() => undefined)) ?? {};
  return shared.get(JSON.stringify([path, ino, most]), read, signal);
};

const notBuilt = `<!doctype html><html lang="en"><meta charset="utf-8"><title>foretoken studio</title>
<p>The page of the studio is not built: try npm run build.</p></html>`;

const pageAnswer = async (page: string, address: string): Promise<Response> =>
  (await staticAnswer(page, address)) ??
  new Response(notBuilt, {
    status: 503,
    headers: { "Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store" },
  });

/**
 * The address of the library for browsers. The page loads the library from this address, so the page does not contain a
 * second copy.
 */
const libraryName = "/foretoken.browser.js";
/**
 * Whether the address is the page's file for computations. There is only one such file. The bundler chooses the file's
 * name.
 */
const isComputing = (address: string): boolean => /^\/assets\/lesson-worker-[A-Za-z0-9_-]+\.js$/u.test(address);

const nameOf = (c: Context): string => c.req.param("name") ?? "";

const addRunRoutes = (api: Hono, parts: StudioParts, times: RunTimes): void => {
  const { shelf, jobs, bodies } = parts;
  api.get("/runs", async () => jsonAnswer(await shelf.list()));
  const series = createSharedWork<string>();
  api.get("/runs/:name/series", async (c) =>
    jsonTextAnswer(await seriesOf(parts, series, nameOf(c), mostOf(c.req.raw), c.req.raw.signal)),
  );
  api.get("/runs/:name/events", async (c) => {
    const after = offsetOf(c.req.raw);
    const name = nameOf(c);
    // Check the name before the stream begins. So a wrong name gives an error status, not a broken stream.
    const { path } = await shelf.find(name);
    return eventAnswer((signal) => runEvents(shelf, { name, path }, after, signal));
  });
  api.get("/events", () => eventAnswer((signal) => listEvents(shelf, signal)));
  api.post("/runs/:name/stop", async (c) => {
    const { elsewhere = false } = await readJson(c.req.raw, stopSchema, smallBody, bodies);
    const name = nameOf(c);
    if (jobs.stop(name)) return jsonAnswer({ name });
    const { path, summary } = await shelf.find(name);
    if (summary.owner === "elsewhere" && !elsewhere) {
      const must = "to stop a run of another process, the request needs `elsewhere`";
      throw new HttpError(409, `stop: ${must}; got no such field; try {"elsewhere":true}`);
    }
    await stopElsewhere(join(path, folderNames.lock));
    return jsonAnswer({ name });
  });
  api.post("/runs/:name/resume", async (c) => {
    const { steps, extend } = await readJson(c.req.raw, resumeSchema, smallBody, bodies);
    const name = nameOf(c);
    const { path, summary } = await shelf.find(name);
    if (summary.owner === "elsewhere")
      throw new HttpError(
        409,
        "resume: the run must not be in progress; got a run of another process; try stopping it first",
      );
    if (steps !== undefined && (await isOfSweep(path))) {
      const must = "steps must be left out for a run of a sweep, which compares runs of the same steps";
      throw new HttpError(409, `resume: ${must}; got ${steps}; try a new run with the setting`);
    }
    times.stop();
    const notices = await jobs.start(name, {
      resume: path,
      steps,
      extend,
      backend: parts.backend ?? "auto",
      threads: parts.threads,
    });
    return jsonAnswer({ name, notices });
  });
};

/** A request with fields that are checked later, one by one. */
const requestSchema = z.record(z.string(), z.unknown());

const addNewRunRoutes = (api: Hono, parts: StudioParts, times: RunTimes): void => {
  const { jobs, bodies } = parts;
  const newRun = { ...parts, texts: parts.textFolder?.path ?? null, planning: createTurns(() => {}), times };
  api.post("/plan", async (c) => {
    const request = await readJson(c.req.raw, requestSchema, corpusBody, bodies);
    return jsonAnswer(await planOrFaults(request, newRun, c.req.raw.signal));
  });
  api.get("/plans/:name/time", async (c) => jsonAnswer(await times.measured(nameOf(c), c.req.raw.signal)));
  api.post("/runs", async (c) => {
    const request = await readJson(c.req.raw, newRunSchema, corpusBody, bodies);
    // Check these fields before the text is read, because reading may take long.
    jobs.checkFree();
    times.stop();
    const { name, options } = await askedRun(request, newRun);
    const notices = await jobs.start(name, options).catch((error: unknown) => {
      throw inForm(error, request);
    });
    return jsonAnswer({ name, notices });
  });
};

const addModelRoutes = (api: Hono, parts: StudioParts): void => {
  const { models, bodies } = parts;
  api.get("/models", async () => jsonAnswer(await models.list()));
  api.post("/generate", async (c) => {
    const request = await readJson(c.req.raw, writeSchema, textBody, bodies);
    const place = await models.placeOf(request.model);
    return eventAnswer((signal) => writeText(parts, place, request, signal));
  });
  api.get("/models/system", async (c) =>
    jsonAnswer(await addedSystem(parts, await models.placeOf(c.req.query("model") ?? ""))),
  );
  api.post("/chat", async (c) => {
    const request = await readJson(c.req.raw, chatSchema, chatBody, bodies);
    const place = await models.placeOf(request.model);
    return eventAnswer((signal) => answerChat(parts, place, request, signal));
  });
  api.post("/score", async (c) => {
    const { model, ...request } = await readJson(c.req.raw, scoreSchema, textBody, bodies);
    return jsonAnswer(await scoreText(parts, await models.placeOf(model), request, c.req.raw.signal));
  });
};

/** Creates the studio as a function from requests to responses. */
export const createApp = (parts: StudioParts, guard: () => GuardSettings): Hono<{ Bindings: HttpBindings }> => {
  const app = new Hono<{ Bindings: HttpBindings }>({ strict: true });
  app.use(async (c, next) => {
    // The event `close` comes when the response has been sent. For a stream, the event comes when the stream has ended.
    // The event `close` also comes if the connection ends early.
    c.env.outgoing.once("close", () => parts.bodies.release(c.req.raw));
    await next();
  });
  app.use(async (c, next) => {
    const refusal = refusalOf(c.req.raw, guard());
    if (refusal !== undefined) c.res = failureAnswer(new HttpError(refusal.status, refusal.error));
    else await next();
    for (const [name, value] of Object.entries(guardHeaders)) c.res.headers.set(name, value);
    if (isComputing(c.req.path)) c.res.headers.set("Content-Security-Policy", computingPolicy);
  });
  app.onError((error) => failureAnswer(error));
  const api = new Hono();
  // Check the token again after routing. The router decides which paths belong to the API, with any escapes in them.
  // Each of these paths needs the token.
  api.use("*", async (c, next) => {
    const refusal = tokenRefusal(c.req.raw, guard());
    if (refusal === undefined) return next();
    return failureAnswer(new HttpError(refusal.status, refusal.error));
  });
  api.get("/info", async () => jsonAnswer(await infoOf(parts)));
  api.get("/fields", () => jsonAnswer(fields()));
  api.get("/texts", async () =>
    jsonAnswer(parts.textFolder === null ? { texts: [] } : await listTexts(parts.textFolder.path)),
  );
  api.get("/server", async () => {
    const { server } = parts;
    if (server === undefined) throw new HttpError(404, "a server must run in the studio; got none; try studio --serve");
    return jsonAnswer({ url: `${server.url}/v1`, ...(await server.state()) } satisfies ServerAnswer);
  });
  const times = createRunTimes(parts);
  addRunRoutes(api, parts, times);
  addNewRunRoutes(api, parts, times);
  addModelRoutes(api, parts);
  addInsideRoutes(api, parts);
  const nothing = (): Response =>
    failureAnswer(new HttpError(404, "the path must be part of the protocol; got an unknown path"));
  app.route(apiPath, api);
  app.all("/api/*", nothing);
  app.get(libraryName, async () => (await staticAnswer(parts.library, libraryName)) ?? nothing());
  app.get("*", (c) => pageAnswer(parts.page, c.req.path));
  app.all("*", nothing);
  return app;
};

/** Worker of the lesson: loads the library, trains, writes and answers the page. The text stays in the worker. */
import type { Backend } from "../../../src/browser.ts";
import { mostMeasured } from "../../../src/lesson/small-model-config.ts";
import { createKeeper } from "./keep.ts";
import type { Library } from "./learner.ts";
import type { Report, Request, SessionName } from "./messages.ts";
import { configsOf, createSession, type Material, openedFacts, type Session } from "./session.ts";

/** Path of the library relative to this file. The build defines it. */
declare const lessonLibrary: string;

/** The members of a worker's global object that are used here. */
interface WorkerScope {
  onmessage: ((event: { readonly data: Request }) => void) | null;
  postMessage(message: Report): void;
}
const scope = globalThis as unknown as WorkerScope;

/** Milliseconds between reports of losses. The page does not need to draw every step. */
const reportEvery = 120;

let library: Promise<Library> | undefined;
let backend: Promise<Backend> | undefined;
let material: Material | undefined;
let running: SessionName | undefined;
/** Number of texts that were opened. Work on an earlier text stops when a new text is opened. */
let texts = 0;
/** Number of calls of `train`. A new call ends the previous call. */
let runs = 0;
const sessions = new Map<SessionName, Session>();
/** Steps, samples and answers are computed one after the other. */
let last: Promise<unknown> = Promise.resolve();
const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
  const next = last.then(work, work);
  last = next.catch(() => undefined);
  return next;
};

const fail = (error: unknown): void => {
  running = undefined;
  scope.postMessage({ kind: "failed", error: error instanceof Error ? error.message : String(error) });
};

/** Lets the event loop handle messages. A timer would wait for some milliseconds. */
const channel = new MessageChannel();
const breathe = (): Promise<void> =>
  new Promise((resolve) => {
    channel.port1.onmessage = () => resolve();
    channel.port2.postMessage(null);
  });

const loadLibrary = async (): Promise<Library> => {
  const url = new URL(lessonLibrary, location.href).href;
  try {
    return (await import(/* @vite-ignore */ url)) as Library;
  } catch (cause) {
    const got = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`lesson: the library must load; got ${got}; try loading the page again`, { cause });
  }
};

let pending: { session: SessionName; losses: number[][] } | undefined;
let told = 0;
const flush = (): void => {
  if (pending !== undefined) scope.postMessage({ kind: "losses", ...pending });
  pending = undefined;
  told = performance.now();
};
const report = (one: Report): void => {
  if (one.kind !== "losses") {
    flush();
    scope.postMessage(one);
    return;
  }
  if (pending?.session !== one.session) {
    flush();
    pending = { session: one.session, losses: one.losses.map(() => []) };
  }
  for (const [i, losses] of one.losses.entries()) pending.losses[i]?.push(...losses);
  if (performance.now() - told > reportEvery) flush();
};

const keeper = createKeeper(report);

/** Stores the current state of a session. */
const keepNow = async (name: SessionName): Promise<void> => {
  const session = sessions.get(name);
  if (session === undefined || material === undefined) return;
  await keeper.keep(name, configsOf(material, name), await session.read());
};

const sessionOf = (name: SessionName): Session => {
  if (material === undefined) throw new Error("lesson: a text must be read first");
  const known = sessions.get(name);
  if (known !== undefined) return known;
  // If another text arrives during a step, the reports of that step are dropped.
  const number = texts;
  const tell = (one: Report): void => {
    if (number === texts) report(one);
  };
  const made = createSession(material, name, tell, keeper.session(name, configsOf(material, name)));
  sessions.set(name, made);
  return made;
};

const setRunning = (name: SessionName | undefined): void => {
  if (running === name) return;
  if (running !== undefined) report({ kind: "running", session: running, running: false });
  running = name;
  if (name !== undefined) report({ kind: "running", session: name, running: true });
};

const closeSessions = (): void => {
  for (const session of sessions.values()) session.close();
  sessions.clear();
};

const open = async (text: string, prompt: string, threads: number, number: number): Promise<void> => {
  closeSessions();
  library ??= loadLibrary();
  const loaded = await library;
  backend ??= loaded.openBackend("wasm", { threads });
  const opened = await backend;
  if (number !== texts) return;
  const { train, val } = loaded.splitText(text);
  const tokenizer = loaded.trainCharTokenizer(train, val);
  const heldOut = [...val.slice(0, 2 * mostMeasured)].slice(0, mostMeasured).join("");
  const trainIds = tokenizer.encode(train);
  material = { library: loaded, backend: opened, tokenizer, trainIds, trained: train, heldOut, prompt };
  await keeper.open(loaded, text);
  if (number !== texts) return;
  const parameters = sessionOf("model").learners[0]?.lm.model.layout.count ?? 0;
  report({ kind: "opened", opened: openedFacts(material, parameters) });
  // The page also shows the progress of stored sessions.
  for (const name of ["model", "race"] as const) {
    if (keeper.session(name, configsOf(material, name)) !== undefined) sessionOf(name).tellAgain();
  }
};

const run = async (name: SessionName): Promise<void> => {
  if (running === name) return;
  setRunning(name);
  const own = ++runs;
  const text = texts;
  const goesOn = (): boolean => own === runs && running === name && text === texts;
  while (goesOn()) {
    const isDone = await inTurn(async () => {
      if (!goesOn()) return false;
      const session = sessionOf(name);
      await session.advance();
      if (session.isDone || (session.hasLooked && session.step > 0)) await keepNow(name);
      return session.isDone;
    });
    if (isDone && goesOn()) setRunning(undefined);
    await breathe();
  }
  flush();
};

const logitsOf = async (ids: readonly number[]): Promise<Float32Array> => {
  const lm = sessionOf("model").learners[0]?.lm;
  if (lm === undefined) throw new Error("lesson: there must be a model");
  const { data, shape } = await lm.logits(ids.slice(-lm.model.config.contextLength));
  return data.slice((shape[0] - 1) * shape[1]);
};

const answer = async (request: Request): Promise<void> => {
  switch (request.kind) {
    case "open": {
      setRunning(undefined);
      const number = ++texts;
      return inTurn(() => open(request.text, request.prompt, request.threads, number));
    }
    case "train":
      return run(request.session);
    case "pause":
      if (running !== request.session) return;
      setRunning(undefined);
      return inTurn(() => keepNow(request.session));
    case "again":
      if (running === request.session) setRunning(undefined);
      return inTurn(async () => {
        sessions.get(request.session)?.close();
        sessions.delete(request.session);
        await keeper.forget(request.session);
        report({ kind: "fresh", session: request.session });
      });
    case "logits":
      return inTurn(async () => {
        const logits = await logitsOf(request.ids);
        scope.postMessage({ kind: "logits", call: request.call, logits });
      });
    default:
      return request satisfies never;
  }
};

scope.onmessage = ({ data }) => {
  answer(data).catch(fail);
};

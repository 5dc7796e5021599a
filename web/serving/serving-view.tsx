/** The studio can run a server for other programs. This view shows the address and the activity of that server. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Failure, ServerAnswer } from "../../src/serve/studio/protocol.ts";
import { Command } from "../parts/command.tsx";
import { count, some } from "../parts/format.ts";
import { Notice } from "../parts/notice.tsx";
import { api, getJson } from "../server/request.ts";
import { LastRequests } from "./last-requests.tsx";
import { milliseconds, timesNote, unanswered } from "./words.ts";

/** Milliseconds between two requests. */
const everyMs = 1000;

type Times = ServerAnswer["request"];

const Figure = ({ label, value, note }: { readonly label: string; readonly value: string; readonly note: string }) => (
  <div class="figure">
    <span class="figure-label">{label}</span>
    <span class="figure-value num">{value}</span>
    <span class="figure-note num">{note}</span>
  </div>
);

const TimesFigure = ({ label, times }: { readonly label: string; readonly times: Times }) => (
  <Figure label={label} value={times === null ? "–" : milliseconds(times.median)} note={timesNote(times)} />
);

/** Example command that sends a request to the server. */
const commandFor = ({ url, models: [model] }: ServerAnswer): string => {
  const [path, text] = model?.chats
    ? ["chat/completions", { messages: [{ role: "user", content: "Name three rivers." }] }]
    : ["completions", { prompt: "The " }];
  const body = JSON.stringify({ model: model?.name ?? "", ...text, max_tokens: 40 });
  return `curl ${url}/${path} -H 'Content-Type: application/json' -d '${body.replaceAll("'", "'\\''")}'`;
};

const NoServer = () => (
  <>
    <p>No server for other programs runs in this studio. To start one, start the studio with a model to serve:</p>
    <Command text="npx foretoken studio --serve MODEL" />
  </>
);

const Shown = ({ state }: { readonly state: ServerAnswer }) => {
  const { url, models, running, tokensPerSecond, firstToken, request, ended, last } = state;
  const without = unanswered(state);
  const waiting = models.reduce((sum, model) => sum + model.waiting, 0);
  return (
    <>
      <Command text={url} />
      <p class="soft">
        Programs on this machine that use OpenAI’s protocol can use the models at this address. No key is needed.
      </p>
      <div class="headline">
        <Figure label="Running" value={count(running)} note={`${some(waiting, "text")} in the queue`} />
        <Figure label="Answered" value={count(ended.answered)} note="since the start" />
        <Figure label="Not answered" value={count(without.number)} note={without.note} />
        <TimesFigure label="First token" times={firstToken} />
        <TimesFigure label="Whole request" times={request} />
        <Figure label="Tokens per second" value={count(tokensPerSecond)} note="of all texts, in the last 5 s" />
      </div>
      <div class="table-box">
        <table>
          <thead>
            <tr>
              <th scope="col">Model</th>
              <th scope="col" class="num">
                Writing
              </th>
              <th scope="col" class="num">
                Waiting
              </th>
            </tr>
          </thead>
          <tbody>
            {models.map(({ name, running, waiting: queued }) => (
              <tr key={name}>
                <th scope="row" class="mono">
                  {name}
                </th>
                <td class="num">{some(running, "text")}</td>
                <td class="num">{some(queued, "text")}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <h2>Try it</h2>
      <Command text={commandFor(state)} />
      <LastRequests requests={last} />
    </>
  );
};

export const ServingView = () => {
  const state = useSignal<ServerAnswer | undefined>(undefined);
  const failure = useSignal<Failure | undefined>(undefined);
  const isMissing = useSignal(false);
  useEffect(() => {
    const controller = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = async (): Promise<void> => {
      const answer = await getJson<ServerAnswer>(`${api}/server`, controller.signal).catch(() => undefined);
      if (answer === undefined) return;
      if (answer.kind === "ok") state.value = answer.value;
      failure.value = answer.kind === "ok" ? undefined : answer.failure;
      // The studio was started without a server. This does not change while the studio runs.
      isMissing.value = answer.kind === "failed" && answer.status === 404;
      if (isMissing.value) return;
      timer = setTimeout(() => void look(), everyMs);
    };
    void look();
    return () => {
      controller.abort();
      clearTimeout(timer);
    };
  }, []);
  return (
    <section class="serving">
      <h1>Server</h1>
      {isMissing.value && <NoServer />}
      {failure.value !== undefined && !isMissing.value && <Notice tone="bad">{failure.value.error}</Notice>}
      {state.value === undefined ? (
        failure.value === undefined && <p class="soft waiting">Loading</p>
      ) : (
        <Shown state={state.value} />
      )}
    </section>
  );
};

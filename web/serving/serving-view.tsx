/** The studio can run a server for other programs. This view shows the address and the activity of that server. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Failure, ServerAnswer } from "../../src/serve/studio/protocol.ts";
import { Command } from "../parts/command.tsx";
import { count, some } from "../parts/format.ts";
import { Notice } from "../parts/notice.tsx";
import { api, getJson } from "../server/request.ts";

/** Milliseconds between two requests. */
const everyMs = 1000;

type Times = ServerAnswer["request"];

const milliseconds = (value: number): string =>
  value >= 10_000 ? `${(value / 1000).toFixed(1)} s` : `${count(Math.max(1, value))} ms`;

const Figure = ({ label, value, note }: { readonly label: string; readonly value: string; readonly note: string }) => (
  <div class="figure">
    <span class="figure-label">{label}</span>
    <span class="figure-value num">{value}</span>
    <span class="figure-note num">{note}</span>
  </div>
);

const TimesFigure = ({ label, times }: { readonly label: string; readonly times: Times }) => (
  <Figure
    label={label}
    value={times === null ? "–" : milliseconds(times.p50)}
    note={times === null ? "no request yet" : `99 of 100 within ${milliseconds(times.p99)}`}
  />
);

/** Example command that sends a request to the server. */
const commandFor = ({ url, models: [model] }: ServerAnswer): string => {
  const [path, text] = model?.chats
    ? ["chat/completions", { messages: [{ role: "user", content: "Name three rivers." }] }]
    : ["completions", { prompt: "The " }];
  const body = JSON.stringify({ model: model?.name ?? "", ...text, max_tokens: 40 });
  return `curl ${url}/${path} -H 'Content-Type: application/json' -d '${body.replaceAll("'", "'\\''")}'`;
};

const Shown = ({ state }: { readonly state: ServerAnswer }) => {
  const { url, models, requests, tokensPerSecond, firstToken, request, ended } = state;
  const waiting = models.reduce((sum, model) => sum + model.waiting, 0);
  return (
    <>
      <Command text={url} />
      <p class="soft">
        Programs on this machine that use OpenAI’s protocol can use the models at this address. No key is needed.
      </p>
      <div class="headline">
        <Figure label="Tokens per second" value={count(tokensPerSecond)} note="of all texts, in the last 5 s" />
        <Figure label="Requests" value={count(requests)} note={`${count(ended)} ended`} />
        <Figure label="Texts waiting" value={count(waiting)} note="in the queue" />
        <TimesFigure label="First token" times={firstToken} />
        <TimesFigure label="Whole request" times={request} />
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
    </>
  );
};

export const ServingView = () => {
  const state = useSignal<ServerAnswer | undefined>(undefined);
  const failure = useSignal<Failure | undefined>(undefined);
  useEffect(() => {
    const controller = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = async (): Promise<void> => {
      const answer = await getJson<ServerAnswer>(`${api}/server`, controller.signal).catch(() => undefined);
      if (answer === undefined) return;
      if (answer.kind === "ok") state.value = answer.value;
      failure.value = answer.kind === "ok" ? undefined : answer.failure;
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
      {failure.value !== undefined && <Notice tone="bad">{failure.value.error}</Notice>}
      {state.value === undefined ? (
        failure.value === undefined && <p class="soft waiting">Loading</p>
      ) : (
        <Shown state={state.value} />
      )}
    </section>
  );
};

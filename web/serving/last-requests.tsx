/** Table of the last requests. The server keeps neither prompts nor texts, so the table has none. */
import type { ServerAnswer } from "../../src/serve/studio/protocol.ts";
import { count, moment } from "../parts/format.ts";
import { Sign } from "../parts/run-state.tsx";
import { clock, milliseconds, requestState } from "./words.ts";

type Request = ServerAnswer["last"][number];

/** A column of numbers has no text for a request without tokens. */
const tokens = (value: number): string => (value === 0 ? "–" : count(value));

const Row = ({ request }: { readonly request: Request }) => {
  const { time, path, model, promptTokens, newTokens, firstTokenMs, milliseconds: whole } = request;
  const { tone, word, about } = requestState(request);
  const when = (
    <time class="served-time" dateTime={time} title={moment(time)}>
      {clock(time)}
    </time>
  );
  return (
    <tr>
      <td class="room-medium">{when}</td>
      <th scope="row" class="served">
        <span class="mono">{model ?? "–"}</span>
        <span class="served-path soft">
          {path === "other"
            ? "unknown address"
            : path.split(/(?<=\/)/u).map((part, i) => (
                <>
                  {i > 0 && <wbr />}
                  {part}
                </>
              ))}
        </span>
        {/* Shows the time if its column has no room. */}
        <span class="served-path narrow-time soft">{when}</span>
      </th>
      <td>
        <span class={`state state-${tone}`}>
          <Sign tone={tone} />
          {word}
        </span>
        <span class="served-about soft num">{about}</span>
      </td>
      <td class="num room-medium">{tokens(promptTokens)}</td>
      <td class="num">{tokens(newTokens)}</td>
      <td class="num room-medium">{firstTokenMs === null ? "–" : milliseconds(firstTokenMs)}</td>
      <td class="num">{milliseconds(whole)}</td>
    </tr>
  );
};

export const LastRequests = ({ requests }: { readonly requests: readonly Request[] }) => (
  <section aria-label="Last requests">
    <h2>Last requests</h2>
    {requests.length === 0 ? (
      <p class="soft">No request has ended yet. This list shows the last 50, without prompts and texts.</p>
    ) : (
      <>
        <div class="table-box">
          <table class="last-requests">
            <thead>
              <tr>
                <th scope="col" class="room-medium">
                  Time
                </th>
                <th scope="col">Model</th>
                <th scope="col">Status</th>
                <th scope="col" class="num room-medium">
                  Prompt tokens
                </th>
                <th scope="col" class="num">
                  New tokens
                </th>
                <th scope="col" class="num room-medium">
                  First token
                </th>
                <th scope="col" class="num">
                  Whole
                </th>
              </tr>
            </thead>
            <tbody>
              {requests.map((request) => (
                <Row key={request.id} request={request} />
              ))}
            </tbody>
          </table>
        </div>
        <p class="soft about">The last 50 requests. The server keeps neither their prompts nor their texts.</p>
      </>
    )}
  </section>
);

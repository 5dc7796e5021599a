/** Words and numbers about the requests of other programs. */
import type { ServerAnswer } from "../../src/serve/studio/protocol.ts";
import { count, inPercent } from "../parts/format.ts";
import type { Tone } from "../parts/state-words.ts";

type Request = ServerAnswer["last"][number];
type Times = ServerAnswer["request"];

/** 306 ms; from 10 seconds on, 12.3 s. A line never breaks before the unit. */
export const milliseconds = (value: number): string =>
  value >= 10_000 ? `${(value / 1000).toFixed(1)}\u00a0s` : `${count(Math.max(1, value))}\u00a0ms`;

/** What the median of the times means, and how long slow requests take. */
export const timesNote = (times: Times): string => {
  if (times === null) return "no request yet";
  if (times.count === 1) return "one request";
  const slow =
    times.p95 === null
      ? `longest ${milliseconds(times.longest)}`
      : `${inPercent(95)} within ${milliseconds(times.p95)}`;
  return `median of ${count(times.count)}, ${slow}`;
};

const endings = { refused: "refused", failed: "failed", left: "cancelled" } as const;

/** The requests without a complete answer: their number, and how they ended. */
export const unanswered = ({ ended }: Pick<ServerAnswer, "ended">) => {
  const kinds = (["refused", "failed", "left"] as const).filter((kind) => ended[kind] > 0);
  return {
    number: kinds.reduce((sum, kind) => sum + ended[kind], 0),
    note:
      kinds.length === 0
        ? "refused, failed or cancelled"
        : kinds.map((kind) => `${count(ended[kind])} ${endings[kind]}`).join(", "),
  };
};

const states: Readonly<Record<Request["ending"], { readonly tone: Tone; readonly word: string }>> = {
  answered: { tone: "good", word: "Answered" },
  refused: { tone: "bad", word: "Refused" },
  failed: { tone: "bad", word: "Failed" },
  left: { tone: "still", word: "Cancelled" },
};

/** How a request ended. `about`: the HTTP status, and the code of the error. */
export const requestState = ({ ending, status, code }: Request) => {
  const { tone, word } = states[ending];
  if (ending === "left") return { tone, word, about: "by the client" };
  const why = code?.replaceAll("_", " ") ?? (status === 400 ? "invalid request" : "");
  return { tone, word, about: why === "" ? String(status) : `${status}, ${why}` };
};

const timeOfDay = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });

/** 10:05:31 */
export const clock = (iso: string): string => timeOfDay.format(new Date(iso));

/**
 * Recent work of a server, for the studio's page: its speed, the times of its requests, and its last requests. Prompts
 * and texts are not kept.
 */

/**
 * How a request ended. `refused`: the request has a mistake, or there is no room for it (status 4xx). `failed`: the
 * server could not complete it (status 5xx). `left`: the client disconnected before the end of the response.
 */
export type Ending = "answered" | "refused" | "failed" | "left";

/** A request that has ended. */
export interface LastRequest {
  /** Id of the request, as in the response. */
  readonly id: string;
  /** Time when the request began, in ISO 8601. */
  readonly time: string;
  /** Known path; "other" for an unknown path. */
  readonly path: string;
  /** Null: the request was refused before a model was found, or it needs no model. */
  readonly model: string | null;
  readonly promptTokens: number;
  readonly newTokens: number;
  /** Milliseconds to the first token. Null: no token was written. */
  readonly firstTokenMs: number | null;
  readonly milliseconds: number;
  /** HTTP status. For a stream that ended with an error, this is the status of the error. */
  readonly status: number;
  readonly ending: Ending;
  /** Code of the error, such as "model_not_found". Null: no error, or an error without a code. */
  readonly code: string | null;
}

/** Summary of recent times, in milliseconds. */
export interface Times {
  /** Number of times. */
  readonly count: number;
  readonly median: number;
  readonly longest: number;
  /** 95% of the times are at most this long. Null: there are too few times to say this. */
  readonly p95: number | null;
}

/** Recent work of a server. */
export interface RecentWork {
  /** Tokens per second of all texts together, over the last 5 seconds. */
  readonly tokensPerSecond: number;
  /** Times of the last 200 answered requests with tokens. Null: there was no such request. */
  readonly firstToken: Times | null;
  readonly request: Times | null;
  /** Number of requests that ended since the start, by ending. */
  readonly ended: Readonly<Record<Ending, number>>;
  /** The last 50 requests that have ended. The request that began last is the first. */
  readonly last: readonly LastRequest[];
}

export interface Recent {
  wrote(tokens: number): void;
  note(request: LastRequest): void;
  work(): RecentWork;
}

/** Tokens are counted for this number of seconds. */
const recentSeconds = 5;
/** Times are kept for this number of latest requests, and the requests themselves for a smaller number. */
const keptTimes = 200;
const keptRequests = 50;
/** With fewer times, the 95th percentile would be the longest time. */
const leastForPercentile = 20;

export const endingOf = (status: number, hasLeft: boolean): Ending => {
  if (hasLeft || status === 499) return "left";
  if (status >= 500) return "failed";
  return status >= 400 ? "refused" : "answered";
};

/** @returns null for no times. */
export const timesOf = (times: readonly number[]): Times | null => {
  const count = times.length;
  if (count === 0) return null;
  const sorted = times.toSorted((a, b) => a - b);
  const at = (index: number): number => sorted[index] as number;
  return {
    count,
    median: (at(Math.floor((count - 1) / 2)) + at(Math.floor(count / 2))) / 2,
    longest: at(count - 1),
    p95: count < leastForPercentile ? null : at(Math.ceil(0.95 * count) - 1),
  };
};

const keep = <T>(list: T[], one: T, most: number): void => {
  list.push(one);
  if (list.length > most) list.shift();
};

export const createRecent = (): Recent => {
  const written: { readonly second: number; tokens: number }[] = [];
  const firsts: number[] = [];
  const totals: number[] = [];
  const last: LastRequest[] = [];
  const ended: Record<Ending, number> = { answered: 0, refused: 0, failed: 0, left: 0 };
  const now = (): number => Math.floor(performance.now() / 1000);
  const forget = (): void => {
    while ((written[0]?.second ?? Number.POSITIVE_INFINITY) < now() - recentSeconds) written.shift();
  };
  return {
    wrote(tokens) {
      const newest = written.at(-1);
      if (newest?.second === now()) newest.tokens += tokens;
      else written.push({ second: now(), tokens });
      forget();
    },
    note(request) {
      ended[request.ending]++;
      keep(last, request, keptRequests);
      // The times of an incomplete answer would say nothing about the speed.
      if (request.ending !== "answered" || request.firstTokenMs === null) return;
      keep(totals, request.milliseconds, keptTimes);
      keep(firsts, request.firstTokenMs, keptTimes);
    },
    work() {
      forget();
      // Leave out the current second, because it is not complete.
      const whole = written.filter(({ second }) => second < now());
      return {
        tokensPerSecond: whole.reduce((sum, { tokens }) => sum + tokens, 0) / recentSeconds,
        ...{ firstToken: timesOf(firsts), request: timesOf(totals) },
        ...{
          ended: { ...ended },
          last: last.toReversed().toSorted((a, b) => (a.time < b.time ? 1 : a.time > b.time ? -1 : 0)),
        },
      };
    },
  };
};

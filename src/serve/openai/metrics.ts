/**
 * Metrics of a server in the text format of Prometheus: https://prometheus.io/docs/instrumenting/exposition_formats/
 */
import type { EngineCounts } from "../../engine/engine.ts";

/** A request that has ended. */
export interface EndedRequest {
  readonly path: string;
  readonly status: number;
  readonly milliseconds: number;
  /** Milliseconds to the first token. Null: no token was written. */
  readonly firstTokenMs: number | null;
  readonly promptTokens: number;
}

/** Current state of a model. */
export interface ModelState {
  readonly name: string;
  readonly texts: number;
  readonly counts: EngineCounts;
}

export interface Metrics {
  /** Call this function each time tokens were written, with the number of tokens. */
  wrote(tokens: number): void;
  note(request: EndedRequest): void;
  /** All metrics as text. @param underWay number of requests in progress. */
  text(models: readonly ModelState[], underWay: number): string;
}

/** Upper limits of the histogram buckets, in seconds. */
const buckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60] as const;

const histogram = () => {
  const counts = buckets.map(() => 0);
  let sum = 0;
  let count = 0;
  return {
    add(seconds: number): void {
      for (const [i, end] of buckets.entries()) if (seconds <= end) counts[i] = (counts[i] ?? 0) + 1;
      sum += seconds;
      count++;
    },
    lines: (name: string, about: string): readonly string[] => [
      `# HELP ${name} ${about}`,
      `# TYPE ${name} histogram`,
      ...buckets.map((end, i) => `${name}_bucket{le="${end}"} ${counts[i]}`),
      `${name}_bucket{le="+Inf"} ${count}`,
      `${name}_sum ${sum}`,
      `${name}_count ${count}`,
    ],
  };
};

const escaped = (label: string): string =>
  label.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");

export const createMetrics = (): Metrics => {
  const requests = new Map<string, number>();
  const total = histogram();
  const first = histogram();
  let promptTokens = 0;
  let newTokens = 0;
  return {
    wrote(tokens) {
      newTokens += tokens;
    },
    note({ path, status, milliseconds, firstTokenMs, ...tokens }) {
      const labels = `path="${escaped(path)}",status="${status}"`;
      requests.set(labels, (requests.get(labels) ?? 0) + 1);
      total.add(milliseconds / 1000);
      if (firstTokenMs !== null) first.add(firstTokenMs / 1000);
      promptTokens += tokens.promptTokens;
    },
    text(models, underWay) {
      const simple = (kind: string, name: string, about: string, value: number): readonly string[] => [
        `# HELP ${name} ${about}`,
        `# TYPE ${name} ${kind}`,
        `${name} ${value}`,
      ];
      const ofModels = (
        kind: string,
        name: string,
        about: string,
        value: (state: ModelState) => number,
      ): readonly string[] => [
        `# HELP ${name} ${about}`,
        `# TYPE ${name} ${kind}`,
        ...models.map((state) => `${name}{model="${escaped(state.name)}"} ${value(state)}`),
      ];
      return [
        "# HELP foretoken_requests_total Finished requests.",
        "# TYPE foretoken_requests_total counter",
        ...[...requests].map(([labels, value]) => `foretoken_requests_total{${labels}} ${value}`),
        ...simple("gauge", "foretoken_requests", "Requests in progress.", underWay),
        ...simple("counter", "foretoken_prompt_tokens_total", "Prompt tokens.", promptTokens),
        ...simple("counter", "foretoken_new_tokens_total", "Tokens written.", newTokens),
        ...ofModels("gauge", "foretoken_texts", "Texts in progress or waiting.", ({ texts }) => texts),
        ...ofModels("gauge", "foretoken_texts_running", "Texts in progress.", ({ counts }) => counts.running),
        ...ofModels("gauge", "foretoken_texts_waiting", "Waiting texts.", ({ counts }) => counts.waiting),
        ...ofModels(
          "gauge",
          "foretoken_pages_in_use",
          "Pages of the KV cache in use.",
          ({ counts }) => counts.pagesInUse,
        ),
        ...ofModels(
          "gauge",
          "foretoken_pages_kept",
          "Pages of the KV cache kept for later texts.",
          ({ counts }) => counts.pagesKept,
        ),
        ...ofModels(
          "gauge",
          "foretoken_pages",
          "Maximum number of pages of the KV cache.",
          ({ counts }) => counts.pagesMost,
        ),
        ...ofModels("counter", "foretoken_passes_total", "Forward passes.", ({ counts }) => counts.passes),
        ...ofModels(
          "counter",
          "foretoken_positions_computed_total",
          "Computed positions.",
          ({ counts }) => counts.computed,
        ),
        ...ofModels(
          "counter",
          "foretoken_positions_reused_total",
          "Prompt tokens found in the KV cache.",
          ({ counts }) => counts.reused,
        ),
        ...ofModels("counter", "foretoken_guesses_total", "Guessed tokens.", ({ counts }) => counts.guessed),
        ...ofModels(
          "counter",
          "foretoken_guesses_accepted_total",
          "Accepted guesses.",
          ({ counts }) => counts.accepted,
        ),
        ...total.lines("foretoken_request_seconds", "Seconds from a request to the last byte of the response."),
        ...first.lines("foretoken_first_token_seconds", "Seconds from a request to the first token."),
        "",
      ].join("\n");
    },
  };
};

/** Counts of a server as Prometheus reads them: https://prometheus.io/docs/instrumenting/exposition_formats/ */
import type { EngineCounts } from "../../engine/engine.ts";

/** A request that has ended. */
export interface EndedRequest {
  readonly path: string;
  readonly status: number;
  readonly milliseconds: number;
  /** To the first token; null: none was written. */
  readonly firstTokenMs: number | null;
  readonly promptTokens: number;
  readonly newTokens: number;
}

/** What a model does now. */
export interface ModelState {
  readonly name: string;
  readonly texts: number;
  readonly counts: EngineCounts;
}

export interface Metrics {
  note(request: EndedRequest): void;
  /** @param underWay requests that are answered now. */
  text(models: readonly ModelState[], underWay: number): string;
}

/** Upper ends of the histograms' buckets, in seconds. */
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
    note({ path, status, milliseconds, firstTokenMs, ...tokens }) {
      const labels = `path="${escaped(path)}",status="${status}"`;
      requests.set(labels, (requests.get(labels) ?? 0) + 1);
      total.add(milliseconds / 1000);
      if (firstTokenMs !== null) first.add(firstTokenMs / 1000);
      promptTokens += tokens.promptTokens;
      newTokens += tokens.newTokens;
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
        "# HELP foretoken_requests_total Requests that have ended.",
        "# TYPE foretoken_requests_total counter",
        ...[...requests].map(([labels, value]) => `foretoken_requests_total{${labels}} ${value}`),
        ...simple("gauge", "foretoken_requests", "Requests that are answered now.", underWay),
        ...simple("counter", "foretoken_prompt_tokens_total", "Tokens of prompts.", promptTokens),
        ...simple("counter", "foretoken_new_tokens_total", "Tokens that were written.", newTokens),
        ...ofModels("gauge", "foretoken_texts", "Texts that are written or wait.", ({ texts }) => texts),
        ...ofModels("gauge", "foretoken_texts_running", "Texts that are written.", ({ counts }) => counts.running),
        ...ofModels("gauge", "foretoken_texts_waiting", "Texts that wait.", ({ counts }) => counts.waiting),
        ...ofModels(
          "gauge",
          "foretoken_pages_in_use",
          "Pages of keys and values in use.",
          ({ counts }) => counts.pagesInUse,
        ),
        ...ofModels("gauge", "foretoken_pages_kept", "Pages kept for later texts.", ({ counts }) => counts.pagesKept),
        ...ofModels("gauge", "foretoken_pages", "Pages that there may be.", ({ counts }) => counts.pagesMost),
        ...ofModels("counter", "foretoken_passes_total", "Forward passes.", ({ counts }) => counts.passes),
        ...ofModels(
          "counter",
          "foretoken_positions_computed_total",
          "Positions computed.",
          ({ counts }) => counts.computed,
        ),
        ...ofModels(
          "counter",
          "foretoken_positions_reused_total",
          "Positions of prompts that were in memory.",
          ({ counts }) => counts.reused,
        ),
        ...total.lines("foretoken_request_seconds", "Time of a request, to its last byte."),
        ...first.lines("foretoken_first_token_seconds", "Time to the first token."),
        "",
      ].join("\n");
    },
  };
};

/** An address of the server with its fields. Also requests to this address that the server accepts. */
import { expect } from "vitest";
import type { Fields } from "#foretoken/serve/openai/fields.js";
import { type Body, type JsonAnswer, noEnd, plainNoEnd, type TestServer } from "../../../support/openai-server.ts";

/** A field that the address supports. */
export interface Case {
  /** Shows that the field changes the response. */
  readonly shows: () => Promise<void>;
  /** Values that the server refuses. The error names the field. */
  readonly wrong: readonly unknown[];
}

export interface Endpoint {
  readonly path: string;
  readonly fields: Fields;
  /** A request for a text of a few tokens, with a seed. */
  readonly base: Body;
  readonly textOf: (answer: JsonAnswer) => string;
  readonly cases: Readonly<Record<string, Case>>;
}

/** Invalid values of a field that must be a whole number of at least 0. */
export const notWhole = [-1, 1.5, "1", true, []];

export const completion = {
  path: "/v1/completions",
  base: { model: "plain", prompt: "the cat", seed: 7, max_tokens: 4, logit_bias: plainNoEnd },
  textOf: ({ body }: JsonAnswer): string => body.choices[0].text,
};
export const chat = {
  path: "/v1/chat/completions",
  base: { model: "talk", messages: [{ role: "user", content: "Hi" }], seed: 7, max_tokens: 4, logit_bias: noEnd },
  textOf: ({ body }: JsonAnswer): string => body.choices[0].message.content,
};

export const response = {
  path: "/v1/responses",
  base: { model: "talk", input: "Hi", seed: 7, max_output_tokens: 6 },
  textOf: ({ body }: JsonAnswer): string => body.output[0].content[0].text,
};

export const ids = [116, 104, 101];
export const nameWrong = [1, ["plain"]];

/** The response to a request that the server accepts. */
export const askOf =
  (server: TestServer) =>
  async (path: string, body: Body): Promise<JsonAnswer> => {
    const answer = await server.post(path, body);
    expect(answer.status, JSON.stringify(answer.body)).toBe(200);
    return answer;
  };

/** A server address with its fields, and requests to this address that are accepted. */
import { expect } from "vitest";
import type { Fields } from "#foretoken/serve/openai/fields.js";
import { type Body, type JsonAnswer, noEnd, plainNoEnd, type TestServer } from "../../../support/openai-server.ts";

/** A supported field. */
export interface Case {
  /** Shows that the field changes the answer. */
  readonly shows: () => Promise<void>;
  /** Values that are refused with the field's name. */
  readonly wrong: readonly unknown[];
}

export interface Endpoint {
  readonly path: string;
  readonly fields: Fields;
  /** A request with a seed for a text of a few tokens. */
  readonly base: Body;
  readonly textOf: (answer: JsonAnswer) => string;
  readonly cases: Readonly<Record<string, Case>>;
}

/** Invalid values for a field that must be a whole number from 0 on. */
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

/** The answer of a request that is accepted. */
export const askOf =
  (server: TestServer) =>
  async (path: string, body: Body): Promise<JsonAnswer> => {
    const answer = await server.post(path, body);
    expect(answer.status, JSON.stringify(answer.body)).toBe(200);
    return answer;
  };

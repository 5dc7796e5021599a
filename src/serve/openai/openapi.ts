/** The OpenAPI description of the server, made from the tables of fields. https://spec.openapis.org/oas/v3.1.0 */
import { z } from "zod";
import { chatFields } from "./chat-completions.ts";
import { completionFields } from "./completions.ts";
import type { Field, Fields } from "./fields.ts";
import { responseFields } from "./responses.ts";
import { detokenizeFields, tokenizeFields } from "./tokens.ts";

const schemaOf = (field: Field): object => {
  switch (field.kind) {
    case "honoured": {
      const { $schema: _, ...schema } = z.toJSONSchema(field.schema, { io: "input", unrepresentable: "any" });
      return { ...schema, description: field.about };
    }
    case "default":
      return { enum: [...field.accepts], description: `Only these values are accepted: ${field.about}.` };
    case "unused":
      return { description: `Accepted with any value, since it does not affect the answer (${field.about}).` };
    case "refused":
      return { not: {}, description: `Refused: ${field.about}.` };
  }
};

const bodyOf = (table: Fields, required: readonly string[]): object => ({
  required: true,
  content: {
    "application/json": {
      schema: {
        type: "object",
        properties: Object.fromEntries(Object.entries(table).map(([name, field]) => [name, schemaOf(field)])),
        required,
        additionalProperties: false,
      },
    },
  },
});

const errorSchema = {
  type: "object",
  properties: {
    error: {
      type: "object",
      properties: {
        message: { type: "string" },
        type: { type: "string" },
        param: { type: ["string", "null"] },
        code: { type: ["string", "null"] },
      },
      required: ["message", "type", "param", "code"],
    },
  },
  required: ["error"],
};

const answers = (about: string, type = "application/json"): object => ({
  200: { description: about, content: { [type]: {} } },
  default: {
    description: "An error.",
    content: { "application/json": { schema: { $ref: "#/components/schemas/Error" } } },
  },
});

const post = (summary: string, table: Fields, required: readonly string[], about: string): object => ({
  post: { summary, requestBody: bodyOf(table, required), responses: answers(about) },
});
const get = (summary: string, about: string, type?: string): object => ({
  get: { summary, responses: answers(about, type) },
});

/** @param version of the program. */
export const openApiDocument = (version: string): object => ({
  openapi: "3.1.0",
  info: { title: "Foretoken", version, description: "Texts, conversations and tokens of local language models." },
  paths: {
    "/v1/models": get("The models", "A list."),
    "/v1/models/{model}": {
      ...get("A model", "Its facts."),
      parameters: [{ name: "model", in: "path", required: true, schema: { type: "string" } }],
    },
    "/v1/completions": post(
      "Continue a text",
      completionFields,
      ["prompt"],
      "The texts, as JSON or as a stream of events.",
    ),
    "/v1/chat/completions": post(
      "Answer in a conversation",
      chatFields,
      ["messages"],
      "The answers, as JSON or as a stream of events.",
    ),
    "/v1/responses": post(
      "Answer in a conversation",
      responseFields,
      ["input"],
      "The answer, as JSON or as a stream of events.",
    ),
    "/tokenize": post("Encode a text as tokens", tokenizeFields, [], "The token ids."),
    "/detokenize": post("Decode tokens to a text", detokenizeFields, ["tokens"], "The text."),
    "/tokenizer_info": get("The tokenizer", "Its facts."),
    "/health": get("Check whether the server works", "It does."),
    "/metrics": get("Metrics for Prometheus", "Text.", "text/plain"),
  },
  components: {
    schemas: { Error: errorSchema },
    securitySchemes: { key: { type: "http", scheme: "bearer" } },
  },
});

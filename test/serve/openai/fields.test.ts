/** Tests that each field in the tables of requests has the effect that the table describes. */
import { describe, expect, it } from "vitest";
import { type JsonAnswer, useServer } from "../../support/openai-server.ts";
import { askOf, chat, type Endpoint, response } from "./field-cases/endpoint.ts";
import { endpointsOf } from "./field-cases/endpoints.ts";

const server = useServer();
const answerOf = askOf(server);
const endpoints = endpointsOf(server);

/** Expects that the server refuses a value. The error names the field. */
const expectRefused = async (
  { path, base }: Pick<Endpoint, "path" | "base">,
  name: string,
  value: unknown,
): Promise<JsonAnswer> => {
  const answer = await server.post(path, { ...base, [name]: value });
  const { status, body } = answer;
  expect(status, `${name}: ${JSON.stringify(value)}`).toBe(400);
  expect(body.error.type).toBe("invalid_request_error");
  expect(body.error.param.split(".")[0], JSON.stringify(body)).toBe(name);
  expect(body.error.message).toMatch(new RegExp(`^${name}\\b`, "u"));
  return answer;
};

describe.each(endpoints)("$path", (endpoint) => {
  const { path, fields, base, textOf, cases } = endpoint;
  const named = (kind: string): string[] =>
    Object.keys(fields).filter((name) => Object.hasOwn(fields, name) && fields[name]?.kind === kind);

  it("has a case for each field that it honours", () => {
    expect(Object.keys(cases).sort()).toEqual(named("honoured").sort());
  });

  it.each(Object.entries(cases))("honours %s, and refuses wrong values by its name", async (name, { shows, wrong }) => {
    await shows();
    for (const value of wrong) await expectRefused(endpoint, name, value);
  });

  it("accepts the default of fields that it does not have, and nothing else", async () => {
    const expected = textOf(await answerOf(path, base));
    const names = named("default");
    const accepted = names.map((name) => {
      const field = fields[name];
      return field?.kind === "default" ? [null, ...field.accepts] : [];
    });
    // The first values of all fields together, then the second values of all fields, and so on.
    for (let i = 0; i < Math.max(0, ...accepted.map(({ length }) => length)); i++) {
      const given = Object.fromEntries(names.map((name, at) => [name, accepted[at]?.[i] ?? null]));
      expect(textOf(await answerOf(path, { ...base, ...given })), JSON.stringify(given)).toBe(expected);
    }
    for (const name of names) {
      for (const value of [{ other: true }, "another"]) {
        const { body } = await expectRefused(endpoint, name, value);
        expect(body.error.code).toBe("unsupported_value");
      }
    }
  });

  it("answers the same with any value of fields that no answer depends on", async () => {
    const expected = textOf(await answerOf(path, base));
    const all = named("unused");
    for (const value of [null, "a", { a: [1] }]) {
      const given = Object.fromEntries(all.map((name) => [name, value]));
      expect(textOf(await answerOf(path, { ...base, ...given }))).toBe(expected);
    }
  });

  it("refuses fields that it cannot honour by their names", async () => {
    const names = named("refused");
    for (const name of names) {
      for (const value of [true, {}]) {
        const { body } = await expectRefused(endpoint, name, value);
        expect(body.error.code).toBe("unsupported_parameter");
      }
    }
    await answerOf(path, { ...base, ...Object.fromEntries(names.map((name) => [name, null])) });
  });

  it("refuses fields that it does not know, with one that looks alike", async () => {
    for (const name of ["anything", "toString", "constructor", "temprature"]) {
      const { body } = await expectRefused(endpoint, name, 1);
      expect(body.error.code).toBe("unknown_parameter");
    }
    if ("temperature" in fields)
      expect((await expectRefused(endpoint, "temprature", 1)).body.error.message).toContain("try temperature");
    for (const body of [[], "text", 1, null, true]) {
      const answer = await server.post(path, JSON.stringify(body));
      expect(answer.status).toBe(400);
      expect(answer.body.error.message).toContain("must be a JSON object");
    }
  });
});

it("a model is found by its id, and by its path", async () => {
  const { data } = (await server.get("/v1/models")).body;
  for (const [i, name] of ["plain", "talk"].entries()) {
    for (const given of [name, server.place(name)])
      expect((await server.get(`/v1/models/${encodeURIComponent(given)}`)).body).toEqual(data[i]);
  }
});

it("an answer goes back into the next request as it came", async () => {
  const user = { role: "user", content: "Hi" };
  const [{ message }] = (await answerOf(chat.path, chat.base)).body.choices;
  await answerOf(chat.path, { ...chat.base, messages: [user, message, user] });
  const asked = { ...response.base, temperature: 0, include: ["message.output_text.logprobs"] };
  const { output } = (await answerOf(response.path, asked)).body;
  await answerOf(response.path, { ...asked, input: [user, ...output, user] });
});

it("a default with its keys in another order is the same default", async () => {
  await answerOf(response.path, { ...response.base, text: { verbosity: "medium", format: { type: "text" } } });
});

it("the description of the server has all fields of the tables", async () => {
  const { paths, openapi } = (await server.get("/openapi.json")).body;
  expect(openapi).toBe("3.1.0");
  for (const { path, fields } of endpoints) {
    const { schema } = paths[path].post.requestBody.content["application/json"];
    expect(Object.keys(schema.properties)).toEqual(Object.keys(fields));
    for (const one of Object.values(schema.properties)) expect(one).toHaveProperty("description");
  }
});

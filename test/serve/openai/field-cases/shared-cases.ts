/** Cases for fields that several addresses of the server support. */
import { expect } from "vitest";
import { type Body, dataOf, type TestServer } from "../../../support/openai-server.ts";
import { askOf, type Case, type Endpoint, notWhole } from "./endpoint.ts";

/** The cases for a server of the tests. */
export const sharedCases = (server: TestServer) => {
  const answerOf = askOf(server);
  /** Cases for the sampling fields, which all requests support. */
  const samplingCases = ({ path, base, textOf }: Omit<Endpoint, "cases" | "fields">) => {
    const text = async (changes: Body): Promise<string> => textOf(await answerOf(path, { ...base, ...changes }));
    /** Expects the greedy text, because these settings keep only the likeliest token. */
    const isGreedy = async (changes: Body): Promise<void> => {
      const greedy = await text({ temperature: 0 });
      expect(await text({ ...changes, seed: 1 })).toBe(greedy);
    };
    const differs = async (changes: Body, from: Body = {}): Promise<void> => {
      expect(await text({ ...from, ...changes })).not.toBe(await text(from));
    };
    return {
      temperature: { shows: () => isGreedy({ temperature: 0 }), wrong: [-0.1, 2.1, "1", true] },
      top_p: { shows: () => isGreedy({ top_p: 0 }), wrong: [-0.1, 1.1, "1"] },
      top_k: { shows: () => isGreedy({ top_k: 1 }), wrong: [-2, 0.5, "1"] },
      min_p: { shows: () => isGreedy({ min_p: 1 }), wrong: [-0.1, 1.1, "1"] },
      typical_p: { shows: () => differs({ typical_p: 0.01 }), wrong: [-0.1, 1.1, "1"] },
      repetition_penalty: {
        shows: () => differs({ repetition_penalty: 100 }, { temperature: 0 }),
        wrong: [0, -1, 101, "1"],
      },
      seed: {
        async shows() {
          expect(await text({ seed: 5 })).toBe(await text({ seed: 5 }));
          await differs({ seed: 8 });
          await differs({ seed: -8 });
          // Without a seed, each request uses another seed.
          const { seed: _, ...without } = base;
          const texts = [1, 2, 3, 4, 5, 6].map(async () => textOf(await answerOf(path, without)));
          expect(new Set(await Promise.all(texts)).size).toBeGreaterThan(1);
        },
        wrong: [0.5, "1", 2 ** 60],
      },
      model: {
        async shows() {
          const { body } = await answerOf(path, base);
          expect(body.model).toBe(base.model);
          const { status } = await server.post(path, { ...base, model: "another" });
          expect(status).toBe(404);
        },
        wrong: [1, ["plain"], {}],
      },
      stream: {
        async shows() {
          const response = await server.send(path, { ...base, stream: true });
          expect(response.headers.get("content-type")).toContain("text/event-stream");
          expect(dataOf(await response.text()).length).toBeGreaterThan(2);
          expect((await server.send(path, { ...base, stream: false })).headers.get("content-type")).toContain("json");
        },
        wrong: ["true", 1],
      },
    } satisfies Record<string, Case>;
  };

  /** Cases for the fields that both completions and chat completions support. */
  const choiceCases = (endpoint: Omit<Endpoint, "cases" | "fields">) => {
    const { path, base, textOf } = endpoint;
    const text = async (changes: Body): Promise<string> => textOf(await answerOf(path, { ...base, ...changes }));
    const differs = async (changes: Body): Promise<void> => {
      expect(await text({ temperature: 0, ...changes })).not.toBe(await text({ temperature: 0 }));
    };
    return {
      ...samplingCases(endpoint),
      n: {
        async shows() {
          const { choices } = (await answerOf(path, { ...base, n: 3 })).body;
          expect(choices.map(({ index }: Body) => index)).toEqual([0, 1, 2]);
          const { choices: first } = (await answerOf(path, base)).body;
          expect(choices[0]).toEqual(first[0]);
        },
        wrong: [0, 129, ...notWhole],
      },
      stop: {
        async shows() {
          const whole = await text({});
          const stop = [...whole].slice(-2).join("");
          const cut = whole.slice(0, whole.indexOf(stop));
          for (const given of [stop, ["never in it", stop]]) {
            const answer = await answerOf(path, { ...base, stop: given });
            expect(textOf(answer)).toBe(cut);
            expect(answer.body.choices[0].finish_reason).toBe("stop");
          }
          expect(await text({ stop: [] })).toBe(whole);
        },
        wrong: ["", [""], 1, [1], Array(17).fill("a")],
      },
      presence_penalty: { shows: () => differs({ presence_penalty: 2 }), wrong: [-2.1, 2.1, "1"] },
      frequency_penalty: { shows: () => differs({ frequency_penalty: 2 }), wrong: [-2.1, 2.1, "1"] },
      logit_bias: {
        async shows() {
          const one = await text({ logit_bias: { 5: 100 } });
          expect(new Set(one).size).toBe(1);
          const { status, body } = await server.post(path, { ...base, logit_bias: { 99999: 1 } });
          expect([status, body.error.param]).toEqual([400, "logit_bias"]);
        },
        wrong: [{ a: 1 }, { 5: 101 }, { 5: "1" }, [], "5"],
      },
      guided_choice: {
        shows: async () => expect(["so", "no"]).toContain(await text({ guided_choice: ["so", "no"] })),
        wrong: [[], "so", [1]],
      },
      guided_regex: {
        shows: async () => expect(await text({ guided_regex: "[ab]{3}" })).toMatch(/^[ab]{3}$/u),
        wrong: [1, "(?=a)", ["a"]],
      },
      guided_grammar: {
        shows: async () => expect(await text({ guided_grammar: 'root ::= "a" root? "b"' })).toMatch(/^a+b*$/u),
        wrong: [1, "start ::= 1"],
      },
      guided_json: {
        async shows() {
          const { status, body } = await server.post(path, { ...base, max_tokens: 9, guided_json: { const: 12 } });
          // If the vocabulary has no digits, the request is refused.
          if (status === 200) expect(JSON.parse(body.choices[0].text)).toBe(12);
          else expect([status, body.error.param]).toEqual([400, "guided_json"]);
        },
        wrong: [1, "a", { maxLenght: 1 }],
      },
      stream_options: {
        async shows() {
          const asked = { ...base, stream: true, stream_options: { include_usage: true, include_obfuscation: false } };
          const events = dataOf(await (await server.send(path, asked)).text());
          expect(events.at(-1)).toBe("[DONE]");
          const chunks = events.slice(0, -1).map((event) => JSON.parse(event));
          expect(chunks.at(-1)).toMatchObject({ choices: [], usage: (await answerOf(path, base)).body.usage });
          for (const { usage } of chunks.slice(0, -1)) expect(usage).toBeNull();
          const without = dataOf(await (await server.send(path, { ...base, stream: true })).text());
          expect(without.join()).not.toContain("usage");
          expect((await server.post(path, { ...base, stream_options: {} })).body.error.param).toBe("stream_options");
        },
        wrong: [{ more: true }, { include_usage: 1 }, true],
      },
    } satisfies Record<string, Case>;
  };

  /** Expects exactly the requested number of tokens, because nothing else ends these texts. */
  const tokensCase = (
    { path, base }: Pick<Endpoint, "path" | "base">,
    field: string,
    counted: string,
    least: number,
  ): Case => ({
    async shows() {
      const { max_tokens: _, ...rest } = base;
      expect((await answerOf(path, { ...rest, [field]: 3 })).body.usage[counted]).toBe(3);
    },
    wrong: [least - 1, 1e6 + 1, 1.5, "3"],
  });

  const promptOf = async (path: string, body: Body, count: string): Promise<number> =>
    (await answerOf(path, body)).body.usage[count];

  return { samplingCases, choiceCases, tokensCase, promptOf };
};

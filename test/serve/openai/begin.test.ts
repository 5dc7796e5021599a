/** A model with a BOS token. The tokenizer of this model puts a space before a text. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { saveGguf } from "#foretoken/pretrained/gguf/write/save.node.js";
import { languageModel } from "#foretoken/pretrained/model/language-model.js";
import { groupedModel, hashedModel } from "../../support/models.ts";
import { openServer, type TestServer } from "../../support/openai-server.ts";
import { useFolder } from "../../support/runs.ts";
import { pieceTokenizer } from "../../support/sentencepiece.ts";

const { newPath } = useFolder();
const tokenizer = pieceTokenizer("llama", { add_bos_token: true });
const begin = tokenizer.beginOfText ?? -1;
const prompt = "the miller counts 😀";
const own = Array.from(tokenizer.encode(prompt));
const noEnd = { [tokenizer.endOfText ?? -1]: -100 };

let server: TestServer;
beforeAll(async () => {
  const backend = await openReference();
  const model = hashedModel(backend, { ...groupedModel, contextLength: 48 }, tokenizer.vocabSize);
  const file = `${newPath()}.gguf`;
  await saveGguf(file, languageModel(model, tokenizer, undefined, { endTokens: [tokenizer.endOfText ?? 0] }));
  server = await openServer([file]);
});
afterAll(() => server.close(0));

it("tells the ids that a model reads, and their text", async () => {
  const { body } = await server.post("/tokenize", { prompt });
  expect(body.tokens).toEqual([begin, ...own]);
  expect((await server.post("/tokenize", { prompt: `<s>${prompt}` })).body.tokens).toEqual([begin, ...own]);
  expect((await server.post("/detokenize", { tokens: own })).body.prompt).toBe(prompt);
  expect((await server.get("/tokenizer_info")).body).toMatchObject({ bos_token: "<s>", eos_token: "</s>" });
});

it("continues a text as the ids with the token before it, and echoes the text alone", async () => {
  const asked = { max_tokens: 6, temperature: 0, logprobs: 1, logit_bias: noEnd };
  const { body } = await server.post("/v1/completions", { ...asked, prompt });
  const ids = await server.post("/v1/completions", { ...asked, prompt: [begin, ...own] });
  expect(body.choices[0].text).toBe(ids.body.choices[0].text);
  expect(body.usage.prompt_tokens).toBe(own.length + 1);
  const echoed = await server.post("/v1/completions", { ...asked, prompt, echo: true });
  const [{ text, logprobs }] = echoed.body.choices;
  expect(text).toBe(prompt + body.choices[0].text);
  // All tokens of the text have a probability, because BOS comes before the first token.
  expect(logprobs.tokens).toHaveLength(own.length + 6);
  expect(logprobs.token_logprobs.every((one: unknown) => typeof one === "number")).toBe(true);
  expect(logprobs.tokens.slice(own.length)).toEqual(body.choices[0].logprobs.tokens);
});

it("streams the text that it has at once", async () => {
  const asked = { prompt, max_tokens: 8, seed: 5, logit_bias: noEnd };
  const { body } = await server.post("/v1/completions", asked);
  const stream = await (await server.send("/v1/completions", { ...asked, stream: true })).text();
  const pieces = stream
    .split("\n\n")
    .filter((event) => event.startsWith("data: {"))
    .map((event) => JSON.parse(event.slice(6)).choices[0].text);
  expect(pieces.join("")).toBe(body.choices[0].text);
});

import { checkLanguageModel } from "../core/checks/check-arguments.ts";
import { whileOpen } from "../pretrained/model/closed.ts";
import type { LanguageModel } from "../pretrained/model/language-model.ts";
import type { GenerateEvent } from "./events.ts";
import { type GenerateOptions, generateOptionNames } from "./options.ts";
import { checkText, createTextEngine } from "./text-engine.ts";

/**
 * Autoregressive generation. Each step takes the logits at the last position, applies softmax, draws one token and
 * appends it. The model sees the last contextLength tokens. Yields each token when it is drawn, and `done` at the end.
 * If the model ends the text, the last token is one of `endTokens`.
 *
 * @param lm a model of `loadPretrained` or `languageModel`.
 * @param options prompt, sampling, stop strings, seed.
 * @throws ConfigError if an option is unknown or out of range, if the prompt is empty, or if the model is closed;
 * DataError for a character that the tokenizer lacks, unless `unknown` is "skip"; CheckpointError if the model's logits
 * are not finite.
 * @example
 * ```ts
 * import { generate, loadPretrained } from "foretoken";
 *
 * const lm = await loadPretrained("runs/notes/best");
 * let text = "";
 * for await (const event of generate(lm, { prompt: "The ", maxNewTokens: 100, temperature: 0.7 })) {
 *   if (event.type === "token") text += event.text;
 * }
 * await lm.close();
 * ```
 */
export async function* generate(
  lm: LanguageModel,
  options: GenerateOptions = {},
): AsyncGenerator<GenerateEvent, void, undefined> {
  checkLanguageModel("generate: model", lm, "the model's own method, lm.generate()");
  const text = await checkText(lm, options, generateOptionNames);
  const engine = await whileOpen("generate", text.model, async () =>
    createTextEngine(lm.adapted(null), { cacheBytes: 1, maxSequences: 1 }, 0),
  );
  let done: GenerateEvent | undefined;
  try {
    for await (const [event] of engine.write(lm, text)) {
      if (event?.type === "done") done = event;
      else if (event?.type === "token") yield event;
    }
  } finally {
    await engine.close();
  }
  // Await this call. The engine's memory is then free when the iterator ends.
  if (done !== undefined) yield done;
}

import { checkKeys, checkLanguageModel, checkSignal } from "../core/checks/check-arguments.ts";
import { whileOpen } from "../pretrained/model/closed.ts";
import type { LanguageModel } from "../pretrained/model/language-model.ts";
import { createDecoder } from "./decoder.ts";
import { defaultPrompt } from "./default-prompt.ts";
import type { GenerateEvent } from "./events.ts";
import { type GenerateOptions, generateOptionNames, parseGenerateOptions, readPrompt } from "./options.ts";
import { createTextEngine } from "./text-engine.ts";
import { createTextWriter } from "./text-writer.ts";

/** A text whose window slides: the engine can do that. */
async function* slidingText(
  lm: LanguageModel,
  { cache: _cache, ...options }: GenerateOptions,
): AsyncGenerator<GenerateEvent, void, undefined> {
  const engine = await whileOpen("generate", lm.model, async () =>
    createTextEngine(lm.adapted(null), { cacheBytes: 1, maxSequences: 1 }, 1),
  );
  try {
    for await (const event of engine.generate(lm, options)) if (event.type !== "prompt") yield event;
  } finally {
    await engine.close();
  }
}

/**
 * Autoregressive generation: logits at the last position, softmax, one draw, append, again; the model sees the last
 * contextLength tokens. Yields each token as it is drawn, then `done`. A text that the model ends itself ends with one of its
 * `endTokens`.
 *
 * @param lm a model of `loadPretrained` or `languageModel`.
 * @param options prompt, sampling, stop strings, seed.
 * @throws ConfigError for a setting out of range or unknown, an empty prompt, a model that was or is closed, or
 *   `candidates` of a model whose logits are not numbers; DataError for a character the tokenizer lacks, unless `unknown`
 *   is "skip".
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
  checkLanguageModel("generate: model", lm, "its own method, lm.generate()");
  checkKeys("generate", options, generateOptionNames);
  const { signal, ...given } = options;
  checkSignal("generate: signal", signal);
  const parsed = parseGenerateOptions(given);
  if (parsed.slide > 0) {
    yield* slidingText(lm, options);
    return;
  }
  const prompt = readPrompt(lm.tokenizer, parsed.prompt ?? defaultPrompt(lm.tokenizer), parsed.unknown);
  const writer = createTextWriter(lm, parsed, prompt);
  const ids = Array.from(prompt.ids);
  const decoder = await whileOpen("generate", lm.model, async () => createDecoder(lm.model, parsed.cache));
  try {
    while (writer.finishReason === null && signal?.aborted !== true) {
      const logits = await whileOpen("generate", lm.model, () => decoder.next(ids));
      const event = writer.write(logits);
      ids.push(event.id);
      yield event;
    }
  } finally {
    decoder.close();
  }
  yield writer.done(writer.finishReason ?? "aborted");
}

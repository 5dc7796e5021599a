/** Models and adapters: they are created, used, examined, loaded and saved. */
import * as foretoken from "#foretoken/index.js";
import { type Case, isNotHuge, isPrimitive, isText, openAndClose, optionCases } from "./case.ts";
import { type Setup, tinyModel } from "./setup.ts";

const freshCases = (setup: Setup): readonly Case[] => [
  {
    name: "freshModel",
    args: () => [setup.backend, tinyModel, 5, 1],
    call: openAndClose(foretoken.freshModel),
    allows: isNotHuge,
  },
  {
    name: "loraModel",
    args: () => [setup.lm.model, {}, 1],
    call: openAndClose(foretoken.loraModel),
    allows: isNotHuge,
  },
  ...optionCases(
    "loraModel",
    ["rank", "alpha", "dropout", "targets", "other"],
    openAndClose((wrong) => foretoken.loraModel(setup.lm.model, wrong, 1)),
  ),
  { name: "mergeAdapter", args: () => [setup.adaptedLm.model], call: foretoken.mergeAdapter },
];

/** Opens an engine and closes it. */
const opened = async (...args: readonly unknown[]): Promise<void> => {
  const engine = await foretoken.openEngine(...(args as Parameters<typeof foretoken.openEngine>));
  await engine.close();
};

const question = { context: "the ", choices: ["cat", "the"], answer: 0 } as const;

const choice: foretoken.Constraint = { kind: "choice", choices: ["the", "cat"] };
const matcherOf = (setup: Setup, ends: readonly number[]): foretoken.Matcher =>
  foretoken.compileConstraint(choice, setup.lm.tokenizer).matcher(ends);

const manyCases = (setup: Setup): readonly Case[] => [
  { name: "openEngine", args: () => [setup.lm, {}], call: opened, allows: isNotHuge },
  ...optionCases("openEngine", ["cacheBytes", "maxSequences", "other"], (wrong) => opened(setup.lm, wrong), isNotHuge),
  {
    name: "generateMany",
    // This prompt has its own limit of tokens. Many wrong values of the options count as defaults, and the defaults
    // allow many tokens.
    args: () => [setup.lm, [{ prompt: "the", maxNewTokens: 1 }], { maxNewTokens: 1 }],
    call: foretoken.generateMany,
  },
  ...optionCases(
    "generateMany",
    ["maxNewTokens", "maxSequences", "scorePrompt", "adapter", "samplers", "logitBias", "badWords", "slide", "signal"],
    (wrong) => foretoken.generateMany(setup.lm, ["the"], { maxNewTokens: 1, ...wrong }),
    isNotHuge,
  ),
  { name: "compileConstraint", args: () => [choice, setup.lm.tokenizer], call: foretoken.compileConstraint },
  ...optionCases("compileConstraint", ["choices", "other"], (wrong) =>
    foretoken.compileConstraint({ ...choice, ...wrong } as foretoken.Constraint, setup.lm.tokenizer),
  ),
  ...(["accept", "allows", "forced", "rollback", "mask"] as const).map((name) => ({
    name: `matcher.${name}`,
    args: () => [name === "mask" ? new Uint32Array(matcherOf(setup, []).maskLength) : 1],
    call: (...args: readonly unknown[]) =>
      (matcherOf(setup, [])[name] as (...given: readonly unknown[]) => unknown)(...args),
  })),
  { name: "compiled.matcher", args: () => [[0]], call: (ends) => matcherOf(setup, ends) },
  { name: "beamSearch", args: () => [setup.lm, { prompt: "the", maxNewTokens: 1 }], call: foretoken.beamSearch },
  ...optionCases(
    "beamSearch",
    ["prompt", "beams", "maxNewTokens", "lengthPenalty", "endTokens", "signal", "other"],
    (wrong) => foretoken.beamSearch(setup.lm, { prompt: "the", maxNewTokens: 1, ...wrong }),
    isNotHuge,
  ),
  { name: "evaluateChoices", args: () => [setup.lm, [question], {}], call: foretoken.evaluateChoices },
  ...optionCases("evaluateChoices", ["signal", "onProgress", "other"], (wrong) =>
    foretoken.evaluateChoices(setup.lm, [question], wrong),
  ),
];

const languageModelCases = (setup: Setup): readonly Case[] => [
  {
    name: "languageModel",
    args: () => [
      setup.lm.model,
      setup.lm.tokenizer,
      async () => {},
      { chatTemplate: null, endTokens: [1], adapters: {} },
    ],
    call: foretoken.languageModel,
  },
  { name: "lm.logits", args: () => [[0, 1]], call: (ids) => setup.lm.logits(ids) },
  { name: "lm.score", args: () => [[0, 1], {}], call: (text, options) => setup.lm.score(text, options) },
  ...optionCases("lm.score", ["stride", "candidates", "signal", "other"], (wrong) => setup.lm.score("the cat", wrong)),
  { name: "generate", args: () => [setup.lm, { prompt: "the", maxNewTokens: 1 }], call: foretoken.generate },
  ...optionCases(
    "generate",
    [
      ...["prompt", "maxNewTokens", "temperature", "topK", "topP", "minP", "seed", "stop", "candidates", "cache"],
      ...["speculate", "signal", "other"],
    ],
    (wrong) => foretoken.generate(setup.lm, { prompt: "the", maxNewTokens: 1, ...wrong }),
    isNotHuge,
  ),
  ...manyCases(setup),
];

const conversation = [{ role: "user", content: "the" }] as const;

const chatCases = (setup: Setup): readonly Case[] => [
  {
    name: "chat",
    args: () => [setup.chatLm, { messages: conversation, maxNewTokens: 0 }],
    call: foretoken.chat,
  },
  ...optionCases("chat", ["messages", "maxNewTokens", "temperature", "signal", "other"], (wrong) =>
    foretoken.chat(setup.chatLm, { messages: conversation, maxNewTokens: 0, ...wrong }),
  ),
];

const tools = [{ name: "look" }] as const;

const toolChatCases = (setup: Setup): readonly Case[] => [
  {
    name: "chatWithTools",
    args: () => [setup.chatLm, { messages: conversation, tools, toolChoice: "none", maxNewTokens: 0 }],
    call: foretoken.chatWithTools,
  },
  ...optionCases(
    "chatWithTools",
    ["messages", "tools", "toolChoice", "parallelToolCalls", "maxNewTokens", "signal", "other"],
    (wrong) =>
      foretoken.chatWithTools(setup.chatLm, {
        ...{ messages: conversation, tools, toolChoice: "none", maxNewTokens: 0 },
        ...wrong,
      }),
  ),
];

const patch = { clean: "the", corrupted: "cat", layer: 0, position: 0, part: "mlp" } as const;

/** Functions that show the intermediate results of a model. */
const insideCases = (setup: Setup): readonly Case[] => [
  { name: "attentionOf", args: () => [setup.lm, "the", {}], call: foretoken.attentionOf },
  ...optionCases("attentionOf", ["layers", "heads", "from", "to", "other"], (wrong) =>
    foretoken.attentionOf(setup.lm, "the", wrong),
  ),
  { name: "lensOf", args: () => [setup.lm, "the", {}], call: foretoken.lensOf },
  ...optionCases("lensOf", ["positions", "top", "signal", "other"], (wrong) =>
    foretoken.lensOf(setup.lm, "the", wrong),
  ),
  { name: "withoutHeads", args: () => [setup.lm, [{ layer: 0, head: 0 }]], call: foretoken.withoutHeads },
  ...optionCases("withoutHeads", ["layer", "head", "other"], (wrong) =>
    foretoken.withoutHeads(setup.lm, [{ layer: 0, head: 0, ...wrong }]),
  ),
  { name: "neighboursOf", args: () => [setup.lm, "t", {}], call: foretoken.neighboursOf },
  ...optionCases("neighboursOf", ["top", "of", "other"], (wrong) => foretoken.neighboursOf(setup.lm, "t", wrong)),
  { name: "patched", args: () => [setup.lm, patch], call: foretoken.patched },
  ...optionCases("patched", ["clean", "corrupted", "layer", "position", "part", "other"], (wrong) =>
    foretoken.patched(setup.lm, { ...patch, ...wrong }),
  ),
];

/** Any text is a valid path, and the function would write to this path. */
const isNoNewPath = (value: unknown, place: number): boolean => place > 0 || !isText(value);

const fileCases = (setup: Setup): readonly Case[] => [
  {
    name: "loadPretrained",
    args: () => [setup.checkpoint, { backend: "reference" }],
    call: openAndClose(foretoken.loadPretrained),
  },
  ...optionCases(
    "loadPretrained",
    [
      ...[
        "backend",
        "threads",
        "dtype",
        "asInTraining",
        "keepBlocks",
        "adapter",
        "adapters",
        "base",
        "baseCheck",
        "onNotice",
        "onProgress",
      ],
      "other",
    ],
    openAndClose((wrong) => foretoken.loadPretrained(setup.checkpoint, { backend: "reference", ...wrong })),
    // An object without fields means that there are no adapters.
    (value, option) => option !== "adapters" || isPrimitive(value),
  ),
  {
    // Wrong arguments start no thread.
    name: "loadInWorker",
    args: () => [setup.checkpoint, { backend: "none" }],
    call: openAndClose(foretoken.loadInWorker),
    allows: (_, place) => place === 0,
  },
  {
    name: "savePretrained",
    args: () => [setup.newPath(), setup.lm],
    call: foretoken.savePretrained,
    allows: isNoNewPath,
  },
  {
    name: "saveAdapter",
    args: () => [setup.newPath(), setup.adaptedLm, {}],
    call: foretoken.saveAdapter,
    allows: isNoNewPath,
  },
  ...optionCases(
    "saveAdapter",
    ["base"],
    (wrong) => foretoken.saveAdapter(setup.newPath(), setup.adaptedLm, wrong),
    (value) => !isText(value),
  ),
  {
    name: "saveMerged",
    args: () => [setup.newPath(), setup.adapter, {}],
    call: foretoken.saveMerged,
    allows: isNoNewPath,
  },
  ...optionCases("saveMerged", ["base", "baseCheck", "dtype", "signal", "onNotice", "onProgress"], (wrong) =>
    foretoken.saveMerged(setup.newPath(), setup.adapter, wrong),
  ),
  {
    name: "saveGguf",
    args: () => [`${setup.newPath()}.gguf`, setup.checkpoint, {}],
    call: foretoken.saveGguf,
    allows: isNoNewPath,
  },
  ...optionCases(
    "saveGguf",
    [
      "encoding",
      "embedding",
      "calibration",
      "replace",
      "name",
      "adapter",
      "base",
      "baseCheck",
      "signal",
      "onNotice",
      "onProgress",
    ],
    (wrong) => foretoken.saveGguf(`${setup.newPath()}.gguf`, setup.checkpoint, wrong),
  ),
  ...optionCases("saveGguf calibration", ["text", "name", "backend", "threads", "onProgress", "other"], (wrong) =>
    foretoken.saveGguf(`${setup.newPath()}.gguf`, setup.checkpoint, {
      encoding: "q8_0",
      calibration: { text: "the cat ", backend: "reference", ...wrong },
    }),
  ),
  {
    name: "exportModel",
    args: () => [`${setup.newPath()}.gguf`, setup.checkpoint, { format: "gguf" }],
    call: foretoken.exportModel,
    allows: isNoNewPath,
  },
  ...optionCases(
    "exportModel",
    [
      ...["format", "dtype", "adapterOnly", "replace", "name", "adapter", "base", "baseCheck"],
      ...["signal", "onNotice", "onProgress"],
    ],
    (wrong) => foretoken.exportModel(`${setup.newPath()}.gguf`, setup.checkpoint, { format: "gguf", ...wrong }),
  ),
  {
    name: "compareModels",
    args: () => [setup.lm, setup.lm, { prompts: [[0]], maxNewTokens: 1 }],
    call: foretoken.compareModels,
  },
  ...optionCases(
    "compareModels",
    ["prompts", "maxNewTokens", "signal", "onProgress"],
    (wrong) => foretoken.compareModels(setup.lm, setup.lm, { prompts: [[0]], maxNewTokens: 1, ...wrong }),
    isNotHuge,
  ),
  {
    name: "saveOnnx",
    args: () => [setup.newPath(), setup.lm, {}],
    call: foretoken.saveOnnx,
    allows: isNoNewPath,
  },
  ...optionCases("saveOnnx", ["dtype", "signal", "onProgress"], (wrong) =>
    foretoken.saveOnnx(setup.newPath(), setup.lm, wrong),
  ),
];

export const modelsCases = (setup: Setup): readonly Case[] => [
  ...freshCases(setup),
  ...languageModelCases(setup),
  ...chatCases(setup),
  ...toolChatCases(setup),
  ...insideCases(setup),
  ...fileCases(setup),
];

/**
 * Checks arguments from JavaScript programs, which no compiler has checked. For a wrong argument, the user gets an
 * error of one sentence instead of a TypeError from code deep inside the library. These checks test which members an
 * object has, not their contents.
 */

import { ConfigError, DataError, ShapeError } from "../errors/errors.ts";
import { alternatives } from "../text/alternatives.ts";
import { nearest } from "../text/nearest.ts";
import { show, showWord } from "../text/show.ts";
import {
  type Form,
  isFlag,
  isFunction,
  isList,
  isMap,
  isNumber,
  isObject,
  isText,
  listOf,
  objectWith,
  optional,
  orNull,
} from "./forms.ts";

/** @throws ConfigError saying that `where` must be `what` */
const refuse = (where: string, what: string, value: unknown): never => {
  throw new ConfigError({ where, must: `must be ${what}`, got: show(value) });
};

/** Checks a path, a prompt or a name. Any text that is not empty is valid. */
export const checkName = (where: string, value: unknown): void => {
  if (typeof value !== "string" || value === "") refuse(where, "a text that is not empty", value);
};

/** Checks that a path is a text. The check does not test whether the path exists. */
export const checkPath = (where: string, value: unknown): void => {
  if (typeof value !== "string") refuse(where, "a path", value);
};

/** @throws DataError, the error for unusable text */
export const checkText = (where: string, value: unknown): void => {
  if (typeof value !== "string") throw new DataError({ where, must: "must be a text", got: show(value) });
};

export const checkNumber = (where: string, value: unknown): void => {
  if (typeof value !== "number") refuse(where, "a number", value);
};

export const checkWhole = (where: string, value: unknown, least = 0): void => {
  if (!Number.isSafeInteger(value) || (value as number) < least) refuse(where, `a whole number from ${least}`, value);
};

export const checkFunction = (where: string, value: unknown): void => {
  if (typeof value !== "function") refuse(where, "a function", value);
};

/** Checks that options are an object. A schema checks the contents. */
export const checkOptions = (where: string, value: unknown): void => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) refuse(where, "an object of options", value);
};

/** @throws ShapeError if the value is not a list of numbers or a typed array */
export const checkIdList = (where: string, value: unknown): void => {
  const isList = typeof value === "object" && value !== null && "length" in value && Number.isInteger(value.length);
  if (!isList) throw new ShapeError({ where, must: "must be a list of token ids", got: show(value) });
};

/** Checks that options are an object with only these keys. */
export const checkKeys = (where: string, value: unknown, names: readonly string[]): void => {
  checkOptions(`${where}: options`, value);
  const other = Object.keys(value as object).find((key) => !names.includes(key));
  if (other === undefined) return;
  const hint = nearest(other, names);
  throw new ConfigError({
    where,
    must: "every key must be a known one",
    got: show(other),
    ...(hint === undefined ? {} : { hint }),
  });
};

/**
 * Makes a check from a form, which lists the members of an object. Most forms describe objects that functions of the
 * library return.
 */
const checkForm =
  (what: string, form: Form) =>
  (where: string, value: unknown): void => {
    if (!form(value)) refuse(where, what, value);
  };

export const isBackend = objectWith({
  alloc: isFunction,
  free: isFunction,
  read: isFunction,
  write: isFunction,
  run: isFunction,
  isClosed: isFunction,
  capabilities: objectWith({ real: isList }),
});

const isTensor = objectWith({ storage: isObject, offset: isNumber, shape: listOf(isNumber) });

const isPlaced = objectWith({ name: isText, shape: listOf(isNumber), offset: isNumber, size: isNumber });

const isLayout = objectWith({ length: isNumber, decayed: isNumber, parameters: listOf(isPlaced) });

const isArena = objectWith({ storage: objectWith({ dtype: isText }), tensors: isMap });

const isKinded = objectWith({ kind: isText });

/** Fields of a model's configuration that all users of a model read. */
const isShape = objectWith({
  ...{ contextLength: isNumber, nLayer: isNumber, nHead: isNumber, nEmbd: isNumber },
  ...{ position: isKinded, norm: isKinded, mlp: isKinded, bias: isObject },
});

const isWeighted = objectWith({ weight: isTensor });

const isTable = objectWith({ cos: isTensor, sin: isTensor });

const isParameters = objectWith({
  tokens: isTensor,
  positions: orNull(isTensor),
  blocks: listOf(objectWith({ attentionNorm: orNull(isWeighted), attention: objectWith({ qkv: isWeighted }) })),
  norm: isWeighted,
  head: isWeighted,
  angles: objectWith({ main: orNull(isTable), window: orNull(isTable) }),
});

const isModel = objectWith({
  config: isShape,
  vocabSize: isNumber,
  backend: isBackend,
  layout: isLayout,
  arena: isArena,
  adapter: orNull(objectWith({ config: isObject, layout: isLayout, arena: isArena, leaves: listOf(isTensor) })),
  parameters: isParameters,
  ...{ writeWeights: isFunction, rounded: isFunction, weightsChanged: isFunction, close: isFunction },
});

const isSpecialToken = objectWith({ id: isNumber, name: isText });

const isTokenizer = objectWith({
  vocabSize: isNumber,
  specialTokens: listOf(isSpecialToken),
  encode: isFunction,
  decode: isFunction,
  bytes: isFunction,
  token: isFunction,
  toJSON: isFunction,
});

const isContext = objectWith({
  backend: isBackend,
  memory: objectWith({ allocate: isFunction, upload: isFunction, release: isFunction, close: isFunction }),
  tape: orNull(objectWith({ record: isFunction, backward: isFunction })),
  rounded: orNull(isFunction),
});

export const checkBackend = checkForm("a backend from openBackend", isBackend);

export const checkModel = checkForm("a model, for example from freshModel", isModel);

export const checkTokenizer = checkForm("a tokenizer, for example from trainCharTokenizer", isTokenizer);

/** Checks the methods of a tokenizer that turn tokens into text. */
export const checkTokenBytes = checkForm(
  "a tokenizer, for example from trainCharTokenizer",
  objectWith({ bytes: isFunction, specialTokens: listOf(isSpecialToken) }),
);

const isWorkerModel = objectWith({ generate: isFunction, evaluate: isFunction, close: isFunction });
const isChatTemplate = objectWith({ template: isText, bosToken: isText, eosToken: isText });

export const checkChatTemplate = checkForm(
  "a chat template with template, bosToken and eosToken",
  orNull(isChatTemplate),
);

export const checkEndTokens = checkForm("a list of token ids", listOf(isNumber));

const languageModelForm = "a language model from loadPretrained";
const isLanguageModel = objectWith({
  model: isModel,
  tokenizer: isTokenizer,
  endTokens: listOf(isNumber),
  adapted: isFunction,
  logits: isFunction,
});
const checkLanguageModelForm = checkForm(languageModelForm, isLanguageModel);

/**
 * @param hint what to use instead of a model from `loadInWorker`. The weights of such a model are on another thread.
 */
export const checkLanguageModel = (where: string, value: unknown, hint: string): void => {
  if (isWorkerModel(value) && !isObject(Reflect.get(value as object, "model"))) {
    const got = "a worker model from loadInWorker";
    throw new ConfigError({ where, must: `must be ${languageModelForm}`, got, hint });
  }
  checkLanguageModelForm(where, value);
};

/** Whether a model has its own `generate`, for example a model on another thread. */
const isWriter = objectWith({
  config: objectWith({ contextLength: isNumber }),
  tokenizer: isTokenizer,
  generate: isFunction,
});
const hasTemplate = objectWith({ chatTemplate: orNull(isChatTemplate) });

export const checkChatModel = checkForm(
  "a model from loadPretrained or loadInWorker",
  (value) => hasTemplate(value) && (isWriter(value) || isLanguageModel(value)),
);

export const checkContext = checkForm("a context from withContext or Gradients.record", isContext);

export const checkTrainingContext = checkForm(
  "a recording context from Gradients.record",
  (value) => isContext(value) && Reflect.get(value as object, "tape") !== null,
);

export const checkTensor = checkForm("a tensor", isTensor);

export const checkLayout = checkForm("a layout, for example model.layout", isLayout);

/** @throws ConfigError if `value` is not a key from `randomKey` */
export const checkRandomKey = (where: string, value: unknown): void => {
  const isKey = Array.isArray(value) && value.length === 4 && value.every((word) => typeof word === "number");
  if (!isKey) refuse(where, "a key from randomKey", value);
};

const isFalling = objectWith({ kind: isText, minLearningRate: isNumber });

export const checkPlan = checkForm(
  "an object with learningRate, warmupSteps, steps and schedule, for example config.train",
  objectWith({
    ...{ learningRate: isNumber, warmupSteps: isNumber, steps: isNumber, extensions: optional(isList) },
    schedule: (value) => isFalling(value) || (isKinded(value) && Reflect.get(value as object, "kind") === "constant"),
  }),
);

export const checkUpdate = checkForm(
  "an object with values, gradients, step, learningRate and gradScale",
  objectWith({
    values: isObject,
    gradients: isObject,
    step: isNumber,
    learningRate: isNumber,
    gradScale: isNumber,
  }),
);

const isPathList = listOf(isText);

export const checkPaths = checkForm(
  "a list of one or more paths",
  (value) => isPathList(value) && (value as readonly string[]).length > 0,
);

export const checkSurroundings = checkForm(
  "an object with env and fetch",
  objectWith({ env: isObject, fetch: isFunction }),
);

const checkSignalForm = checkForm("an AbortSignal", objectWith({ aborted: isFlag, throwIfAborted: isFunction }));

export const checkSignal = (where: string, value: unknown): void => {
  if (value !== undefined) checkSignalForm(where, value);
};

/** Checks a backend's name, an opened backend, or undefined. */
export const checkBackendChoice = (where: string, value: unknown): void => {
  if (value !== undefined && typeof value !== "string") checkBackend(where, value);
};

/** Refuses options that an opened backend cannot follow any more. `given`: their values; undefined if not given. */
export const checkBesideBackend = (where: string, backend: unknown, given: Readonly<Record<string, unknown>>): void => {
  if (backend === undefined || typeof backend === "string") return;
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue;
    throw new ConfigError({
      where: `${where}: ${name}`,
      must: "must be used only with the name of a backend",
      got: `${show(value)} and an open backend`,
      hint: name === "threads" ? "openBackend(name, { threads })" : 'backend: "auto"',
    });
  }
};

/** Checks that a value is one of the allowed words, or undefined. */
export const checkChoice = (where: string, value: unknown, choices: readonly string[]): void => {
  if (value === undefined || choices.some((choice) => choice === value)) return;
  throw new ConfigError({ where, must: `must be ${alternatives(choices)}`, got: showWord(value) });
};

/** Checks true, false or undefined. */
export const checkBoolean = (where: string, value: unknown): void => {
  if (value === undefined || typeof value === "boolean") return;
  throw new ConfigError({ where, must: "must be true or false", got: show(value) });
};

/** Checks an optional callback. */
export const checkCallback = (where: string, value: unknown): void => {
  if (value !== undefined) checkFunction(where, value);
};

export const checkInt32 = (where: string, value: unknown): void => {
  if (!(value instanceof Int32Array)) {
    throw new ShapeError({ where, must: "must be an Int32Array of token ids", got: show(value) });
  }
};

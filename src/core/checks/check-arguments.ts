/**
 * Checks of arguments from JavaScript programs, which no compiler has checked: one sentence about the argument, not a
 * TypeError from deep inside. They check the form of an object, not its contents.
 */

import { ConfigError, DataError, ShapeError } from "../errors/errors.ts";
import { alternatives } from "../text/alternatives.ts";
import { nearest } from "../text/nearest.ts";
import { show, showWord } from "../text/show.ts";

/** @throws ConfigError saying that `where` must be `what` */
const refuse = (where: string, what: string, value: unknown): never => {
  throw new ConfigError({ where, must: `must be ${what}`, got: show(value) });
};

/** A path, a prompt, a name: any non-empty text. */
export const checkName = (where: string, value: unknown): void => {
  if (typeof value !== "string" || value === "") refuse(where, "a text that is not empty", value);
};

/** A path: later code checks whether it exists. */
export const checkPath = (where: string, value: unknown): void => {
  if (typeof value !== "string") refuse(where, "a path", value);
};

/** @throws DataError, as for a text that cannot be used */
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

/** An object of options; a schema checks its contents. */
export const checkOptions = (where: string, value: unknown): void => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) refuse(where, "an object of options", value);
};

/** @throws ShapeError unless it is a list of numbers or a typed array */
export const checkIdList = (where: string, value: unknown): void => {
  const isList = typeof value === "object" && value !== null && "length" in value && Number.isInteger(value.length);
  if (!isList) throw new ShapeError({ where, must: "must be a list of token ids", got: show(value) });
};

/** An object of options with no other keys than these. */
export const checkKeys = (where: string, value: unknown, names: readonly string[]): void => {
  checkOptions(`${where}: options`, value);
  const other = Object.keys(value as object).find((key) => !names.includes(key));
  if (other === undefined) return;
  const hint = nearest(other, names);
  throw new ConfigError({
    where,
    must: "every option must be a known one",
    got: show(other),
    ...(hint === undefined ? {} : { hint }),
  });
};

type MemberType = "function" | "object" | "number" | "string" | "boolean";
type Members = readonly (readonly [name: string, type: MemberType])[];

/** Listed once: some of these checks run for each token. */
const members = (types: Readonly<Record<string, MemberType>>): Members => Object.entries(types);

const hasMembers = (value: unknown, wanted: Members): boolean =>
  typeof value === "object" &&
  value !== null &&
  wanted.every(([name, type]) => {
    const member: unknown = Reflect.get(value, name);
    return typeof member === type && member !== null;
  });

/** A check of objects with these members: mostly for results of the library's functions. */
const checkForm =
  (what: string, wanted: Members, inner?: (value: object) => boolean) =>
  (where: string, value: unknown): void => {
    if (!hasMembers(value, wanted) || inner?.(value as object) === false) refuse(where, what, value);
  };

const backendMembers = members({
  alloc: "function",
  free: "function",
  read: "function",
  run: "function",
  capabilities: "object",
});
const modelMembers = members({
  config: "object",
  vocabSize: "number",
  backend: "object",
  arena: "object",
  parameters: "object",
});
const tokenizerMembers = members({
  vocabSize: "number",
  specialTokens: "object",
  encode: "function",
  decode: "function",
  bytes: "function",
  token: "function",
});

export const isBackend = (value: unknown): boolean => hasMembers(value, backendMembers);
const isModel = (value: unknown): boolean =>
  hasMembers(value, modelMembers) && isBackend(Reflect.get(value as object, "backend"));

export const checkBackend = checkForm("a backend, as openBackend gives it", backendMembers);

export const checkModel = checkForm("a model, as freshModel gives it", modelMembers, isModel);

export const checkTokenizer = checkForm("a tokenizer, as trainCharTokenizer gives it", tokenizerMembers);

/** The part of a tokenizer that turns tokens into text. */
export const checkTokenBytes = checkForm(
  "a tokenizer, as trainCharTokenizer gives it",
  members({ bytes: "function", specialTokens: "object" }),
  (value) => Array.isArray(Reflect.get(value, "specialTokens")),
);

const workerModelMembers = members({ generate: "function", evaluate: "function", close: "function" });
const languageModelForm = "a language model, as loadPretrained gives it";

const checkLanguageModelForm = checkForm(
  languageModelForm,
  members({ model: "object", tokenizer: "object", endTokens: "object" }),
  (value) => isModel(Reflect.get(value, "model")) && hasMembers(Reflect.get(value, "tokenizer"), tokenizerMembers),
);

/** @param hint what to do with a worker model instead, whose weights are on another thread. */
export const checkLanguageModel = (where: string, value: unknown, hint: string): void => {
  if (hasMembers(value, workerModelMembers) && !hasMembers(value, members({ model: "object" }))) {
    const got = "a worker model, as loadInWorker gives it";
    throw new ConfigError({ where, must: `must be ${languageModelForm}`, got, hint });
  }
  checkLanguageModelForm(where, value);
};

export const checkContext = checkForm(
  "a context, as withContext and Gradients.record give it",
  members({
    backend: "object",
    memory: "object",
  }),
);

export const checkTrainingContext = checkForm(
  "a context that records, as Gradients.record gives it",
  members({
    backend: "object",
    memory: "object",
    tape: "object",
  }),
);

export const checkTensor = checkForm(
  "a tensor",
  members({ storage: "object", offset: "number", shape: "object" }),
  (value) => Array.isArray(Reflect.get(value, "shape")),
);

export const checkLayout = checkForm(
  "a layout, as a model's",
  members({ length: "number", decayed: "number", parameters: "object" }),
  (value) => Array.isArray(Reflect.get(value, "parameters")),
);

/** @throws ConfigError unless `value` is a key from `randomKey` */
export const checkRandomKey = (where: string, value: unknown): void => {
  const isKey = Array.isArray(value) && value.length === 4 && value.every((word) => typeof word === "number");
  if (!isKey) refuse(where, "a key, as randomKey gives it", value);
};

const kinded = members({ kind: "string" });
const falling = members({ minLearningRate: "number" });

export const checkPlan = checkForm(
  "a plan of learning rates, as a configuration's train",
  members({ learningRate: "number", warmupSteps: "number", steps: "number", schedule: "object" }),
  (value) => {
    const schedule: unknown = Reflect.get(value, "schedule");
    const extensions: unknown = Reflect.get(value, "extensions");
    return (
      (extensions === undefined || Array.isArray(extensions)) &&
      hasMembers(schedule, kinded) &&
      (Reflect.get(schedule as object, "kind") === "constant" || hasMembers(schedule, falling))
    );
  },
);

export const checkUpdate = checkForm(
  "an update: values, gradients, step, learningRate and gradScale",
  members({
    values: "object",
    gradients: "object",
    step: "number",
    learningRate: "number",
    gradScale: "number",
  }),
);

export const checkSurroundings = checkForm(
  "an object with env and fetch",
  members({ env: "object", fetch: "function" }),
);

const checkSignalForm = checkForm("an AbortSignal", members({ aborted: "boolean", throwIfAborted: "function" }));

export const checkSignal = (where: string, value: unknown): void => {
  if (value !== undefined) checkSignalForm(where, value);
};

/** A backend's name, an opened backend, or nothing. */
export const checkBackendChoice = (where: string, value: unknown): void => {
  if (value !== undefined && typeof value !== "string") checkBackend(where, value);
};

/** One of a few words, or nothing. */
export const checkChoice = (where: string, value: unknown, choices: readonly string[]): void => {
  if (value === undefined || choices.some((choice) => choice === value)) return;
  throw new ConfigError({ where, must: `must be ${alternatives(choices)}`, got: showWord(value) });
};

/** True, false or nothing. */
export const checkBoolean = (where: string, value: unknown): void => {
  if (value === undefined || typeof value === "boolean") return;
  throw new ConfigError({ where, must: "must be true or false", got: show(value) });
};

/** A callback that may be left out. */
export const checkCallback = (where: string, value: unknown): void => {
  if (value !== undefined) checkFunction(where, value);
};

export const checkInt32 = (where: string, value: unknown): void => {
  if (!(value instanceof Int32Array)) {
    throw new ShapeError({ where, must: "must be an Int32Array of token ids", got: show(value) });
  }
};

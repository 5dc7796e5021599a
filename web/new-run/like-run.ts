/** Fills the form from an existing run: the text, if the form has it, the recipe, and the fields that differ. */
import type {
  ConfigFieldInfo,
  NewRunRequest,
  RunListAnswer,
  RunPlan,
  RunSummary,
  TextSource,
} from "../../src/serve/studio/protocol.ts";
import { flatten } from "../parts/format.ts";
import { fields, info, models, texts } from "../server/facts.ts";
import { api, getJson, postJson } from "../server/request.ts";
import { change, type Draft, givenText } from "./draft.ts";

/**
 * Recipe and changed fields for a new run with the settings of the given run.
 * @param known fields of the form.
 * @param base values that the text and the recipe determine. If they are unknown (undefined), all fields are set.
 */
export const settingsLike = (
  { preset, config }: Pick<RunSummary, "preset" | "config">,
  known: readonly Pick<ConfigFieldInfo, "path">[],
  base: RunPlan["config"] | undefined,
): Pick<Draft, "preset" | "values"> => {
  const paths = new Set(known.map(({ path }) => path));
  const before = new Map(base === undefined ? [] : flatten(base).map(({ path, value }) => [path, value]));
  const values = flatten(config)
    .filter(({ path, value }) => paths.has(path) && value !== "none" && before.get(path) !== value)
    .map(({ path, value }) => [path, value] as const);
  return { preset: preset ?? "", values: Object.fromEntries(values) };
};

/** Last part of a path. */
const nameIn = (path: string): string => path.split(/[/\\]/u).at(-1) ?? path;

/**
 * Place of a run's text in the form. Undefined if the form does not have this text. The form then keeps its current
 * text.
 */
export const textLike = (
  corpus: string,
  corpora: readonly string[],
  files: readonly string[],
): Pick<Draft, "kind" | "corpus"> | Pick<Draft, "kind" | "file"> | undefined => {
  if (corpora.includes(corpus)) return { kind: "corpus", corpus };
  const file = files.find((path) => nameIn(path) === corpus);
  return file === undefined ? undefined : { kind: "file", file };
};

/** Key of the model from which a run started, in the form's list of models. */
export const modelLike = (initFrom: string | null, keys: readonly string[]): string => {
  const [, name, weights] = /([^/\\]+)[/\\](best|checkpoint)$/u.exec(initFrom ?? "") ?? [];
  return keys.find((key) => key === initFrom || key === `runs/${name}/${weights === "best" ? "best" : "last"}`) ?? "";
};

const sourceNow = (text: ReturnType<typeof textLike>): TextSource | undefined => {
  if (text !== undefined && "corpus" in text) return { kind: "corpus", name: text.corpus };
  if (text !== undefined) return { kind: "file", path: text.file };
  return givenText.value === "" ? undefined : { kind: "given", name: "pasted.txt", text: givenText.value };
};

/** Values that a text and a recipe determine. Undefined if there is no text, or if the server refuses the text. */
const baseOf = async (
  text: TextSource | undefined,
  begin: Pick<NewRunRequest, "preset" | "initFrom">,
): Promise<RunPlan["config"] | undefined> => {
  if (text === undefined) return undefined;
  const answer = await postJson<RunPlan>(`${api}/plan`, { text, ...begin } satisfies NewRunRequest);
  return answer.kind === "ok" ? answer.value.config : undefined;
};

/** Copies the settings of the run `name` into the draft. If there is no such run, the draft does not change. */
export const takeLike = async (name: string): Promise<void> => {
  const list = getJson<RunListAnswer>(`${api}/runs`);
  await Promise.all([fields.load(), info.load(), models.load()]);
  if (typeof info.value.value?.textFolder === "string") await texts.load();
  const answer = await list;
  const run = answer.kind === "ok" ? answer.value.runs.find((one) => one.name === name) : undefined;
  if (run === undefined) return;
  const files = texts.value.value?.texts.map(({ path }) => path) ?? [];
  const text = textLike(run.corpus, info.value.value?.corpora ?? [], files);
  const initFrom = modelLike(run.initFrom, models.value.value?.models.map(({ key }) => key) ?? []);
  const base = await baseOf(sourceNow(text), {
    ...(run.preset === null ? {} : { preset: run.preset }),
    ...(initFrom === "" ? {} : { initFrom }),
  });
  change({ ...text, initFrom, name: "", keepLast: "", ...settingsLike(run, fields.value.value ?? [], base) });
};

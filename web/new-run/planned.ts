/** Plan for the draft. A moment after each change, the page requests a new plan. */
import { computed, effect, signal } from "@preact/signals";
import type { Failure, NewRunRequest, PlanTime, RunPlan } from "../../src/serve/studio/protocol.ts";
import { api, getJson, postJson } from "../server/request.ts";
import { draft, request } from "./draft.ts";
import { isOfForm, placeOf, wrongFields } from "./failures.ts";
import { placeInForm } from "./labels.ts";

export const plan = signal<RunPlan | undefined>(undefined);
/**
 * Plan that contains the default values of empty fields. If the draft has an error, this plan uses only the text, the
 * recipe and the start model.
 */
export const untyped = signal<RunPlan | undefined>(undefined);
export const planFailure = signal<Failure | undefined>(undefined);
/** Whether a plan is being requested, or will be requested in a moment. */
export const planning = signal(false);
/** Whether the server times steps of the planned model. */
export const timing = signal(false);

const changed = computed((): ReadonlySet<string> => new Set(Object.keys(draft.value.values)));

/** First wrong field of the form. Undefined if no field is wrong, or if the failure is about no field. */
export const wrongField = computed(() => {
  const failure = planFailure.value;
  return failure !== undefined && isOfForm(failure) ? placeOf(failure, changed.value) : undefined;
});

const wrongs = computed((): ReadonlyMap<string, string> => {
  const failure = planFailure.value;
  return failure === undefined ? new Map() : wrongFields(failure, changed.value);
});

/** All wrong fields, in the order of the form. */
export const wrongPlaces = computed((): readonly string[] =>
  [...wrongs.value.keys()].toSorted((a, b) => placeInForm(a) - placeInForm(b)),
);

/** Message for a wrong field. Undefined if the field is right. */
export const wrongAt = (field: string): string | undefined => wrongs.value.get(field);

const quietMs = 400;

const questionOf = (body: NewRunRequest, abort: AbortSignal) => postJson<RunPlan>(`${api}/plan`, body, abort);

/** The parts of a request that determine the values of empty fields. */
const beginningOf = ({ text, preset, initFrom }: NewRunRequest): NewRunRequest => ({
  text,
  ...(preset === undefined ? {} : { preset }),
  ...(initFrom === undefined ? {} : { initFrom }),
});
/** Text, recipe and start model for which `untyped` was planned, as JSON. */
let untypedBeginning = "";
/** Text, recipe and start model of the plan that failed, as JSON. */
let failedBeginning = "";

/** Adds the time to the plan, if the server can time the model. */
const addTime = async (of: RunPlan, abort: AbortSignal): Promise<void> => {
  if (of.timing === null) return;
  timing.value = true;
  const answer = await getJson<PlanTime>(`${api}/plans/${of.timing}/time`, abort);
  timing.value = false;
  if (answer.kind === "ok") plan.value = { ...of, ...answer.value };
};

const ask = async (body: NewRunRequest, abort: AbortSignal): Promise<void> => {
  const beginning = beginningOf(body);
  const known = JSON.stringify(beginning);
  try {
    const answer = await questionOf(body, abort);
    planFailure.value = answer.kind === "ok" ? undefined : answer.failure;
    failedBeginning = known;
    planning.value = false;
    if (answer.kind === "ok") plan.value = answer.value;
    // A typed value is wrong, and the text, the recipe or the start model has changed since the last plan. So the
    // default values of empty fields are requested separately.
    const shown = answer.kind === "ok" || known === untypedBeginning ? answer : await questionOf(beginning, abort);
    if (shown.kind !== "ok") return;
    untyped.value = shown.value;
    untypedBeginning = known;
    if (answer.kind === "ok") await addTime(answer.value, abort);
  } catch {
    // A newer request has replaced this request.
  }
};

/** Keeps the plan up to date until the returned function is called. */
export const keepPlanning = (): (() => void) => {
  let controller = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const end = effect(() => {
    const body = request.value;
    controller.abort();
    clearTimeout(timer);
    timing.value = false;
    if (body === undefined) {
      plan.value = undefined;
      untyped.value = undefined;
      untypedBeginning = "";
      planFailure.value = undefined;
      planning.value = false;
      return;
    }
    // An error about another text or another model must not stay while the new plan is made.
    if (JSON.stringify(beginningOf(body)) !== failedBeginning) planFailure.value = undefined;
    planning.value = true;
    controller = new AbortController();
    const { signal: abort } = controller;
    timer = setTimeout(() => void ask(body, abort), quietMs);
  });
  return () => {
    end();
    clearTimeout(timer);
    controller.abort();
  };
};

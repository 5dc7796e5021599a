/** The plan of the draft: asked for again a moment after each change. */
import { computed, effect, signal } from "@preact/signals";
import type { Failure, NewRunRequest, RunPlan } from "../../src/serve/studio/protocol.ts";
import { api, postJson } from "../server/request.ts";
import { draft, request } from "./draft.ts";
import { isOfForm, placeOf, wrongFields } from "./failures.ts";
import { placeInForm } from "./labels.ts";

export const plan = signal<RunPlan | undefined>(undefined);
/** The plan whose values fields show where nothing is typed: of the draft, or of what it begins with while it is faulty. */
export const untyped = signal<RunPlan | undefined>(undefined);
export const planFailure = signal<Failure | undefined>(undefined);
/** The plan is asked for, or will be in a moment. */
export const planning = signal(false);

const changed = computed((): ReadonlySet<string> => new Set(Object.keys(draft.value.values)));

/** The field of the form that is wrong, the first of several; undefined: none is, or what is wrong is about no field. */
export const wrongField = computed(() => {
  const failure = planFailure.value;
  return failure !== undefined && isOfForm(failure) ? placeOf(failure, changed.value) : undefined;
});

const wrongs = computed((): ReadonlyMap<string, string> => {
  const failure = planFailure.value;
  return failure === undefined ? new Map() : wrongFields(failure, changed.value);
});

/** All fields of the form that are wrong, in its order. */
export const wrongPlaces = computed((): readonly string[] =>
  [...wrongs.value.keys()].toSorted((a, b) => placeInForm(a) - placeInForm(b)),
);

/** What is wrong with a field of the form; undefined: nothing is. */
export const wrongAt = (field: string): string | undefined => wrongs.value.get(field);

const quietMs = 400;

const questionOf = (body: NewRunRequest, abort: AbortSignal) => postJson<RunPlan>(`${api}/plan`, body, abort);

/** What a request begins with: the fields that are not typed follow from it. */
const beginningOf = ({ text, preset, initFrom }: NewRunRequest): NewRunRequest => ({
  text,
  ...(preset === undefined ? {} : { preset }),
  ...(initFrom === undefined ? {} : { initFrom }),
});
/** What `untyped` begins with. */
let untypedBeginning = "";

const ask = async (body: NewRunRequest, abort: AbortSignal): Promise<void> => {
  const beginning = beginningOf(body);
  const known = JSON.stringify(beginning);
  try {
    const answer = await questionOf(body, abort);
    planFailure.value = answer.kind === "ok" ? undefined : answer.failure;
    planning.value = false;
    if (answer.kind === "ok") plan.value = answer.value;
    // The fault is in what was typed, and names values that follow from another text or recipe than the last plan's.
    const shown = answer.kind === "ok" || known === untypedBeginning ? answer : await questionOf(beginning, abort);
    if (shown.kind !== "ok") return;
    untyped.value = shown.value;
    untypedBeginning = known;
  } catch {
    // A newer question took its place.
  }
};

/** Plans the draft until the function that is returned is called. */
export const keepPlanning = (): (() => void) => {
  let controller = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const end = effect(() => {
    const body = request.value;
    controller.abort();
    clearTimeout(timer);
    if (body === undefined) {
      plan.value = undefined;
      untyped.value = undefined;
      untypedBeginning = "";
      planFailure.value = undefined;
      planning.value = false;
      return;
    }
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

/** Plans of new runs whose requests may be wrong in several places: all that is wrong is said at once. */
import { runConfigSchema } from "../../config/config.ts";
import { configOfText, mergeConfig } from "../../config/from-text.ts";
import { parseConfig } from "../../core/checks/config.ts";
import { ConfigError } from "../../core/errors/errors.ts";
import { HttpError, SeveralErrors } from "../http/http-error.ts";
import { type NewRunParts, planOf } from "./new-run.ts";
import { type NewRunRequest, newRunSchema, type RunPlan } from "./protocol.ts";

/** A request without the fields that are wrong, and what is wrong with these. */
interface Checked {
  readonly request: NewRunRequest;
  readonly fault: ConfigError | undefined;
}

/** @throws ConfigError where nothing is left to look at, as without a text. */
const checked = (given: Readonly<Record<string, unknown>>): Checked => {
  try {
    return { request: parseConfig(newRunSchema, given, "request"), fault: undefined };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const wrong = new Set([error.details, ...(error.details.others ?? [])].map(({ field }) => field));
    const rest = newRunSchema.safeParse(Object.fromEntries(Object.entries(given).filter(([key]) => !wrong.has(key))));
    if (!rest.success) throw error;
    return { request: rest.data, fault: error };
  }
};

/** What else of a request may be wrong, if `error` is wrong with it; undefined: nothing that could be told apart. */
const besides = (error: unknown, { name: _, ...request }: NewRunRequest): NewRunRequest | undefined => {
  if (error instanceof HttpError && error.field === "name") return request;
  // The text is read after the configuration: what follows from it alone suits it, unless it is itself wrong.
  return error instanceof ConfigError && request.config !== undefined ? { text: request.text } : undefined;
};

/**
 * The error of a configuration, checked again with the sizes that follow from its text: before a text is read, those of a long one
 * stand in for them.
 * @param error the error with those of a long text.
 * @param plan of the text alone.
 */
const ofText = (error: unknown, { preset, initFrom, config }: NewRunRequest, plan: RunPlan): unknown => {
  // These have sizes of their own, and only these have adapters.
  if (preset !== undefined || initFrom !== undefined || config === undefined || config.lora !== undefined) return error;
  const { trainTokens: tokens, vocabSize } = plan;
  try {
    parseConfig(runConfigSchema, mergeConfig(configOfText({ tokens, vocabSize }, config), config), "config");
  } catch (found) {
    return found;
  }
  return error;
};

/** @throws SeveralErrors if more than one thing is wrong, else as `planOf`; ConfigError for a request that is none. */
export const planOrFaults = async (
  given: Readonly<Record<string, unknown>>,
  parts: NewRunParts,
  signal: AbortSignal,
): Promise<RunPlan> => {
  const { request, fault } = checked(given);
  const faults: unknown[] = fault === undefined ? [] : [fault];
  const attempt = (asked: NewRunRequest): Promise<RunPlan | undefined> =>
    planOf(asked, parts, signal).catch(async (error: unknown) => {
      const place = faults.push(error) - 1;
      const rest = besides(error, asked);
      const restPlan = rest === undefined ? undefined : await attempt(rest);
      if (restPlan !== undefined && error instanceof ConfigError) faults[place] = ofText(error, asked, restPlan);
      return restPlan;
    });
  const plan = await attempt(request);
  const [first, ...others] = faults;
  if (others.length > 0) throw new SeveralErrors([first, ...others]);
  if (first !== undefined || plan === undefined) throw first;
  return plan;
};

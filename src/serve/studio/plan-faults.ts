/** Makes plans of new runs. If a request has several mistakes, the error reports all of them together. */
import { runConfigSchema } from "../../config/config.ts";
import { configOfText, mergeConfig } from "../../config/from-text.ts";
import { parseConfig } from "../../core/checks/config.ts";
import { ConfigError } from "../../core/errors/errors.ts";
import { HttpError, SeveralErrors } from "../http/http-error.ts";
import { type NewRunParts, planOf } from "./new-run.ts";
import { type NewRunRequest, newRunSchema, type RunPlan } from "./protocol.ts";

/** A request without its wrong fields, and the error about these fields. */
interface Checked {
  readonly request: NewRunRequest;
  readonly fault: ConfigError | undefined;
}

/** @throws ConfigError if the request has nothing left to plan, for example no text. */
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

/**
 * A smaller request that is used to find further mistakes after `error`. Undefined: further mistakes could not be
 * distinguished from `error`.
 */
const besides = (error: unknown, { name: _, ...request }: NewRunRequest): NewRunRequest | undefined => {
  if (error instanceof HttpError && error.field === "name") return request;
  // The configuration is checked before the text is read. So try the text alone, because the default configuration of a
  // text is always valid.
  return error instanceof ConfigError && request.config !== undefined ? { text: request.text } : undefined;
};

/**
 * Checks a wrong configuration again, with the sizes for its text. The first check was made before the text was read,
 * with the sizes for a long text.
 * @param error error of the first check.
 * @param plan plan of the text alone.
 */
const ofText = (error: unknown, { preset, initFrom, config }: NewRunRequest, plan: RunPlan): unknown => {
  // Presets and initial models have fixed sizes, and adapters exist only with an initial model.
  if (preset !== undefined || initFrom !== undefined || config === undefined || config.lora !== undefined) return error;
  const { trainTokens: tokens, vocabSize } = plan;
  try {
    parseConfig(runConfigSchema, mergeConfig(configOfText({ tokens, vocabSize }, config), config), "config");
  } catch (found) {
    return found;
  }
  return error;
};

/**
 * @throws SeveralErrors if the request has more than one mistake. If it has one mistake, throws the error of `planOf`,
 * or a ConfigError for an invalid request.
 */
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

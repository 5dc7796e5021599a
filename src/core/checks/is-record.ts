/** Whether `value` is an object with keys, as `{}` in JSON: no list, no null. */
export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Whether `value` is an object with keys, like `{}` in JSON, not a list or null. */
export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

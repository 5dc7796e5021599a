/** Results of the checks of files. */
import { resultOf } from "#foretoken/doctor/check.js";
import { fileChecks } from "#foretoken/doctor/files.node.js";

/** Results of the checks of a run's or a model's files. For each name of a check: status, facts and advice. */
export const checked = async (path: string) => {
  const checks = await fileChecks(path);
  const results = await Promise.all(checks.map(resultOf));
  return Object.fromEntries(results.map(({ name, status, fact, advice }) => [name, { status, fact, advice }]));
};

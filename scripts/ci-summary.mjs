// Sums the results of .ci/run. The last line is "N passed, N failed".
//     node scripts/ci-summary.mjs FOLDER
// In FOLDER, `<step>.json` is a report of vitest's json reporter, in which each test counts. `<step>.status` is the
// exit status of a step. `<step>.seconds` is its time. A step without a report counts as one test. A failed step with
// no failed test in its report counts as one failed test.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { isMain } from "./build/common.mjs";

const count = (folder, step, status) => {
  const report = join(folder, `${step}.json`);
  if (!existsSync(report)) return { passed: status === 0 ? 1 : 0, failed: status === 0 ? 0 : 1 };
  const { numPassedTests: passed, numFailedTests: failed } = JSON.parse(readFileSync(report, "utf8"));
  return { passed, failed: status !== 0 && failed === 0 ? 1 : failed };
};

const testsOf = (folder, step) => {
  const report = join(folder, `${step}.json`);
  if (!existsSync(report)) return [];
  const { testResults = [] } = JSON.parse(readFileSync(report, "utf8"));
  // A file that could not be imported has a message, but no tests.
  return testResults.flatMap(({ assertionResults = [], name, status, message }) =>
    status === "failed" && assertionResults.length === 0
      ? [{ status, fullName: name, failureMessages: [message] }]
      : assertionResults,
  );
};

/** Names of a step's skipped tests. Each name gives the reason. */
const skipped = (folder, step) =>
  testsOf(folder, step)
    .filter(({ status }) => ["pending", "skipped"].includes(status))
    .map(({ fullName }) => fullName);

/**
 * The failed tests of a step, with the first line of their error. Often only the end of a log is kept, so this line is
 * at the end.
 */
const failures = (folder, step) =>
  testsOf(folder, step)
    .filter(({ status }) => status === "failed")
    .map(({ fullName, failureMessages = [] }) => `${fullName}: ${`${failureMessages[0] ?? ""}`.split("\n", 1)[0]}`);

/**
 * Sums over all steps of `folder`: passed tests, failed tests, names of failed steps and tests, and names of skipped
 * tests.
 */
export const summary = (folder) => {
  const total = { passed: 0, failed: 0, failedSteps: [], failures: [], skipped: [] };
  const statuses = readdirSync(folder).filter((name) => name.endsWith(".status"));
  for (const name of statuses.sort()) {
    const step = basename(name, ".status");
    const status = Number(readFileSync(join(folder, name), "utf8").trim() || "1");
    const { passed, failed } = count(folder, step, status);
    total.passed += passed;
    total.failed += failed;
    total.skipped.push(...skipped(folder, step).map((name) => `${step}: ${name}`));
    total.failures.push(...failures(folder, step).map((line) => `${step}: ${line}`));
    if (failed > 0) total.failedSteps.push(step);
  }
  return total;
};

/** Steps and files of tests with their times in seconds, longest first. */
export const times = (folder) => {
  const steps = readdirSync(folder)
    .filter((name) => name.endsWith(".seconds"))
    .map((name) => ({ name: basename(name, ".seconds"), seconds: Number(readFileSync(join(folder, name), "utf8")) }));
  const files = steps.flatMap(({ name: step }) => {
    const report = join(folder, `${step}.json`);
    if (!existsSync(report)) return [];
    const { testResults = [] } = JSON.parse(readFileSync(report, "utf8"));
    return testResults.map(({ name, startTime, endTime }) => ({
      // Some steps test a copy of the checkout.
      name: `${step}: ${name.replace(/^.*[\\/](?=test[\\/])/u, "")}`,
      seconds: Math.round((endTime - startTime) / 1000),
    }));
  });
  const bySeconds = (a, b) => b.seconds - a.seconds;
  return { steps: steps.sort(bySeconds), files: files.sort(bySeconds) };
};

const inWords = (entries) => entries.map(({ name, seconds }) => `${name} ${seconds} s`).join(", ");

if (isMain(import.meta.url)) {
  const folder = process.argv[2] ?? ".";
  const { passed, failed, failedSteps, failures, skipped } = summary(folder);
  const { steps, files } = times(folder);
  if (steps.length > 0) console.log(`times: ${inWords(steps)}`);
  if (files.length > 0) console.log(`longest files: ${inWords(files.slice(0, 20))}`);
  for (const name of skipped) console.log(`skipped: ${name}`);
  for (const line of failures) console.log(`failed: ${line}`);
  if (failedSteps.length > 0) console.log(`failed: ${failedSteps.join(", ")}`);
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
}

import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, expect, test } from "vitest";

const script = fileURLToPath(new URL("../../scripts/ci-summary.mjs", import.meta.url));
const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
});

/** The last line that the script prints for a folder with these files, and the script's exit status. */
const summaryOf = async (
  files: Readonly<Record<string, string>>,
): Promise<[line: string | undefined, status: number]> => {
  const folder = await mkdtemp(join(tmpdir(), "foretoken-summary-"));
  folders.push(folder);
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return new Promise((resolve) => {
    execFile(process.execPath, [script, folder], (error, stdout) => {
      resolve([stdout.trimEnd().split("\n").at(-1), typeof error?.code === "number" ? error.code : 0]);
    });
  });
};

const report = (numPassedTests: number, numFailedTests: number): string =>
  JSON.stringify({ numPassedTests, numFailedTests });

test("adds tests and steps", async () => {
  const files = { "lint.status": "0\n", "test.status": "0\n", "test.json": report(41, 0) };
  expect(await summaryOf(files)).toEqual(["42 passed, 0 failed", 0]);
});

test("counts each failed test and each failed step", async () => {
  const files = { "lint.status": "1\n", "test.status": "1\n", "test.json": report(40, 2) };
  expect(await summaryOf(files)).toEqual(["40 passed, 3 failed", 1]);
});

test("counts a run that failed without a failed test, with a report and without one", async () => {
  const files = { "a.status": "1\n", "a.json": report(40, 0), "b.status": "137\n" };
  expect(await summaryOf(files)).toEqual(["40 passed, 2 failed", 1]);
});

test("names what was skipped, and why, before the sum", async () => {
  const assertionResults = [
    { status: "passed", fullName: "wasm adds" },
    { status: "skipped", fullName: "native: no C++ compiler found" },
  ];
  const folder = await mkdtemp(join(tmpdir(), "foretoken-summary-"));
  folders.push(folder);
  await writeFile(join(folder, "test.status"), "0\n");
  await writeFile(
    join(folder, "test.json"),
    JSON.stringify({ numPassedTests: 1, numFailedTests: 0, testResults: [{ assertionResults }] }),
  );
  const { stdout } = await promisify(execFile)(process.execPath, [script, folder]);
  expect(stdout).toBe("skipped: test: native: no C++ compiler found\n1 passed, 0 failed\n");
});

test("does not take nothing for success", async () => {
  expect(await summaryOf({})).toEqual(["0 passed, 0 failed", 1]);
});

test("names what failed, with the first line of its error", async () => {
  const assertionResults = [
    { status: "failed", fullName: "wasm adds", failureMessages: ["AssertionError: 3 is not 4\n    at add.test.ts:1"] },
  ];
  const testResults = [
    { assertionResults, status: "failed" },
    { assertionResults: [], status: "failed", name: "/a.test.ts", message: "cannot import\nb" },
  ];
  const folder = await mkdtemp(join(tmpdir(), "foretoken-summary-"));
  folders.push(folder);
  await writeFile(join(folder, "test.status"), "1\n");
  await writeFile(join(folder, "test.json"), JSON.stringify({ numPassedTests: 0, numFailedTests: 2, testResults }));
  const { stdout } = await promisify(execFile)(process.execPath, [script, folder]).catch((error) => error);
  expect(stdout).toBe(
    "failed: test: wasm adds: AssertionError: 3 is not 4\nfailed: test: /a.test.ts: cannot import\nfailed: test\n0 passed, 2 failed\n",
  );
});

test("gives the times of steps and files, longest first, before the sum", async () => {
  const folder = await mkdtemp(join(tmpdir(), "foretoken-summary-"));
  folders.push(folder);
  const testResults = [
    { name: join("/clone", "test", "a.test.ts"), startTime: 1000, endTime: 3100, assertionResults: [] },
    { name: join("/copy/of/clone", "test", "b.test.ts"), startTime: 2000, endTime: 9000, assertionResults: [] },
  ];
  for (const [name, text] of Object.entries({
    ...{ "lint.status": "0\n", "lint.seconds": "7\n", "test.status": "0\n", "test.seconds": "90\n" },
    "test.json": JSON.stringify({ numPassedTests: 2, numFailedTests: 0, testResults }),
  })) {
    await writeFile(join(folder, name), text);
  }
  const { stdout } = await promisify(execFile)(process.execPath, [script, folder]);
  expect(stdout.split("\n")).toEqual([
    "times: test 90 s, lint 7 s",
    `longest files: test: ${join("test", "b.test.ts")} 7 s, test: ${join("test", "a.test.ts")} 2 s`,
    "3 passed, 0 failed",
    "",
  ]);
});

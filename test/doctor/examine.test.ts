import { expect, test, vi } from "vitest";
import { openBackend } from "#foretoken/backend/select.node.js";
import { type DoctorReport, examine, titleOf } from "#foretoken/doctor/examine.node.js";
import { type Fault, faulty, wrongSign } from "./faulty.ts";

// Far more than any takes, for machines that are slow or busy.
vi.setConfig({ testTimeout: 60_000 });

/** Updates fail, too. */
const brokenTraining: Fault = (kernel, args, run, inner) => {
  if (kernel === "adamStep" && Number(args.n) > 1003) throw new Error("no update");
  wrongSign(kernel, args, run, inner);
};

test("goes on after a check that failed, and says what to do about each", async () => {
  const begun: string[] = [];
  const told: string[] = [];
  let report: DoctorReport | undefined;
  for await (const event of examine({
    backend: "wasm",
    threads: 1,
    open: async (name, options) => faulty(await openBackend(name, options), brokenTraining),
    memory: () => ({ bytes: 2 ** 31, container: null }),
  })) {
    if (event.type === "begin") begun.push(event.name);
    else if (event.type === "result") told.push(titleOf(event.result));
    else report = event.report;
  }
  expect(report?.ok).toBe(false);
  expect(report?.checks.map(titleOf)).toEqual(told);
  const failed = report?.checks.filter(({ status }) => status === "failed") ?? [];
  expect(failed.map(titleOf)).toEqual(["wasm: kernels", "wasm: gradients", "wasm: determinism", "speed of training"]);
  for (const { advice } of failed) expect(advice).toMatch(/^--backend native or --backend reference/u);
  expect(failed.slice(2).map(({ fact }) => fact)).toEqual(["no update", "no update"]);
  expect(report?.presets).toEqual([]);
  expect(begun).toEqual(expect.arrayContaining(told));
});

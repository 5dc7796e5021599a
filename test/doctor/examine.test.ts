import { expect, test, vi } from "vitest";
import { describeBackends, openBackend } from "#foretoken/backend/select.node.js";
import { type DoctorReport, examine, titleOf } from "#foretoken/doctor/examine.node.js";
import { type Fault, faulty, wrongSign } from "./faulty.ts";

// The time limit is far longer than any test takes, because a machine may be slow or busy.
vi.setConfig({ testTimeout: 60_000 });

/** Updates and large products also fail. */
const brokenTraining: Fault = (kernel, args, run, inner) => {
  if (kernel === "adamStep" && Number(args.n) > 1003) throw new Error("no update");
  if (kernel === "linearForward" && Number(args.n) === 768) throw new Error("no product");
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
  expect(failed.map(titleOf)).toEqual(["wasm: kernels", "wasm: gradients", "wasm: determinism", "wasm: speed"]);
  for (const { advice } of failed) expect(advice).toMatch(/^use --backend native or --backend reference/u);
  expect(failed.slice(2).map(({ fact }) => fact)).toEqual(["no update", "no product"]);
  expect(report).toMatchObject({ rates: null, presets: [] });
  expect(begun).toEqual(expect.arrayContaining(told));
});

test("has a backend that does not open as a failed check, and goes on with the other", async () => {
  const told: string[] = [];
  for await (const event of examine({
    threads: 1,
    open: async (name, options) => {
      if (name !== "wasm") throw new Error("no thread starts");
      return openBackend(name, options);
    },
    memory: () => ({ bytes: 2 ** 31, container: null }),
  })) {
    if (event.type !== "result") continue;
    const { status, fact } = event.result;
    told.push(`${titleOf(event.result)} ${status}${status === "failed" ? `: ${fact}` : ""}`);
    // The next checks take seconds.
    if (titleOf(event.result) === "wasm: kernels") break;
  }
  const { backends } = await describeBackends();
  const hasNative = backends.some(({ name, available }) => name === "native" && available);
  expect(told.filter((line) => /^(?:native|wasm):/u.test(line))).toEqual([
    ...(hasNative ? ["native: opens failed: no thread starts"] : []),
    "wasm: kernels ok",
  ]);
});

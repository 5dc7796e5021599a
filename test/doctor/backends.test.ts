import { expect, it } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import { kernelNames } from "#foretoken/backend/kernels/kernels.js";
import type { Verdict } from "#foretoken/doctor/check.js";
import { kernelChecker } from "#foretoken/doctor/kernels/agreement.js";
import { checkedKernels } from "#foretoken/doctor/kernels/cases.js";
import { checkDecoding } from "#foretoken/doctor/model/decoding.js";
import { gradientChecker } from "#foretoken/doctor/model/gradients.js";
import { checkMask } from "#foretoken/doctor/model/mask.js";
import { checkAccumulation, checkDeterminism } from "#foretoken/doctor/model/steps.js";
import {
  type Fault,
  faultyForm,
  forgetsOne,
  forgetsToAdd,
  leak,
  otherBits,
  writesBehind,
  wrongLastElement,
  wrongSign,
} from "./faulty.ts";

const kernels = kernelChecker();
const gradients = gradientChecker();

const advice = "do something";
const right: Fault = (kernel, args, run) => run(kernel, args);

const checkKernels = async (fault: Fault): Promise<Verdict> => {
  const backend: Backend = await faultyForm(fault).open(1);
  try {
    return await kernels([["float32", backend]], advice);
  } finally {
    await backend.close();
  }
};

it("has calls of every kernel", () => {
  expect([...checkedKernels].sort()).toEqual([...kernelNames].sort());
});

it("finds a wrong last element of every kernel's result, and names the first", async () => {
  expect(await checkKernels(right)).toMatchObject({ status: "ok", advice: null });
  const { status, fact, advice: said } = await checkKernels(wrongLastElement);
  expect({ status, said }).toEqual({ status: "failed", said: advice });
  expect(fact).toMatch(
    new RegExp(`^${kernelNames.length} of ${kernelNames.length} kernels wrong: fill .*y\\[0\\] of 1 is 77`, "u"),
  );
});

it("finds a kernel that writes behind the end of its result", async () => {
  const { status, fact } = await checkKernels(writesBehind("geluForward"));
  expect(status).toBe("failed");
  expect(fact).toMatch(/^1 of \d+ kernels wrong: geluForward .*wrote outside y, at 1 of 1, in float32$/u);
});

interface Planted {
  readonly name: string;
  readonly fault: () => Fault;
  readonly check: (fault: Fault) => Promise<Verdict>;
  readonly says: RegExp;
}

const planted: readonly Planted[] = [
  {
    name: "a gradient of a wrong sign",
    fault: () => wrongSign,
    check: (fault) => gradients([faultyForm(fault)], advice),
    says: /^\d+ of 27 parameters are wrong in GPT-2's shape: along blocks\.0\.\S+ the slope of the loss is \S+, but the gradient gives \S+ \(float32\)$/u,
  },
  {
    name: "a leak through the mask",
    fault: () => leak,
    check: (fault) => checkMask([faultyForm(fault)], advice),
    says: /^position 0 sees token 1, which comes after it, in GPT-2's shape \(float32\)$/u,
  },
  {
    name: "a cache that forgets a position",
    fault: forgetsOne,
    check: (fault) => checkDecoding([faultyForm(fault)], advice),
    says: /^after \d+ tokens \(the first \d+ in one pass\), the logits differ from the logits without the KV cache, in GPT-2's shape/u,
  },
  {
    name: "threads that give other bits",
    fault: () => otherBits,
    check: (fault) => checkDeterminism([faultyForm(fault, 2)], [2], advice),
    says: /^2 threads give other weights than the first run with 1 thread, after 3 steps in GPT-2's shape/u,
  },
  {
    name: "micro-batches that are not added up",
    fault: () => forgetsToAdd,
    check: (fault) => checkAccumulation([faultyForm(fault)], advice),
    says: /^the gradient of 4 micro-batches differs from the gradient of the whole batch by \S+ of its norm, in GPT-2's shape/u,
  },
];

it.each(planted)("finds $name", async ({ fault, check, says }) => {
  expect(await check(right)).toMatchObject({ status: "ok" });
  const { status, fact, advice: said } = await check(fault());
  expect(fact).toMatch(says);
  expect({ status, said }).toEqual({ status: "failed", said: advice });
});

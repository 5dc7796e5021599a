import { expect, it } from "vitest";
import { backward, trainingContext, withContext } from "#foretoken/autograd/context.js";
import { readScalar, readTensor } from "#foretoken/autograd/tensor.js";
import type { Backend } from "#foretoken/backend/backend.js";
import type { ProductDType } from "#foretoken/core/tensors/dtype.js";
import { distillation } from "#foretoken/ops/distillation.js";
import { forEachBackend } from "../support/backends.ts";
import { hashInteger, hashUniform } from "../support/hash.ts";

const [rows, vocabSize, channels] = [19, 70, 12] as const;
const random = (name: string, length: number): Float32Array =>
  Float32Array.from({ length }, (_, i) => hashUniform(name, i) * 2);

const targets = Int32Array.from({ length: rows }, (_, i) => (i % 7 === 3 ? -1 : hashInteger("target", i, vocabSize)));
const counted = targets.reduce((sum, id) => sum + (id < 0 ? 0 : 1), 0);

interface Case {
  /** Names of the teachers' numbers; the student's is "student". */
  readonly teachers: readonly string[];
  readonly weight: number;
  readonly temperature: number;
  readonly columns?: number;
}

interface Computed {
  readonly total: number;
  readonly parts: readonly number[];
  readonly dx: readonly number[];
  readonly dWeight: readonly number[];
}

const numbersOf = (name: string) => ({
  hidden: random(`hidden of ${name}`, rows * channels),
  weight: random(`weight of ${name}`, vocabSize * channels),
});

const computed = (backend: Backend, { teachers, columns, ...mix }: Case): Promise<Computed> =>
  withContext(trainingContext(backend, null), async (context) => {
    const { memory, tape } = context;
    const place = (name: string) => {
      const { hidden, weight } = numbersOf(name);
      return {
        hidden: memory.upload(hidden, [rows, channels]),
        head: { weight: memory.upload(weight, [vocabSize, channels]), bias: null },
      };
    };
    const { hidden: x, head } = place("student");
    const [dx, dWeight] = [x, head.weight].map((leaf) => {
      const gradient = memory.upload(new Float32Array((leaf.shape[0] as number) * channels), leaf.shape);
      tape.watch(leaf, gradient);
      return gradient;
    }) as [typeof x, typeof x];
    const taught = teachers.map((name) => ({ ...place(name), context: { ...context, tape: null } }));
    const ids = memory.upload(targets, [rows]);
    const loss = distillation(context, x, head, ids, taught, mix, columns);
    const total = await readScalar(backend, loss.total);
    const parts = Array.from(await readTensor(backend, loss.parts));
    backward(context, loss.total, 1 / counted);
    const [ofX, ofWeight] = await Promise.all(
      [dx, dWeight].map(async (one) => Array.from(await readTensor(backend, one))),
    );
    return { total, parts, dx: ofX ?? [], dWeight: ofWeight ?? [] };
  });

const softmax = (logits: readonly number[]): { readonly shares: number[]; readonly logs: number[] } => {
  const largest = Math.max(...logits);
  const logSum = largest + Math.log(logits.reduce((sum, z) => sum + Math.exp(z - largest), 0));
  const logs = logits.map((z) => z - logSum);
  return { shares: logs.map(Math.exp), logs };
};

/**
 * The same in float64, as one writes it with torch: cross_entropy(z, y, ignore_index=-1, reduction="sum") and
 * T² · kl_div(log_softmax(z / T), softmax(a / T), reduction="sum"), averaged over the teachers.
 */
const expected = ({ teachers, weight, temperature: t }: Case): Computed => {
  const logitsOf = (name: string, row: number): number[] => {
    const { hidden, weight: w } = numbersOf(name);
    return Array.from({ length: vocabSize }, (_, v) => {
      let z = 0;
      for (let c = 0; c < channels; c++) z += (hidden[row * channels + c] as number) * (w[v * channels + c] as number);
      return z;
    });
  };
  const { hidden: x, weight: w } = numbersOf("student");
  const parts = [0, 0] as [number, number];
  const dx = new Array<number>(rows * channels).fill(0);
  const dWeight = new Array<number>(vocabSize * channels).fill(0);
  for (const [row, target] of targets.entries()) {
    if (target < 0) continue;
    const z = logitsOf("student", row);
    const hard = softmax(z);
    const soft = softmax(z.map((one) => one / t));
    const taught = teachers.map((name) => softmax(logitsOf(name, row).map((one) => one / t)));
    parts[0] -= hard.logs[target] as number;
    for (const { shares, logs } of taught)
      shares.forEach((q, v) => {
        parts[1] += (t ** 2 * q * ((logs[v] as number) - (soft.logs[v] as number))) / taught.length;
      });
    for (let v = 0; v < vocabSize; v++) {
      const q = taught.reduce((sum, { shares }) => sum + (shares[v] as number), 0) / taught.length;
      const ofText = (hard.shares[v] as number) - (v === target ? 1 : 0);
      const dz = ((1 - weight) * ofText + weight * t * ((soft.shares[v] as number) - q)) / counted;
      for (let c = 0; c < channels; c++) {
        (dx[row * channels + c] as number) += dz * (w[v * channels + c] as number);
        (dWeight[v * channels + c] as number) += dz * (x[row * channels + c] as number);
      }
    }
  }
  return { total: (1 - weight) * parts[0] + weight * parts[1], parts, dx, dWeight };
};

const farthest = (one: readonly number[], other: readonly number[]): number =>
  Math.max(...one.map((value, i) => Math.abs(value - (other[i] ?? Number.NaN))));

const cases: readonly (readonly [string, Case])[] = [
  ["one teacher", { teachers: ["a"], weight: 0.5, temperature: 1 }],
  ["three teachers at temperature 2", { teachers: ["a", "b", "c"], weight: 0.7, temperature: 2 }],
  ["two teachers in ranges of the vocabulary", { teachers: ["a", "b"], weight: 0.9, temperature: 3, columns: 32 }],
  ["only the teachers", { teachers: ["a"], weight: 1, temperature: 0.5, columns: 64 }],
];

forEachBackend("the loss of a model with teachers", ({ open }) => {
  it.each(cases)("is the loss and the gradient of the formula: %s", async (_, one) => {
    const wanted = expected(one);
    const dtypes: readonly (readonly [ProductDType, number])[] = [
      ["float32", 2e-6],
      ["bfloat16", 2e-2],
    ];
    for (const [dtype, bound] of dtypes) {
      const backend = await open(2, dtype);
      const got = await computed(backend, one);
      expect(Math.abs(got.total / wanted.total - 1), dtype).toBeLessThan(10 * bound);
      for (const [i, part] of got.parts.entries())
        expect(Math.abs(part / (wanted.parts[i] as number) - 1), dtype).toBeLessThan(10 * bound);
      expect(farthest(got.dx, wanted.dx), dtype).toBeLessThan(bound);
      expect(farthest(got.dWeight, wanted.dWeight), dtype).toBeLessThan(bound);
      await backend.close();
    }
  });

  it("is exactly 0, with a gradient of exactly 0, where the teacher is the student", async () => {
    const backend = await open(2);
    for (const teachers of [["student"], ["student", "student"]]) {
      const { parts, total, dx, dWeight } = await computed(backend, {
        teachers,
        weight: 1,
        temperature: 2,
        columns: 16,
      });
      expect([parts[1], total]).toEqual([0, 0]);
      expect(new Set([...dx, ...dWeight].map(Math.abs))).toEqual(new Set([0]));
    }
    await backend.close();
  });

  it("refuses no teacher, and a teacher of another shape", async () => {
    const backend = await open(1);
    await expect(computed(backend, { teachers: [], weight: 1, temperature: 1 })).rejects.toThrow(
      "distillation: there must be a teacher; got none",
    );
    await backend.close();
  });
});

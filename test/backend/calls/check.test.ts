import { expect, test } from "vitest";
import type { Storage } from "#foretoken/backend/backend.js";
import type { StorageOwner } from "#foretoken/backend/calls/check.js";
import { checkAlloc, checkCall, checkRange, checkWrite } from "#foretoken/backend/calls/check.js";
import { DTypeError, ShapeError } from "#foretoken/core/errors/errors.js";

const live = new Set<Storage>();
const owner: StorageOwner = {
  name: "native",
  real: "float32",
  activations: "float32",
  owns: (storage) => live.has(storage),
};

const storage = (dtype: Storage["dtype"], length: number): Storage => {
  const made: Storage = { dtype, length };
  live.add(made);
  return made;
};
const reals = (length: number, offset = 0) => ({ storage: storage("float32", length), offset });
const ids = (length: number) => ({ storage: storage("int32", length), offset: 0 });

test("a call that fits passes, and its lengths come back", () => {
  const args = { x: reals(6), w: reals(12), bias: null, addend: null, y: reals(10, 2), m: 2, n: 4, k: 3 };
  expect(checkCall(owner, "linearForward", args)).toEqual({ x: 6, w: 12, bias: 4, addend: 8, y: 8 });
});

test("a short buffer is named, with what it must hold and what came", () => {
  const args = { x: reals(6), w: reals(12), bias: null, addend: null, y: reals(9, 2), m: 2, n: 4, k: 3 };
  expect(() => checkCall(owner, "linearForward", args)).toThrow(
    new ShapeError({
      where: "linearForward",
      must: "y must hold 8 elements from offset 2",
      got: "a storage of 9",
    }),
  );
});

test.for([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY])("offset %d is refused", (offset) => {
  expect(() => checkCall(owner, "fill", { y: reals(8, offset), n: 1, value: 0 })).toThrow(/fill: y's offset must be/);
});

test.for([-1, 0.5, 2 ** 31, Number.NaN, Number.POSITIVE_INFINITY])("size %d is refused", (n) => {
  expect(() => checkCall(owner, "fill", { y: reals(8), n, value: 0 })).toThrow(/fill: n must be a whole number from 0/);
});

test("sizes whose product is past every integer do not wrap around", () => {
  const huge = 2 ** 31 - 1;
  const args = { x: reals(8), w: reals(8), bias: null, addend: null, y: reals(8), m: huge, n: huge, k: huge };
  expect(() => checkCall(owner, "linearForward", args)).toThrow(ShapeError);
});

test("words of a random key may be any 32 bits, signed or not", () => {
  const buffers = { x: reals(2), w: reals(2), bias: null, addend: reals(4), kept: ids(1), y: reals(4) };
  const others = { m: 2, n: 2, k: 1, key1: 0, key2: 0, key3: 0, site: 0, p: 0.1 };
  const call = (key0: number) => checkCall(owner, "linearDropoutForward", { ...buffers, ...others, key0 });
  for (const word of [-(2 ** 31), -1, 0, 2 ** 32 - 1]) expect(() => call(word)).not.toThrow();
  for (const word of [-(2 ** 31) - 1, 2 ** 32, 0.5]) expect(() => call(word)).toThrow(/key0 must be/);
});

test("a real that is not given is refused", () => {
  const args = { y: reals(4), n: 4, value: undefined as unknown as number };
  expect(() => checkCall(owner, "fill", args)).toThrow("fill: value must be a number; got undefined");
});

test("element types are checked, and only optional buffers may be absent", () => {
  const sizes = { rows: 2, columns: 4, first: 0, vocabSize: 4 };
  const args = { logits: reals(8), targets: ids(2), losses: reals(2), logSumExp: reals(2), ...sizes };
  expect(() => checkCall(owner, "crossEntropyForward", args)).not.toThrow();
  expect(() => checkCall(owner, "crossEntropyForward", { ...args, targets: reals(2) })).toThrow(
    new DTypeError({ where: "crossEntropyForward", must: "targets must be int32", got: "float32" }),
  );
  expect(() => checkCall(owner, "crossEntropyForward", { ...args, logits: ids(8) })).toThrow(DTypeError);
  const absent = { ...args, logits: null as unknown as ReturnType<typeof reals> };
  expect(() => checkCall(owner, "crossEntropyForward", absent)).toThrow(/logits must be given; got null/);
});

test("a rotary embedding has pairs of elements, and norms for both q and k or for neither", () => {
  const heads = { heads: 1, keyHeads: 1, headDim: 4, rotaryDim: 4 };
  const sizes = { rows: 2, time: 2, ...heads, start: 1, tableRows: 3, together: 0, eps: 1e-5 };
  const table = { cos: reals(6), sin: reals(6), places: null };
  const args = { x: reals(24), gammaQ: reals(4), gammaK: reals(4), ...table, y: reals(24), rstd: reals(4), ...sizes };
  expect(() => checkCall(owner, "rotaryForward", args)).not.toThrow();
  expect(() => checkCall(owner, "rotaryForward", { ...args, gammaQ: null, gammaK: null })).not.toThrow();
  expect(() => checkCall(owner, "rotaryForward", { ...args, gammaK: null })).toThrow(
    "rotaryForward: gammaQ and gammaK must both be given or both be null; got null only for gammaK",
  );
  expect(() =>
    checkCall(owner, "rotaryForward", { ...args, heads: 2, keyHeads: 1, x: reals(32), together: 1 }),
  ).toThrow(/gammaQ must hold 8 elements/);
  expect(() => checkCall(owner, "rotaryForward", { ...args, headDim: 3 })).toThrow(/headDim must be even; got 3/);
  expect(() => checkCall(owner, "rotaryForward", { ...args, tableRows: 4 })).toThrow(/cos must hold 8 elements/);
  expect(() => checkCall(owner, "rotaryForward", { ...args, start: 2 })).toThrow(
    "rotaryForward: time 2 to 3 must be below tableRows; got 3",
  );
  expect(() => checkCall(owner, "rotaryForward", { ...args, rotaryDim: 6 })).toThrow(
    "rotaryForward: rotaryDim must be at most headDim; got 6 and 4",
  );
  expect(() => checkCall(owner, "rotaryForward", { ...args, rotaryDim: 1 })).toThrow(/rotaryDim must be even; got 1/);
  expect(() => checkCall(owner, "rotaryForward", { ...args, places: reals(2) })).toThrow(/places must be int32/);
});

test("an output shares memory only with the buffers that the kernel allows", () => {
  const whole = storage("float32", 8);
  const at = (offset: number) => ({ storage: whole, offset });
  expect(() => checkCall(owner, "add", { a: at(0), b: at(4), y: at(0), n: 4 })).not.toThrow();
  expect(() => checkCall(owner, "sum", { x: at(0), y: at(4), n: 4 })).not.toThrow();
  expect(() => checkCall(owner, "sum", { x: at(0), y: at(3), n: 4 })).toThrow(
    "sum: y and x must not share memory; got elements from 3 to 3 and from 0 to 3 of one storage",
  );
  const norm = { x: at(0), gamma: reals(4), rows: 1, channels: 4, eps: 1e-5 };
  expect(() => checkCall(owner, "rmsNormForward", { ...norm, y: at(4), rstd: at(3) })).toThrow(/rstd and x must not/);
  expect(() => checkCall(owner, "rmsNormForward", { ...norm, y: at(4), rstd: at(7) })).toThrow(/y and rstd must not/);
});

test("storages that were freed or are another backend's are refused", () => {
  const freed = reals(4);
  live.delete(freed.storage);
  expect(() => checkCall(owner, "fill", { y: freed, n: 1, value: 0 })).toThrow(
    "fill: y: the storage must be live and belong to the native backend; got a freed storage, or a storage of another backend",
  );
  expect(() => checkRange(owner, "read", freed.storage, 0, 1)).toThrow(ShapeError);
  expect(() => checkWrite(owner, freed.storage, new Float32Array(1), 0)).toThrow(ShapeError);
});

test("sizes that would divide by zero or leave a table without rows are refused", () => {
  const embedding = {
    ids: ids(2),
    tokens: reals(8),
    positions: null,
    places: null,
    y: reals(8),
    rows: 2,
    channels: 4,
    start: 0,
    scale: 1,
  };
  const call = (time: number, vocabSize: number) =>
    checkCall(owner, "embeddingForward", { ...embedding, time, vocabSize, positionRows: 1 });
  expect(() => call(1, 2)).not.toThrow();
  expect(() => call(0, 2)).toThrow("embeddingForward: time must be at least 1; got 0");
  expect(() => call(1, 0)).toThrow("embeddingForward: vocabSize must be at least 1; got 0");
  const loss = { logits: reals(4), targets: ids(2), losses: reals(2), logSumExp: reals(2), rows: 2 };
  const range = (columns: number, first: number, vocabSize: number) =>
    checkCall(owner, "crossEntropyForward", { ...loss, columns, first, vocabSize });
  expect(() => range(2, 3, 5)).not.toThrow();
  expect(() => range(0, 0, 0)).toThrow(/columns must be at least 1/);
  expect(() => range(2, 4, 5)).toThrow("crossEntropyForward: columns 4 to 5 must be below vocabSize; got 5");
});

test("a product that is multiplied by a factor is added to nothing", () => {
  const args = { dy: reals(2), w: reals(4), factor: null, dx: reals(2), m: 1, n: 2, k: 2 };
  const scaled = { ...args, factor: reals(2) };
  expect(() => checkCall(owner, "linearBackwardInput", { ...args, add: 1 })).not.toThrow();
  expect(() => checkCall(owner, "linearBackwardInput", { ...scaled, add: 0 })).not.toThrow();
  expect(() => checkCall(owner, "linearBackwardInput", { ...scaled, add: 1 })).toThrow(
    "linearBackwardInput: add must be 0 if there is a factor; got 1",
  );
});

test("gradients of attention are those of a whole sequence", () => {
  const heads = { heads: 1, keyHeads: 1, headDim: 4, rows: 0, keyRows: 0 };
  const sizes = { batch: 1, queries: 1, start: 1, ...heads, queryStride: 4, queryBatchStride: 4 };
  const more = {
    keyStride: 4,
    keyBatchStride: 8,
    key0: 0,
    key1: 0,
    key2: 0,
    key3: 0,
    site: 0,
    causal: 1,
    window: 0,
    scale: 1,
    p: 0,
  };
  const inputs = { q: reals(4), k: reals(8), v: reals(8) };
  const buffers = { ...inputs, dOut: reals(4), out: reals(4), logSumExp: reals(1), kept: null, segments: null };
  const gradients = { dq: reals(4), dk: reals(8), dv: reals(8) };
  expect(() => checkCall(owner, "attentionBackward", { ...sizes, ...more, ...buffers, ...gradients })).toThrow(
    "attentionBackward: start must be 0; got 1",
  );
  const results = { out: reals(4), logSumExp: reals(1) };
  const forward = { ...sizes, ...more, ...inputs, ...results, segments: null, pages: null, pageCount: 0 };
  expect(() => checkCall(owner, "attentionForward", { ...forward, kept: null })).not.toThrow();
  expect(() => checkCall(owner, "attentionForward", { ...forward, kept: ids(1) })).toThrow(
    "attentionForward: start must be 0 if the mask is kept; got 1",
  );
});

test("heads of keys divide those of queries, and segments say how many rows there are", () => {
  const heads = { heads: 4, keyHeads: 2, headDim: 2, rows: 0, keyRows: 0 };
  const key = { key0: 0, key1: 0, key2: 0, key3: 0, site: 0 };
  const strides = { queryStride: 8, queryBatchStride: 8, keyStride: 4, keyBatchStride: 4 };
  const sizes = { batch: 1, queries: 1, start: 0, ...heads, ...strides, ...key, causal: 1, window: 0, scale: 1, p: 0 };
  const buffers = { q: reals(8), k: reals(4), v: reals(4), out: reals(8), logSumExp: reals(4) };
  const args = { ...sizes, ...buffers, kept: null, segments: null, pages: null, pageCount: 0 };
  const call = (changes: Readonly<Record<string, unknown>>) =>
    checkCall(owner, "attentionForward", { ...args, ...changes });
  expect(() => call({})).not.toThrow();
  expect(() => call({ keyHeads: 3 })).toThrow("attentionForward: heads must be a multiple of keyHeads; got 4 and 3");
  expect(() => call({ keyHeads: 0 })).toThrow("attentionForward: keyHeads must be at least 1; got 0");
  expect(() => call({ rows: 1 })).toThrow("attentionForward: rows must be 0 if segments is null; got 1");
  expect(() => call({ pages: ids(1), pageCount: 1 })).toThrow(
    "attentionForward: segments must be given if pages is given; got null for segments",
  );
  expect(() => call({ causal: 2 })).toThrow("attentionForward: causal must be 0 or 1; got 2");
  expect(() => call({ window: 3 })).not.toThrow();
  expect(() => call({ window: -1 })).toThrow("window must be a whole number from 0 to 2147483647; got -1");
  expect(() => call({ causal: 0, window: 3 })).toThrow("window must be 0 if causal is 0; got 3");
  for (const p of [-1, 1, Number.NaN]) expect(() => call({ p })).toThrow(`p must be at least 0 and below 1; got ${p}`);
  const segments = ids(4);
  expect(() => call({ segments, rows: 1, keyRows: 1 })).not.toThrow();
  expect(() => call({ segments, keyRows: 1 })).toThrow("rows must be at least 1 if segments is given; got 0");
  expect(() => call({ segments, rows: 2, keyRows: 1 })).toThrow(/q must hold 16 elements/);
  expect(() => call({ segments, rows: 1, keyRows: 2 })).toThrow(/k must hold 8 elements/);
  expect(() => call({ segments, rows: 1, keyRows: 1, batch: 2 })).toThrow(/segments must hold 8 elements/);
  expect(() => call({ segments, rows: 1, keyRows: 1, start: 1 })).toThrow("start must be 0 if segments have their own");
  expect(() => call({ segments, rows: 1, keyRows: 1, kept: ids(4) })).toThrow(
    "one of segments and kept must be null; got both",
  );
});

test("alloc takes whole lengths of the types that the backend computes in", () => {
  expect(() => checkAlloc(owner, "float32", 0)).not.toThrow();
  expect(() => checkAlloc(owner, "int32", 7)).not.toThrow();
  expect(() => checkAlloc(owner, "float64", 7)).toThrow(/alloc: the element type must be float32 or int32/);
  for (const length of [-1, 1.5, Number.NaN, 2 ** 53])
    expect(() => checkAlloc(owner, "float32", length)).toThrow(ShapeError);
});

test("reads and writes stay within the storage and its type", () => {
  const four = storage("float32", 4);
  expect(() => checkRange(owner, "read", four, 1, 3)).not.toThrow();
  expect(() => checkRange(owner, "read", four, 2, 3)).toThrow(
    "read: the elements must lie within the storage's 4 elements; got 3 from offset 2",
  );
  for (const [offset, length] of [
    [-1, 1],
    [0.5, 1],
    [0, -1],
    [0, Number.NaN],
  ] as const) {
    expect(() => checkRange(owner, "read", four, offset, length)).toThrow(ShapeError);
  }
  expect(() => checkWrite(owner, four, new Float32Array(4), 0)).not.toThrow();
  expect(() => checkWrite(owner, four, new Float32Array(4), 1)).toThrow(ShapeError);
  expect(() => checkWrite(owner, four, new Int32Array(4), 0)).toThrow("write: the data must be float32; got int32");
  expect(() => checkWrite(owner, four, new Uint16Array(4), 0)).toThrow("write: the data must be float32; got bfloat16");
  expect(() => checkWrite(owner, four, new Uint8Array(4) as unknown as Float32Array, 0)).toThrow(DTypeError);
});

/** Predicts efficiency, batch sizes and memory for many machines, with the model of the step's time. */
import { modelOf, sentIn, stepTime } from "./model.mjs";

/** Models of three sizes. Each size has a usual context length, vocabulary size and number of tokens per step. */
export const sizes = [
  { name: "10 M", shape: { nLayer: 6, nEmbd: 384, contextLength: 256 }, vocabSize: 65, batchTokens: 2 ** 17 },
  { name: "100 M", shape: { nLayer: 12, nEmbd: 768, contextLength: 1024 }, vocabSize: 8192, batchTokens: 2 ** 19 },
  { name: "1 B", shape: { nLayer: 24, nEmbd: 1792, contextLength: 1024 }, vocabSize: 16_384, batchTokens: 2 ** 20 },
];

/** The number of ranks is a power of two. */
export const machineCounts = [8, 64, 1024];

export const networks = [1, 10, 100].flatMap((gigabits) =>
  [10, 100].map((microseconds) => ({ gigabits, microseconds })),
);

/** Tokens of a pass (src/trainer/passes.ts). */
const tokensPerPass = 4096;

/** Before a long message, Open MPI sends a request and waits for an answer. So three messages cross the network. */
const crossings = 3;

/** A machine like the measured machine. One rank uses all its cores. */
const factsOf = ({ shape, vocabSize }, machine, dtype, ranks, tokens, { gigabits, microseconds }) => {
  const facts = modelOf(shape, vocabSize);
  return {
    ...facts,
    ...sentIn(facts.parameters, ranks),
    ...{ dtype, ranks, tokens, passes: Math.max(1, Math.ceil(tokens / tokensPerPass)) },
    ...{ ranksPerCore: 1, coresOfRank: machine.cores, severalCores: machine.cores > 1, isTcp: true },
    bytesPerSecond: (gigabits * 1e9) / 8,
    latency: (crossings * microseconds) / 1e6,
  };
};

/**
 * Tokens per second of N machines, divided by N × the tokens per second of one machine. The number of tokens per
 * machine and step does not depend on N.
 */
export const efficiencyOf = (coefficients, machine, size, dtype, ranks, tokens, network) => {
  const time = (number) => stepTime(coefficients, factsOf(size, machine, dtype, number, tokens, network)).total;
  return time(1) / time(ranks);
};

/**
 * Speedup of N machines over one machine for a step of `batchTokens` tokens; NaN if there are fewer windows than
 * machines.
 */
export const speedupOf = (coefficients, machine, size, dtype, ranks, network) => {
  const tokens = size.batchTokens / ranks;
  if (tokens < size.shape.contextLength) return Number.NaN;
  const time = (number) =>
    stepTime(coefficients, factsOf(size, machine, dtype, number, size.batchTokens / number, network)).total;
  return time(1) / time(ranks);
};

/**
 * Minimum number of tokens per machine and step for this efficiency. The number is a power of two, or Infinity if 2³⁰
 * tokens are not enough.
 */
export const tokensFor = (coefficients, machine, size, dtype, ranks, network, efficiency) => {
  for (let tokens = size.shape.contextLength; tokens <= 2 ** 30; tokens *= 2) {
    if (efficiencyOf(coefficients, machine, size, dtype, ranks, tokens, network) >= efficiency) return tokens;
  }
  return Number.POSITIVE_INFINITY;
};

/**
 * Bytes that a rank needs during the whole run: weights and their bfloat16 copy, gradients of one pass, and the rank's
 * part of the moments.
 */
export const memoryOf = ({ shape, vocabSize }, ranks) => modelOf(shape, vocabSize).parameters * (4 + 2 + 4 + 8 / ranks);

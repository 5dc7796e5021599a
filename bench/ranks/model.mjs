/**
 * The time of a training step on several ranks, from a few coefficients:
 *
 *     step     = slow × (compute + update + handling) + waiting
 *     compute  = tokens × (FLOP of a token × perFlop + channels of all layers × perActivation) + passes × layers × perLayer
 *     update   = parameters × (perParameter + perOwnParameter / N)
 *     handling = bytes × perByte + messages × perMessage, over TCP also bytes × perTcpByte
 *     idle     = bytes / bandwidth + rounds × latency / ranks per core − handling, if that is more than 0
 *     waiting  = (1 − hidden) × idle + the part of hidden × idle that exceeds the backward part of the last pass
 *     slow     = ranks per core, × (1 + sharing) if that is more than 1, × (1 + contention) if several cores compute
 *
 * Bytes and messages are the amounts that one rank sends. Tokens and passes are one rank's share. A round is a set of
 * messages that are sent at the same time. Bandwidth and latency are given, not fitted.
 */
import { fitLogarithms } from "./least-squares.mjs";

/**
 * Number of elements that are summed together (src/trainer/owners.ts). From it follows the number of messages, which is
 * compared with the counted number.
 */
export const bucketElements = 2 ** 20;

/** Maximum number of sums at the same time (native/mpi/engine.h). */
const sumsAtATime = 4;

/** The backward pass computes two products for each product of the forward pass. */
const backwardShare = 2 / 3;

/** Parameters and FLOP of a model with the architecture of the reference model. */
export const modelOf = ({ nLayer, nEmbd, contextLength }, vocabSize) => {
  const blocks = 12 * nLayer * nEmbd ** 2;
  const head = vocabSize * nEmbd;
  return {
    layers: nLayer,
    activations: nLayer * nEmbd,
    parameters: blocks + (10 * nLayer + 2) * nEmbd + 2 * head + contextLength * nEmbd,
    // On average, a query sees half of the context.
    flopsPerToken: 6 * (blocks + head) + 6 * nLayer * nEmbd * contextLength,
  };
};

/**
 * Bytes, messages and rounds of messages that a rank sends in a step. Gradients are summed by recursive halving, bucket
 * by bucket. Vectors have their own bucket. New weights are sent back in the same way. The loss and the parts of the
 * norm need one message for each level of the halving.
 */
export const sentIn = (parameters, ranks) => {
  if (ranks === 1) return { bytes: 0, messages: 0, rounds: 0 };
  const gradients = 4 * parameters;
  const levels = Math.log2(ranks);
  const buckets = Math.ceil(parameters / bucketElements) + 1;
  return {
    bytes: ((2 * (ranks - 1)) / ranks) * gradients,
    messages: levels * (2 * buckets + 2),
    rounds: levels * (2 * Math.ceil(buckets / sumsAtATime) + 2),
  };
};

/** Start values of the search: the order of magnitude of each coefficient, in seconds. */
const beginnings = {
  perFlopFloat32: 5e-12,
  perFlopBfloat16: 1e-12,
  perActivationFloat32: 3e-9,
  perActivationBfloat16: 1e-9,
  perLayer: 1e-4,
  perParameter: 1e-9,
  perOwnParameter: 1e-9,
  perByte: 5e-10,
  perTcpByte: 5e-10,
  perMessage: 2e-4,
  contention: 0.05,
  sharing: 0.05,
};

const ofDtype = (coefficients, dtype) =>
  dtype === "bfloat16"
    ? { perFlop: coefficients.perFlopBfloat16, perActivation: coefficients.perActivationBfloat16 }
    : { perFlop: coefficients.perFlopFloat32, perActivation: coefficients.perActivationFloat32 };

/** Coefficients for an estimate of the step's time before the first measurement. */
export const roughCoefficients = { ...beginnings, hidden: 0 };

/**
 * Seconds of a step, and of its parts.
 * @param coefficients from `fitModel`.
 * @param one a case: `ranks`, `ranksPerCore` (at least 1), `coresOfRank` (compute is divided by it), `severalCores`
 * (whether several cores of the machine compute), `tokens`, `passes`, `dtype`, the fields of `modelOf` and of `sentIn`,
 * `isTcp`, `bytesPerSecond` (Infinity: no limit), `latency` of a round.
 */
export const stepTime = (coefficients, one) => {
  const { perLayer, perParameter, perOwnParameter, perByte, perTcpByte, perMessage, hidden } = coefficients;
  const { perFlop, perActivation } = ofDtype(coefficients, one.dtype);
  const shared = one.ranksPerCore > 1 ? one.ranksPerCore * (1 + coefficients.sharing) : 1;
  const slow = shared * (one.severalCores ? 1 + coefficients.contention : 1);
  const perToken = one.flopsPerToken * perFlop + one.activations * perActivation;
  const compute = slow * ((one.tokens * perToken) / one.coresOfRank + one.passes * one.layers * perLayer);
  const update = slow * one.parameters * (perParameter + perOwnParameter / one.ranks);
  const tcpWork = one.isTcp ? slow * one.bytes * perTcpByte : 0;
  const handling = slow * (one.bytes * perByte + one.messages * perMessage) + tcpWork;
  // While the network sends bytes, the core handles other bytes. Ranks that share a core wait for their messages at the
  // same time.
  const idle = Math.max(0, one.bytes / one.bytesPerSecond + (one.rounds * one.latency) / one.ranksPerCore - handling);
  const window = (backwardShare * compute) / one.passes;
  const waiting = (1 - hidden) * idle + Math.max(0, hidden * idle - window);
  return { compute, update, handling, waiting, total: compute + update + handling + waiting };
};

const names = Object.keys(beginnings);

const coefficientsOf = (x, hidden) => ({
  ...Object.fromEntries(names.map((name, i) => [name, Math.exp(x[i])])),
  hidden,
});

/**
 * Fits the coefficients to measured steps by least squares. The fit uses the logarithms of the times, so relative
 * errors count.
 * @param measured cases as for `stepTime`, with `seconds`.
 */
export const fitModel = (measured) => {
  const start = names.map((name) => Math.log(beginnings[name]));
  const fitWith = (hidden) => {
    const residuals = (x) => {
      const coefficients = coefficientsOf(x, hidden);
      return measured.map((one) => Math.log(stepTime(coefficients, one).total / one.seconds));
    };
    return { hidden, ...fitLogarithms(residuals, start) };
  };
  const best = (fits) => fits.reduce((one, other) => (other.cost < one.cost ? other : one));
  // The maximum of two times has a kink, at which a search would stop. So several values of the hidden share are tried
  // one by one.
  const tenths = best(Array.from({ length: 11 }, (_, i) => fitWith(i / 10)));
  const between = [-0.05, 0.05].map((more) => Math.min(1, Math.max(0, tenths.hidden + more)));
  const { x, hidden } = best([tenths, ...between.map(fitWith)]);
  return coefficientsOf(x, hidden);
};

/** Makes the tables of docs/scaling.md and of the terminal from the results file. */
import { machineLine } from "../lib/machine.mjs";
import { count, digits, markdownTable, median, percent } from "../lib/statistics.mjs";
import { cases, keyOf } from "./cases.mjs";
import { networkName } from "./launch.mjs";
import { factsOf, vocabSize } from "./measure.mjs";
import { bucketElements, fitModel, modelOf, sentIn, stepTime } from "./model.mjs";
import { machineCounts, memoryOf, networks, sizes, speedupOf, tokensFor } from "./predictions.mjs";
import { sumCosts, sumRows, sumTitles } from "./sum-table.mjs";

/** Maximum relative error of the prediction for a checked case. */
export const mostError = 0.15;

/** A case in one line. */
export const caseName = ({ model, batch, dtype, ranks, network }) => {
  const place = ranks === 1 ? "1 rank" : `${ranks} ranks, ${networkName(network)}`;
  return `${model}, ${dtype}, ${batch} step, ${place}`;
};

/** Fits the model to the cases that are marked for fitting, and predicts all cases. */
export const fitCases = (results) => {
  const measured = cases.flatMap((one) => {
    const found = results.cases.find((other) => keyOf(other) === keyOf(one));
    return found === undefined ? [] : [{ ...found, fitted: one.fitted }];
  });
  const facts = (one) => ({ ...factsOf(one, one.ranks === 1 ? undefined : one.sent), seconds: one.seconds });
  const coefficients = fitModel(measured.filter(({ fitted }) => fitted).map(facts));
  const rows = measured.map((one) => {
    const predicted = stepTime(coefficients, facts(one));
    return { ...one, facts: facts(one), predicted, error: predicted.total / one.seconds - 1 };
  });
  return { machine: results.machine, coefficients, rows };
};

const signed = (share) => `${share < 0 ? "−" : "+"}${Math.abs(100 * share).toFixed(1)}%`;
const milliseconds = (seconds) => digits(1000 * seconds);

const rowOf = ({ seconds, predicted, error, model, batch, dtype, ranks, network }) => [
  caseName({ model, batch, dtype, ranks, network }),
  milliseconds(seconds),
  milliseconds(predicted.total),
  signed(error),
];

/** All cases for a terminal. */
export const caseTable = ({ rows }) => [
  ["case", "ms", "model, ms", "error", "compute", "update", "handling", "waiting", "MB sent", "messages", ""],
  ...rows.map((one) => [
    ...rowOf(one),
    ...["compute", "update", "handling", "waiting"].map((part) => milliseconds(one.predicted[part])),
    digits(one.sent.bytes / 1e6),
    digits(one.sent.messages),
    one.fitted ? "fitted" : Math.abs(one.error) > mostError ? "checked: TOO FAR" : "checked",
  ]),
];

const errorsOf = (rows) => rows.map(({ error }) => Math.abs(error));
const worstAndMedian = (rows) =>
  rows.length === 0
    ? "none"
    : `${rows.length} cases: median ${percent(median(errorsOf(rows)))}, worst ${(100 * Math.max(...errorsOf(rows))).toFixed(1)}%`;

export const checkLine = ({ rows }) => {
  const [fitted, checked] = [rows.filter((one) => one.fitted), rows.filter((one) => !one.fitted)];
  const far = checked.filter(({ error }) => Math.abs(error) > mostError).length;
  return [
    `Error on the fitted ${worstAndMedian(fitted)}.`,
    `Error on the checked ${worstAndMedian(checked)};`,
    far === 0 ? `none above ${percent(mostError)}.` : `${far} above ${percent(mostError)}.`,
  ].join(" ");
};

/** Counted messages and bytes, and the messages and bytes that the predictions assume. */
export const sentLine = ({ rows }) => {
  const several = rows.filter(({ ranks }) => ranks > 1);
  const shares = (name) => {
    const all = several.map((one) => one.sent[name] / sentIn(one.facts.parameters, one.ranks)[name]);
    return `${Math.min(...all).toFixed(3)} to ${Math.max(...all).toFixed(3)}`;
  };
  if (several.length === 0) return "Nothing was sent.";
  return `The bytes that a rank sends are ${shares("bytes")} times 2 (N − 1) / N × the bytes of the gradients. The number of its messages is ${shares("messages")} times the number in the formula.`;
};

const coefficientRows = (c) => {
  const rate = (seconds) => `${digits(1 / seconds / 1e9)} GFLOP/s`;
  const nano = (seconds, of) => `${digits(1e9 * seconds)} ns ${of}`;
  const throughput = (seconds) => `${digits(1 / seconds / 1e9)} GB/s`;
  return [
    ["products, float32, one core", rate(c.perFlopFloat32)],
    ["products, bfloat16, one core", rate(c.perFlopBfloat16)],
    ["everything between products, float32", nano(c.perActivationFloat32, "per token, layer and channel")],
    ["everything between products, bfloat16", nano(c.perActivationBfloat16, "per token, layer and channel")],
    ["calls and reading weights, for each layer of a pass", `${digits(1e6 * c.perLayer)} µs`],
    ["part of clearing, norm and update that every rank does", nano(c.perParameter, "per parameter")],
    ["part of the update that is divided between the ranks", nano(c.perOwnParameter, "per parameter of the rank")],
    ["copying and adding what is sent and received", throughput(c.perByte)],
    ["additional work for TCP", throughput(c.perTcpByte)],
    ["work for a message", `${digits(1e6 * c.perMessage)} µs`],
    ["additional time if both cores compute", signed(c.contention)],
    ["additional time if ranks share a core, besides the time for the other ranks", signed(c.sharing)],
    ["share of communication that can be hidden", percent(c.hidden)],
  ];
};

const casesSection = (fitted) => {
  const part = (wanted) =>
    markdownTable([
      ["", "step, ms", "model, ms", "error"],
      ...fitted.rows.filter((one) => one.fitted === wanted).map(rowOf),
    ]);
  return `${checkLine(fitted)} ${sentLine(fitted)}\n\nChecked, not fitted:\n\n${part(false)}\nFitted:\n\n${part(true)}`;
};

const networkTitle = ({ gigabits, microseconds }) => `${gigabits} Gbit/s, ${microseconds} µs`;

/** The dtype of the predictions: the fastest measured dtype. */
const dtypeOf = (rows) => (rows.some(({ dtype }) => dtype === "bfloat16") ? "bfloat16" : "float32");

const paysSection = ({ coefficients, machine, rows: measured }) => {
  const dtype = dtypeOf(measured);
  const rows = sizes.flatMap((size) =>
    machineCounts.map((ranks) => [
      `${size.name}, ${count(size.batchTokens)} tokens a step, ${count(ranks)} machines`,
      ...networks.map((network) => {
        const speedup = speedupOf(coefficients, machine, size, dtype, ranks, network);
        return Number.isNaN(speedup)
          ? "fewer windows than machines"
          : `${digits(speedup)}× (${percent(speedup / ranks)})`;
      }),
    ]),
  );
  return `The dtype is ${dtype}. Each cell has the speed of all machines together, divided by the speed of one machine. The number in brackets is the efficiency: this ratio divided by the number of machines.\n\n${markdownTable([["", ...networks.map(networkTitle)], ...rows])}`;
};

/** The efficiency that the table of batches requires. */
const wanted = 0.8;

const batchSection = ({ coefficients, machine, rows: measured }) => {
  const dtypes = [...new Set(measured.map(({ dtype }) => dtype))];
  const slow = networks.filter(({ microseconds }) => microseconds === 100);
  const rows = sizes.flatMap((size) =>
    machineCounts.map((ranks) => [
      `${size.name}, ${count(ranks)} machines`,
      ...dtypes.flatMap((dtype) =>
        slow.map((network) => {
          const tokens = tokensFor(coefficients, machine, size, dtype, ranks, network, wanted);
          return Number.isFinite(tokens) ? count(tokens) : "none";
        }),
      ),
    ]),
  );
  const titles = dtypes.flatMap((dtype) => slow.map(({ gigabits }) => `${dtype}, ${gigabits} Gbit/s`));
  return `The table has the smallest number of tokens per machine and step for an efficiency of ${percent(wanted)}, as a power of two (latency 100 µs):\n\n${markdownTable([["", ...titles], ...rows])}`;
};

const memorySection = () => {
  const counts = [1, ...machineCounts];
  const rows = sizes.map((size) => [
    `${size.name} (${count(modelOf(size.shape, size.vocabSize).parameters / 1e6)} million)`,
    ...counts.map((ranks) => `${digits(memoryOf(size, ranks) / 1e9)} GB`),
  ]);
  return markdownTable([
    ["parameters", ...counts.map((ranks) => (ranks === 1 ? "1 rank" : `${count(ranks)} ranks`))],
    ...rows,
  ]);
};

const sumsSection = ({ sums, baby = [] }) =>
  sums === undefined ? "Not measured.\n" : markdownTable([sumTitles, ...sumRows(sums)]) + sumCosts(sums, baby);

/** The Markdown of each section, by the name in its marks. */
export const sections = (results) => {
  const fitted = fitCases(results);
  const { instructionSet } = fitted.rows[0];
  return {
    "scaling-machine": `${machineLine(results.machine)}; the native kernels use \`${instructionSet}\`; a vocabulary of ${vocabSize} characters; gradients are summed ${(4 * bucketElements) / 2 ** 20} MiB at a time.\n`,
    "scaling-model": markdownTable([["", "fitted"], ...coefficientRows(fitted.coefficients)]),
    "scaling-cases": casesSection(fitted),
    "scaling-pays": paysSection(fitted),
    "scaling-batch": batchSection(fitted),
    "scaling-memory": memorySection(),
    "scaling-sums": sumsSection(results),
  };
};

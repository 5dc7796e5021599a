/** The tables of docs/performance.md, made from the results of main.mjs. */
import { configs, tokensPerStep } from "./configs.mjs";
import { machineLine } from "./machine.mjs";
import { namedLevels, peakOf } from "./roofs.mjs";
import { count, digits, markdownTable, median, percent, ratio, ratioAndRange } from "./statistics.mjs";
import { against, bestOfPyTorch, dropoutCosts, ratiosOf, trainingTable } from "./training-table.mjs";

const dtypes = ["float32", "bfloat16"];
const sum = (numbers) => numbers.reduce((total, one) => total + one, 0);
const notMeasured = "Not measured.\n";

/** The measurements of the native backend. All tables are about this backend. */
const kernelsOf = ({ kernels }, name, dtype) =>
  kernels?.measurements.find((one) => one.name === name && one.dtype === dtype && one.backend === "native");

const roofRows = (roofs) => [
  ["", "rate of all threads together; a copy counts reads and writes"],
  ["float32, fused multiply-add", `${count(roofs.float32)} GFLOP/s`],
  ["bfloat16, `vdpbf16ps`", roofs.dotBf16 > 0 ? `${count(roofs.dotBf16)} GFLOP/s` : "not here"],
  ["bfloat16, AMX tiles", roofs.amxBf16 > 0 ? `${count(roofs.amxBf16)} GFLOP/s` : "not here"],
  ...Object.entries(namedLevels(roofs)).map(([name, { bytes, read, write, copy }]) => [
    `${name === "memory" ? name : name.toUpperCase()} (${digits(bytes / 2 ** 20)} MiB)`,
    `${digits(read)} GB/s read, ${digits(write)} written, ${digits(copy)} copied`,
  ]),
];

const machineSection = ({ machine, train, kernels }) => {
  const { roofs, threads } =
    train?.measurements.find((one) => one.roofs !== undefined) ?? kernels?.measurements[0] ?? {};
  const line = `${machineLine(machine)}.`;
  if (roofs === undefined) return `${line}\n`;
  return `${line}\n${threads} threads; the native kernels use \`${roofs.instructionSet}\`.\n\n${markdownTable(roofRows(roofs))}`;
};

const modelLine = ({ name, model, batchSize, vocabSize, text, rounds, results }) => {
  const { nLayer, nHead, nEmbd, contextLength } = model;
  const peers = ["pytorch", "tfjs"].flatMap((kind) => results.find((one) => one.kind === kind) ?? []);
  return [
    `\`${name}\`: ${nLayer} layers, ${nHead} heads, ${nEmbd} channels, ${count(results[0].about.parameters)} parameters`,
    `V ${count(vocabSize)} (${text}), B ${batchSize}, T ${contextLength}: ${count(tokensPerStep(name))} tokens a step`,
    `medians of ${rounds} rounds`,
    ...peers.map(({ kind, about }) => `${kind} ${about.version}`),
  ].join("; ");
};

const added = (share) => `${share < 0 ? "−" : "+"}${Math.abs(100 * share).toFixed(1)}%`;

const trainingSection = ({ train }) => {
  if (train === undefined) return notMeasured;
  return train.measurements
    .map((measurement) => {
      const costs = dropoutCosts(measurement.results).map(
        ({ kind, dtype, dropout, shares }) =>
          `Dropout ${dropout} on ${kind} in ${dtype} changes the time of a step by ${added(median(shares))} (from ${added(Math.min(...shares))} to ${added(Math.max(...shares))}).\n`,
      );
      const table = markdownTable(trainingTable(measurement));
      return `${modelLine(measurement)}.\n\n${table}${costs.length > 0 ? `\n${costs.join("")}` : ""}`;
    })
    .join("\n");
};

/**
 * Minimum times of a step of a configuration in a dtype, from the limits of the machine, in milliseconds. Undefined if
 * the native backend was not measured.
 * `arithmetic`: time of the step's products at the dtype's peak speed. `bytes`: time to move the bytes of all kernels
 * at the speed of a memory copy. `kernels`: the sum over all kernels of the longer time of a kernel, arithmetic or
 * memory.
 */
export const floorOf = (results, { name, roofs, cost, results: steps }, dtype) => {
  const ours = steps.find((one) => one.kind === "native" && one.dtype === dtype && one.dropout === 0);
  if (ours === undefined || roofs === undefined) return undefined;
  const peer = dtype === "bfloat16" ? bestOfPyTorch(steps) : bestOfPyTorch(steps, dtype);
  const arithmetic = cost.flops / peakOf(roofs, dtype) / 1e6;
  const measured = kernelsOf(results, name, dtype)?.results;
  return {
    arithmetic,
    bytes: cost.bytes / namedLevels(roofs).memory.copy / 1e6,
    kernels: measured === undefined ? Number.NaN : sum(measured.map((one) => one.count * one.leastMilliseconds)),
    step: ours.milliseconds,
    peer: peer?.milliseconds ?? Number.NaN,
    now: against(peer, ours),
    rounds: ratiosOf(peer, ours),
    atMost: (peer?.milliseconds ?? Number.NaN) / arithmetic,
  };
};

const floorSection = (results) => {
  const rows = (results.train?.measurements ?? []).flatMap((measurement) =>
    dtypes.flatMap((dtype) => {
      const floor = floorOf(results, measurement, dtype);
      if (floor === undefined) return [];
      return [
        [
          `\`${measurement.name}\` ${dtype}`,
          digits(measurement.cost.flops / 1e9),
          count(measurement.cost.bytes / 1e6),
          digits(floor.arithmetic),
          digits(floor.bytes),
          digits(floor.kernels),
          digits(floor.step),
          percent(floor.kernels / floor.step),
          digits(floor.peer),
          ratioAndRange(floor.rounds),
          ratio(floor.peer / floor.kernels),
          ratio(floor.atMost),
        ],
      ];
    }),
  );
  const titles = [
    "a step",
    "GFLOP",
    "MB",
    "GFLOP at peak, ms",
    "MB at memory's rate, ms",
    "each kernel at its roof, ms",
    "step, ms",
    "share of the roofs",
    "PyTorch, ms",
    "× PyTorch",
    "× PyTorch, each kernel at its roof",
    "× PyTorch, at most (GFLOP at peak)",
  ];
  return rows.length === 0 ? notMeasured : markdownTable([titles, ...rows]);
};

/** The calls of one kernel, summed over all shapes. */
const byKernel = (results) => {
  const found = new Map();
  for (const one of results) found.set(one.kernel, [...(found.get(one.kernel) ?? []), one]);
  return [...found].map(([kernel, calls]) => {
    const total = (of) => sum(calls.map((one) => one.count * of(one)));
    return {
      kernel,
      calls: total(() => 1),
      milliseconds: total((one) => one.milliseconds),
      least: total((one) => one.leastMilliseconds ?? Number.NaN),
      flops: total((one) => one.flops),
      bytes: total((one) => one.read + one.written),
    };
  });
};

const kernelTable = ({ results }) => {
  const rows = byKernel(results).sort((a, b) => b.milliseconds - a.milliseconds);
  const whole = sum(rows.map(({ milliseconds }) => milliseconds));
  return markdownTable([
    ["kernel", "calls", "ms", "share", "MB", "GB/s", "GFLOP/s", "share of the roof"],
    ...rows.map(({ kernel, calls, milliseconds, least, flops, bytes }) => [
      `\`${kernel}\``,
      count(calls),
      digits(milliseconds),
      percent(milliseconds / whole),
      digits(bytes / 1e6),
      digits(bytes / milliseconds / 1e6),
      flops > 0 ? digits(flops / milliseconds / 1e6) : "",
      percent(least / milliseconds),
    ]),
    [
      "together",
      count(sum(rows.map(({ calls }) => calls))),
      digits(whole),
      "100%",
      digits(sum(rows.map(({ bytes }) => bytes)) / 1e6),
      "",
      "",
      percent(sum(rows.map(({ least }) => least)) / whole),
    ],
  ]);
};

const kernelSection = (results) => {
  const tables = ["book", "baby"].flatMap((name) =>
    dtypes.flatMap((dtype) => {
      const measured = kernelsOf(results, name, dtype);
      return measured === undefined ? [] : [`\`${name}\`, ${dtype}:\n\n${kernelTable(measured)}`];
    }),
  );
  return tables.length === 0 ? notMeasured : tables.join("\n");
};

const range = (numbers, write) => `${write(Math.min(...numbers))}–${write(Math.max(...numbers))}`;

const productRow = ({ name, dtype, results, roofs }) => {
  const products = results.filter(({ product, peers }) => product !== undefined && Object.keys(peers).length > 0);
  if (products.length === 0) return [];
  const best = ({ peers }) => Math.min(...Object.values(peers));
  const together = (of) => sum(products.map((one) => one.count * of(one)));
  const ours = together(({ milliseconds }) => milliseconds);
  const ratios = products.map((one) => best(one) / one.milliseconds);
  const peak = roofs === undefined ? Number.NaN : peakOf(roofs, dtype);
  const shares = products.map(({ flops, milliseconds }) => flops / milliseconds / 1e6 / peak);
  return [
    [
      `\`${name}\` ${dtype}`,
      count(products.length),
      digits(together(({ flops }) => flops) / ours / 1e6),
      Number.isNaN(peak) ? "–" : range(shares, percent),
      [...new Set(products.flatMap(({ peers }) => Object.keys(peers)))].join(", "),
      ratio(together(best) / ours),
      range(ratios, ratio),
      `${ratios.filter((one) => one >= 1).length} of ${ratios.length}`,
    ],
  ];
};

const productSection = ({ kernels }) => {
  const trained = (kernels?.measurements ?? []).filter(({ name, backend }) => name in configs && backend === "native");
  const rows = trained.flatMap(productRow);
  const titles = [
    "",
    "shapes",
    "GFLOP/s",
    "share of the peak",
    "peers",
    "× the best peer",
    "× the best peer, by shape",
    "shapes with a ratio of at least 1",
  ];
  return rows.length === 0 ? notMeasured : markdownTable([titles, ...rows]);
};

const writingSection = ({ generate }) => {
  if (generate === undefined) return notMeasured;
  const [{ start }] = generate.measurements;
  const rows = generate.measurements.map((one) => [
    `\`${one.name}\` ${one.dtype} (${one.backend}, ${one.instructionSet})`,
    one.commandTokensPerSecond > 0 ? count(one.commandTokensPerSecond) : "–",
    count(one.tokensPerSecond),
    digits(one.firstTokenMilliseconds),
    count((1000 * one.promptTokens) / one.promptMilliseconds),
  ]);
  const titles = ["", "tokens/s, command", "tokens/s, library", "first token, ms", "prompt, tokens/s"];
  return `\`foretoken --help\` takes ${digits(start.help)} ms; \`foretoken generate\` of \`nano-cpu\` shows its first token ${digits(
    start.firstToken,
  )} ms after the process starts.\n\n${markdownTable([titles, ...rows])}`;
};

/** The Markdown of each section, by the name in its marks. */
export const sections = (results) => ({
  machine: machineSection(results),
  training: trainingSection(results),
  floors: floorSection(results),
  kernels: kernelSection(results),
  products: productSection(results),
  writing: writingSection(results),
});

/**
 * Returns `document` with each section inserted between its marks.
 * @throws Error if the document does not have exactly one place for each section.
 */
export const fill = (document, written) => {
  let filled = document;
  for (const [name, text] of Object.entries(written)) {
    const [before, inner, ...others] = filled.split(`<!-- bench:${name} -->`);
    const end = `<!-- /bench:${name} -->`;
    const at = inner?.indexOf(end) ?? -1;
    if (at < 0 || others.length > 0) throw new Error(`must have one <!-- bench:${name} --> and ${end} after it`);
    filled = `${before}<!-- bench:${name} -->\n${text}${inner.slice(at)}`;
  }
  return filled;
};

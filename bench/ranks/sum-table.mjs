/** Makes a table from the measurements of sums.mjs. */
import { digits, percent } from "../lib/statistics.mjs";
import { networkName } from "./launch.mjs";

export const sumTitles = [
  "",
  "ours, ms",
  "`MPI_Allreduce`, ms",
  "ours / `MPI_Allreduce`",
  "`MPI_Iallreduce`, polled, ms",
  "ours / `MPI_Iallreduce`",
  "share that a rank sent",
  "share over the network, ours",
  "share over the network, MPI's",
];

const share = (value) => (value === null ? "–" : `${value.toFixed(3)}×`);

/** One row for each size, number of ranks and network. */
export const sumRows = (sums) =>
  sums.map(({ megabytes, ranks, network, ours, blocking, polled, sent, wireOurs, wirePolled }) => [
    `${megabytes} MB, ${ranks} ranks, ${networkName(network)}`,
    digits(ours),
    digits(blocking),
    `${(ours / blocking).toFixed(2)}×`,
    digits(polled),
    `${(ours / polled).toFixed(2)}×`,
    share(sent),
    share(wireOurs),
    share(wirePolled),
  ]);

/** Size of the gradients of `baby`, in megabytes. The time of sums is compared with a training step of `baby`. */
const ofBaby = 43;

/**
 * Additional time of Foretoken's sum compared with MPI's sum, as a share of a step of `baby`. There is one line for
 * each dtype. There are no lines if the sums or the step were not measured.
 * @param {readonly any[]} sums
 * @param {readonly { readonly dtype: string, readonly milliseconds: number }[]} baby
 */
export const sumCosts = (sums, baby) => {
  const found = sums.filter(({ megabytes }) => megabytes === ofBaby);
  if (found.length === 0) return "";
  const lines = baby.map(({ dtype, milliseconds }) => {
    const against = (name) => {
      const shares = found.map((one) => (one.ours - one[name]) / milliseconds);
      return `${percent(Math.min(...shares))} to ${percent(Math.max(...shares))}`.replaceAll("-", "−");
    };
    const step = `One process needs ${digits(milliseconds)} ms for a step of \`baby\` in ${dtype}.`;
    return `${step} Compared with \`MPI_Iallreduce\`, our sum takes ${against("polled")} of a step longer, and compared with \`MPI_Allreduce\` ${against("blocking")}.\n`;
  });
  return `\n${lines.join("")}`;
};

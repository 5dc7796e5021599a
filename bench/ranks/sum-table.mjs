/** The measurements of sums.mjs as a table. */
import { digits } from "../lib/statistics.mjs";
import { networkName } from "./launch.mjs";

export const sumTitles = [
  "",
  "ours, ms",
  "`MPI_Allreduce`, ms",
  "× its time",
  "`MPI_Iallreduce`, polled, ms",
  "× its time",
  "sent per rank, of 2 (N − 1) / N",
  "over the network: ours",
  "MPI's",
];

const share = (value) => (value === null ? "–" : `${value.toFixed(3)}×`);

/** A row per size, number of ranks and network. */
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

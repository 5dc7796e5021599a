/**
 * A module for `node --import`. When a rank ends MPI, the module writes RANK.json in the folder $FORETOKEN_BENCH_SENT.
 * This file has the number of bytes and messages that the rank has sent. So the command itself needs no change.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";

const folder = process.env.FORETOKEN_BENCH_SENT;
const { dlopen } = process;

/** @param {any} module @param {string} file @param {...any} flags */
process.dlopen = (module, file, ...flags) => {
  dlopen.call(process, module, file, ...flags);
  if (folder === undefined || !file.includes("foretoken-mpi.")) return;
  const addon = module.exports;
  const finalise = async () => {
    writeFileSync(join(folder, `${process.env.OMPI_COMM_WORLD_RANK}.json`), JSON.stringify(addon.sent()));
    await addon.finalise();
  };
  // The addon's own properties cannot be changed.
  module.exports = Object.create(addon, { finalise: { value: finalise } });
};

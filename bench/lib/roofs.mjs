/** Measures the limits (roofs) of the machine: compiles bench/roofs.cc for the kernels' instruction set and runs it. */
import { mkdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { hashFiles, readStamp, root, sourcesUnder, writeStamp } from "../../scripts/build/common.mjs";
import { commonFlags, execute, findCompiler, instructionSets, isaDefines } from "../../scripts/build/native.mjs";

const mebibyte = 2 ** 20;

/** Parses a size in the format of Linux, such as "512K". */
const parseSize = (text) => {
  const [, number, unit] = /^(\d+)([KM]?)/u.exec(text) ?? [];
  return Number(number) * (unit === "M" ? mebibyte : unit === "K" ? 1024 : 1);
};

const readCache = (index) => {
  const folder = `/sys/devices/system/cpu/cpu0/cache/index${index}`;
  const read = (name) => readFileSync(join(folder, name), "utf8").trim();
  const shared = read("shared_cpu_list").split(",");
  const cores = shared.reduce((sum, range) => {
    const [first, last = first] = range.split("-").map(Number);
    return sum + last - first + 1;
  }, 0);
  return { level: Number(read("level")), type: read("type"), bytes: parseSize(read("size")), cores };
};

/**
 * Cache size for `threads` threads, in bytes. If the system does not report it: 1 MiB for each thread, and 32 MiB in
 * total.
 */
export const caches = (threads) => {
  const found = { l2: threads * mebibyte, l3: 32 * mebibyte };
  for (let index = 0; index < 8; index++) {
    try {
      const { level, type, bytes, cores } = readCache(index);
      if (type === "Instruction") continue;
      if (level === 2) found.l2 = bytes * Math.max(1, Math.ceil(threads / cores));
      if (level === 3) found.l3 = bytes * Math.max(1, Math.ceil(threads / cores));
    } catch {
      break;
    }
  }
  return found;
};

/**
 * Compiles the program for an instruction set. If that fails, prints a line on standard error and returns undefined.
 */
const compileRoofs = async (instructionSet) => {
  const compiler = findCompiler();
  const set = instructionSets[process.arch]?.find(({ name }) => name === instructionSet);
  if (compiler === undefined || set === undefined) {
    const why = compiler === undefined ? "no C++ compiler found" : `none is known for ${instructionSet}`;
    console.error(`no roofs: ${why}`);
    return undefined;
  }
  const folder = join(root, "build/bench");
  mkdirSync(folder, { recursive: true });
  const program = join(folder, `roofs-${instructionSet}`);
  const command = [...compiler, ...commonFlags, ...isaDefines(set), ...set.flags, "-pthread", "bench/roofs.cc"];
  // Compiling takes longer than a short benchmark, so the compiled program is kept.
  const stamp = hashFiles(["bench/roofs.cc", ...sourcesUnder("native", [".h"])], command);
  const stampName = `bench/roofs-${instructionSet}`;
  if (readStamp(stampName, program) === stamp) return program;
  const fresh = `${program}-${process.pid}`;
  await execute([...command, "-o", fresh]);
  renameSync(fresh, program);
  writeStamp(stampName, stamp);
  return program;
};

/**
 * Measures the limits for `instructionSet` with `threads` threads, and the speed of blocks of memory up to `most` MiB.
 * Without a compiler, or without this instruction set on the machine, prints a line on standard error and returns
 * undefined.
 */
export const measureRoofs = async (instructionSet, threads, most) => {
  const program = await compileRoofs(instructionSet);
  if (program === undefined) return undefined;
  const { first, last } = measuredSizes(caches(threads), most * mebibyte);
  const measured = JSON.parse(await execute([program, threads, first, last].map(String)));
  return { instructionSet, threads, ...measured };
};

/** Compiled programs, by instruction set. */
const readers = new Map();

/** Memory rate in GB/s when `threads` threads read `bytes` bytes. NaN if it cannot be measured. */
export const measureReading = async (instructionSet, threads, bytes) => {
  if (!readers.has(instructionSet)) readers.set(instructionSet, await compileRoofs(instructionSet));
  const program = readers.get(instructionSet);
  if (program === undefined) return Number.NaN;
  const size = String(Math.ceil(bytes));
  const { levels } = JSON.parse(await execute([program, String(threads), size, size]));
  return levels[0].read;
};

/**
 * Sizes from half of L2 to a size that fits into no cache, in bytes. Each size is twice the previous size. The largest
 * size is at most `most`, but at least eight times L2.
 */
export const measuredSizes = ({ l2, l3 }, most = 512 * mebibyte) => {
  const first = l2 / 2;
  // A virtual machine reports the whole L3 of its host, but shares it with other machines. A virtual machine may also
  // have little memory.
  const last = Math.max(Math.min(16 * l2, Math.max(8 * l2, most)), Math.min(8 * l3, most));
  return { first, last: first * 2 ** Math.round(Math.log2(last / first)) };
};

/**
 * Sizes for the table: within L2, within L3, and in no cache. The system may report more L3 than this machine can use.
 * So the size within L3 is the geometric mean of the L2 size and the L3 size.
 */
export const namedLevels = ({ levels }) => {
  const l2 = levels[0];
  const memory = levels.at(-1);
  const between = Math.sqrt(l2.bytes * memory.bytes);
  return { l2, l3: levels.findLast(({ bytes }) => bytes <= between), memory };
};

/** Number of bfloat16 products that tiles compute for one float32 product: native/gemm/amx/strips.h. */
const productsOfWhole = 6;

/** Peak GFLOP/s of products with operands of a dtype: the speed of the fastest instruction in the instruction set. */
export const peakOf = ({ instructionSet, float32, dotBf16, amxBf16 }, dtype) => {
  const tiles = instructionSet === "amx" ? amxBf16 : 0;
  return dtype === "bfloat16" ? Math.max(float32, dotBf16, tiles) : Math.max(float32, tiles / productsOfWhole);
};

/**
 * Minimum time to read `read` bytes and write `written` bytes in a working set of `footprint` bytes, in nanoseconds.
 * The speeds are from the largest measured size that is at most `footprint`. If a kernel reads and writes the same
 * number of bytes, the speed is the speed of a copy.
 */
export const passingTime = ({ levels }, footprint, read, written) => {
  const level = levels.findLast(({ bytes }) => bytes <= footprint) ?? levels[0];
  const both = Math.min(read, written);
  return (2 * both) / level.copy + (read - both) / level.read + (written - both) / level.write;
};

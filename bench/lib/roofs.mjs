/** What the machine can do at most: bench/roofs.cc, compiled for the instruction set that the kernels use, and run. */
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../scripts/build-common.mjs";
import { commonFlags, execute, findCompiler, instructionSets, isaDefines } from "../../scripts/build-native.mjs";

const mebibyte = 2 ** 20;

/** A size as Linux writes one, as "512K". */
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

/** What `threads` threads have of cache, in bytes; 1 MiB a thread and 32 MiB together where the system does not tell. */
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
 * Measures for `instructionSet`, with `threads` threads. Undefined, with a line on standard error, where there is no
 * compiler, or for a set that is none of this machine's (as WebAssembly's).
 */
export const measureRoofs = async (instructionSet, threads) => {
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
  const flags = [...commonFlags, ...isaDefines(set), ...set.flags, "-pthread"];
  await execute([...compiler, ...flags, "bench/roofs.cc", "-o", program]);
  const { l2, l3 } = caches(threads);
  return { instructionSet, threads, ...JSON.parse(await execute([program, threads, l2, l3].map(String))) };
};

/** GFLOP/s of products with operands of a dtype: what the fastest instruction for it gives. */
export const peakOf = (roofs, dtype) =>
  dtype === "bfloat16" ? Math.max(roofs.float32, roofs.dotBf16, roofs.amxBf16) : roofs.float32;

/**
 * GB/s at which `read` bytes and `written` bytes pass when they lie together in the nearest level that holds them. A
 * copy's time is that of its reads and of its writes.
 */
export const bandwidthFor = (roofs, footprint, read, written) => {
  const level = [roofs.l2, roofs.l3].find(({ bytes }) => footprint <= 2 * bytes) ?? roofs.memory;
  const perRead = 1 / level.read;
  const perWritten = Math.max(2 / level.copy - perRead, 0);
  return (read + written) / (read * perRead + written * perWritten);
};

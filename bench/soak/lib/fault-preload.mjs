// Makes one file-system call of the program fail: `node --import fault-preload.mjs dist/cli/main.js …`, with a plan as
// JSON in FORETOKEN_SOAK_FAULT.
// { call, fault }: the call with this number fails. { write, fault, stays }: a write to standard output fails, and then
// the file `mark` is created. { log }: a file gets one line for each call and, at the end, a line with the number of
// writes.
// All threads of the program share the environment variables, so the number of calls is in an environment variable.
// Only calls from the program's files in dist/ count, because Node's module loader also makes calls.
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { constants } from "node:os";
import { isMainThread } from "node:worker_threads";

const plan = JSON.parse(process.env.FORETOKEN_SOAK_FAULT ?? "{}");
let writes = 0;
const original = { writeFileSync: fs.writeFileSync, appendFileSync: fs.appendFileSync, writeSync: fs.writeSync };
const handlePaths = new WeakMap();
const words = {
  ENOSPC: "no space left on device",
  EIO: "i/o error",
  EACCES: "permission denied",
  EROFS: "read-only file system",
};

const systemError = (code, syscall, path) => {
  const error = new Error(`${code}: ${words[code]}, ${syscall}${path === "" ? "" : ` '${path}'`}`);
  const about = { errno: -constants.errno[code], code, syscall, ...(path === "" ? {} : { path }) };
  return Object.assign(error, about);
};

const isProgram = () => {
  const before = Error.stackTraceLimit;
  Error.stackTraceLimit = 12;
  const frames = (new Error().stack ?? "").split("\n").slice(1);
  Error.stackTraceLimit = before;
  const caller = frames.find((frame) => !frame.includes("fault-preload.mjs"));
  return caller?.includes("/dist/") ?? false;
};

/**
 * The part of a call that is done before it fails. For example, a disk that becomes full accepts a part of the bytes.
 */
const half = (data) => {
  const bytes = typeof data === "string" ? Buffer.from(data) : data;
  return bytes instanceof Uint8Array ? bytes.subarray(0, bytes.length >> 1) : undefined;
};

/** Counts a call. Returns the fault of this call. */
const faultOf = (name, path) => {
  if (!isProgram()) return undefined;
  const calls = Number(process.env.FORETOKEN_SOAK_CALLS ?? 0) + 1;
  process.env.FORETOKEN_SOAK_CALLS = String(calls);
  if (plan.log !== undefined) original.appendFileSync(plan.log, `${JSON.stringify({ name, path })}\n`);
  return calls === plan.call ? plan.fault : undefined;
};

const pathText = (path) => (path instanceof URL ? path.pathname : String(path));

const promiseNames = Object.keys(fs.promises).filter(
  (name) => typeof fs.promises[name] === "function" && name !== "watch",
);
for (const name of promiseNames) {
  const real = fs.promises[name];
  fs.promises[name] = async function (...args) {
    const path = pathText(args[0]);
    const opensToWrite = name === "open" && args[1] !== undefined && args[1] !== "r";
    const fault = faultOf(opensToWrite ? "open to write" : name, path);
    if (fault === undefined) {
      const result = await Reflect.apply(real, this, args);
      if (name === "open") handlePaths.set(result, path);
      return result;
    }
    if (fault !== "short") throw systemError(fault, name, path);
    // There is no space for the remaining bytes. Node's own loop over these bytes ends with this error.
    const part = half(args[1]);
    if (part !== undefined) await Reflect.apply(real, this, [path, part, ...args.slice(2)]);
    throw systemError("ENOSPC", "write", path);
  };
}

const some = await fs.promises.open(process.execPath);
const prototype = Object.getPrototypeOf(some);
await some.close();
for (const name of [
  "appendFile",
  "close",
  "datasync",
  "read",
  "readFile",
  "readv",
  "stat",
  "sync",
  "truncate",
  "utimes",
  "write",
  "writeFile",
  "writev",
]) {
  const real = prototype[name];
  prototype[name] = async function (...args) {
    const path = handlePaths.get(this) ?? "";
    const fault = faultOf(`handle.${name}`, path);
    if (fault === undefined) return Reflect.apply(real, this, args);
    if (name === "close") await Reflect.apply(real, this, args);
    if (fault !== "short") throw systemError(fault, name === "sync" ? "fsync" : name, "");
    if (name === "read" || name === "write") {
      const [buffer, offset = 0, length = buffer.byteLength - offset, ...rest] = args;
      return Reflect.apply(real, this, [buffer, offset, Math.max(1, length >> 1), ...rest]);
    }
    const part = half(args[0]);
    if (part !== undefined) await Reflect.apply(real, this, [part, ...args.slice(1)]);
    throw systemError("ENOSPC", "write", "");
  };
}

for (const name of Object.keys(fs).filter((key) => key.endsWith("Sync") && typeof fs[key] === "function")) {
  const real = fs[name];
  // Writes to standard output and standard error are counted below.
  if (name === "writeSync") continue;
  fs[name] = Object.assign(function (...args) {
    const fault = faultOf(name, typeof args[0] === "number" ? "" : pathText(args[0]));
    if (fault === undefined) return Reflect.apply(real, this, args);
    if (name === "existsSync") return false;
    throw systemError(fault, name.replace(/Sync$/u, ""), pathText(args[0]));
  }, real);
}
syncBuiltinESMExports();

/** Counts a write to standard output. Returns the error of this write. */
const writeFault = () => {
  writes++;
  const hit = writes === plan.write || (plan.stays === true && writes > plan.write);
  if (hit && plan.mark !== undefined) original.writeFileSync(plan.mark, "");
  return hit ? systemError(plan.fault, "write", "") : undefined;
};
const { stdout } = process;
const realWrite = stdout._write;
stdout._write = function (chunk, encoding, callback) {
  const error = writeFault();
  if (error === undefined) Reflect.apply(realWrite, this, [chunk, encoding, callback]);
  else callback(error);
};
stdout._writev = /** @type {any} */ (undefined);
fs.writeSync = /** @type {any} */ (
  function (fd, ...rest) {
    const error = fd === 1 && isProgram() ? writeFault() : undefined;
    if (error !== undefined) throw error;
    return Reflect.apply(/** @type {any} */ (original.writeSync), this, [fd, ...rest]);
  }
);
syncBuiltinESMExports();

process.on("exit", () => {
  if (plan.log !== undefined && isMainThread) original.appendFileSync(plan.log, `${JSON.stringify({ writes })}\n`);
});

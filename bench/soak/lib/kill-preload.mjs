// Ends the program by a signal during a save: `node --import kill-preload.mjs dist/cli/main.js train …`, with a plan as
// JSON in FORETOKEN_SOAK_KILL.
// { call, signal }: sends the signal before the file-system call with this number. Only the calls of saves are counted.
// { log }: writes the number of these calls and the number of saves to a file. A save creates a temporary folder next
// to its target. A call belongs to a save if its path, or the path of its file, is in such a folder.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";

const plan = JSON.parse(process.env.FORETOKEN_SOAK_KILL ?? "{}");
const { writeFileSync } = fs;
const handlePaths = new WeakMap();
let calls = 0;
let saves = 0;

const die = () => {
  if (plan.signal !== "SIGSTOP") {
    process.kill(process.pid, plan.signal);
    return;
  }
  // SIGSTOP means stop, continue, kill. A stopped process cannot send itself the last two signals.
  spawnSync("sh", ["-c", `kill -STOP ${process.pid}; kill -CONT ${process.pid}; kill -KILL ${process.pid}`]);
};

const count = (...paths) => {
  if (!paths.some((path) => /(^|[\\/])\.(tmp|old)-[^\\/]*/u.test(String(path)))) return;
  calls++;
  if (plan.log !== undefined) writeFileSync(plan.log, JSON.stringify({ calls, saves }));
  if (calls === plan.call) die();
};

for (const name of ["mkdir", "open", "rename", "rm", "writeFile", "readdir", "unlink", "rmdir"]) {
  const real = fs.promises[name];
  fs.promises[name] = async function (...args) {
    if (name === "mkdir" && /\.tmp-/u.test(String(args[0]))) saves++;
    count(args[0], name === "rename" ? args[1] : "");
    const result = await Reflect.apply(real, this, args);
    if (name === "open") handlePaths.set(result, String(args[0]));
    return result;
  };
}
const some = await fs.promises.open(process.execPath);
const prototype = Object.getPrototypeOf(some);
await some.close();
for (const name of ["write", "writev", "sync", "datasync", "close", "appendFile", "writeFile"]) {
  const real = prototype[name];
  prototype[name] = async function (...args) {
    count(handlePaths.get(this) ?? "");
    return Reflect.apply(real, this, args);
  };
}
syncBuiltinESMExports();

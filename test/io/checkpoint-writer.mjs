// Rewrites a checkpoint and dies by SIGKILL: `node checkpoint-writer.mjs FOLDER VERSION OPERATION`.
// With an OPERATION it writes VERSION once and dies just before its file-system operation of that number; without,
// it writes VERSION, VERSION + 1, … until it is killed, printing each version that is written.
import fs from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { fileURLToPath } from "node:url";

const [folder, version, operation] = process.argv.slice(2);
const lastOperation = operation === undefined ? Number.POSITIVE_INFINITY : Number(operation);

let operations = 0;
const counted = (target, name) => {
  const original = target[name];
  target[name] = function (...args) {
    if (++operations === lastOperation) process.kill(process.pid, "SIGKILL");
    return original.apply(this, args);
  };
};
for (const name of ["mkdir", "open", "readdir", "rename", "unlink", "rmdir"]) counted(fs, name);
const handle = await fs.open(fileURLToPath(import.meta.url));
for (const name of ["write", "sync"]) counted(Object.getPrototypeOf(handle), name);
await handle.close();
operations = 0;
syncBuiltinESMExports();

const { writeCheckpoint } = await import("#foretoken/io/checkpoint.node.js");
const write = (number) => {
  const text = `${number}`.padStart(8, "0").repeat(4000);
  return writeCheckpoint(folder, { "a.txt": text, "b.bin": [new TextEncoder().encode(text)], "c.json": text });
};

if (operation === undefined) {
  for (let number = Number(version); ; number++) {
    await write(number);
    console.log(number);
  }
}
await write(Number(version));
console.log(operations);

// A fast compiler command for $CXX, only for planted faults. The command optimises less, which does not change a bit of
// a result. $FORETOKEN_FAULT_OBJECTS is a cache of object files, by the preprocessed text. Most faults change only one
// compiled file.
//     CXX="node quick-compiler.mjs c++" node scripts/build/native.mjs
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, existsSync } from "node:fs";
import { join } from "node:path";

const [compiler, ...given] = process.argv.slice(2);
const args = given.map((arg) => (arg === "-O3" ? "-O1" : arg));
const compile = () => spawnSync(compiler, args, { stdio: "inherit" }).status ?? 1;

const folder = process.env.FORETOKEN_FAULT_OBJECTS;
if (folder === undefined || !args.includes("-c")) process.exit(compile());

const at = args.indexOf("-o");
const output = args[at + 1];
const command = args.filter((arg, i) => arg !== "-c" && i !== at && i !== at + 1);
const { stdout: text, status } = spawnSync(compiler, [...command, "-E", "-P"], { maxBuffer: 2 ** 28 });
const key = createHash("sha256").update(command.join("\0")).update(text).digest("hex");
const kept = join(folder, `${key}.o`);
if (status === 0 && existsSync(kept)) {
  copyFileSync(kept, output);
} else {
  const code = compile();
  if (code !== 0) process.exit(code);
  copyFileSync(output, kept);
}

// Starts a compiled example of examples/: npm run example NAME -- ARGUMENTS
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { root } from "./build/common.mjs";

const [name, ...args] = process.argv.slice(2);
const names = readdirSync(join(root, "examples")).flatMap((file) => /^(.*)\.ts$/.exec(file)?.[1] ?? []);

if (names.includes(name)) {
  const file = join(root, "build/examples", `${name}.js`);
  // The example sees the same arguments as if Node had started the example itself.
  process.argv.splice(1, process.argv.length, file, ...args);
  await import(pathToFileURL(file).href);
} else {
  console.error(`example: the name must be one of ${names.join(", ")}; got ${name ?? "none"}`);
  process.exitCode = 2;
}

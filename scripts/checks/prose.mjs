// Checks the project's English for phrases that are hard to read, and lists all passages for a reader.
//
//     node scripts/checks/prose.mjs [PATH…]                    names banned turns, and fails if there are any
//     node scripts/checks/prose.mjs --list [PATH…]             prints every passage: file:line kind text
//     node scripts/checks/prose.mjs --sample 50 --seed 1       prints 50 sentences of each kind, drawn by the seed
//
// A PATH is a file or a folder of the checkout (default: the whole checkout).
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { banned } from "./prose/banned.mjs";
import { kinds, passages, proseFiles, sentences } from "./prose/read.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { list: { type: "boolean" }, sample: { type: "string" }, seed: { type: "string", default: "1" } },
});
const paths = positionals.map((path) => path.replace(/^\.?\/+|\/+$/g, ""));
const isAsked = (file) => paths.length === 0 || paths.some((path) => file === path || file.startsWith(`${path}/`));
const files = proseFiles(root).filter(isAsked);
if (files.length === 0) {
  console.error(`prose: a path must hold files with prose; got ${paths.join(" ")}`);
  process.exit(2);
}
const all = passages(root, files);

/** Numbers in [0, 1): mulberry32 (Tommy Ettinger, public domain). */
const uniform = (seed) => {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
};

if (values.list) {
  for (const { file, line, kind, text } of all)
    console.log(`${file}:${line} [${kind}] ${text.replace(/\s*\n\s*/g, " ⏎ ")}`);
} else if (values.sample !== undefined) {
  const random = uniform(Number(values.seed));
  for (const kind of kinds) {
    const pool = all
      .filter((one) => one.kind === kind)
      .flatMap(({ file, line, text }) => sentences(text).map((sentence) => `${file}:${line} ${sentence}`));
    console.log(`\n${kind} (of ${pool.length})`);
    for (let i = 0; i < Number(values.sample) && pool.length > 0; i++)
      console.log(`${i + 1}. ${pool.splice(Math.floor(random() * pool.length), 1)[0]}`);
  }
} else {
  let found = 0;
  for (const { file, line, text } of all)
    for (const { turn, instead } of banned)
      for (const match of text.matchAll(turn)) {
        found++;
        const at = line + text.slice(0, match.index).split("\n").length - 1;
        console.log(`${file}:${at}: "${match[0].replace(/\s+/g, " ")}": ${instead}`);
      }
  if (found > 0) {
    console.error(`prose: no banned turn may be used; got ${found}; the list is in scripts/checks/prose/banned.mjs`);
    process.exitCode = 1;
  }
}

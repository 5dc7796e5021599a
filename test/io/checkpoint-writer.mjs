// Rewrites a checkpoint until the process is killed: `node checkpoint-writer.mjs FOLDER VERSION`. Writes VERSION,
// VERSION + 1, …, and prints each version after writing it.
import { writeCheckpoint } from "#foretoken/io/checkpoint.node.js";

const [folder, version] = process.argv.slice(2);
for (let number = Number(version); ; number++) {
  const text = `${number}`.padStart(8, "0").repeat(4000);
  const bytes = [new TextEncoder().encode(text)];
  await writeCheckpoint(folder, { "a.txt": text, "b.bin": bytes, "inner/c.json": text, "inner/d": text });
  console.log(number);
}

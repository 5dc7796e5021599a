// Writes schemas/sweep.json, the JSON schema of a sweep file, from the program's schemas. Run it after `npm run build`,
// and run `npm run format` afterwards.
import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { sweepJsonSchema } from "../../dist/sweep/schema.js";

const file = new URL("../../schemas/sweep.json", import.meta.url);
mkdirSync(new URL(".", file), { recursive: true });
writeFileSync(file, `${JSON.stringify(sweepJsonSchema(), null, 2)}\n`);
console.log(fileURLToPath(file));

// Exports a model. The process is killed at call number CALL of its progress function: `node export-writer.mjs PLACE
// MODEL FORMAT CALL`.
import { exportModel } from "#foretoken/pretrained/export/export.node.js";

const [place, model, name, call] = process.argv.slice(2);
const format = name === "hf" ? "hf" : "gguf";
let calls = 0;
const onProgress = () => {
  calls++;
  if (calls === Number(call)) process.kill(process.pid, "SIGKILL");
};
await exportModel(place, model, { format, onProgress });
console.log(calls);

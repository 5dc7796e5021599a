import { env, pipeline } from "@huggingface/transformers";

env.localModelPath = "models";
env.allowRemoteModels = false;
const writer = await pipeline("text-generation", "notes-onnx");
const [{ generated_text: text }] = await writer("The ", { max_new_tokens: 40 });
console.log(text);

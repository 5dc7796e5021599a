import { env, pipeline } from "@huggingface/transformers";

env.allowLocalModels = true;
env.allowRemoteModels = false;
env.localModelPath = "/models/";
const writer = await pipeline("text-generation", "notes-onnx");
const [{ generated_text: text }] = await writer("The ", { max_new_tokens: 40 });
document.body.append(text);

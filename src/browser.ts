/**
 * The library for browsers: the exports of "foretoken/browser".
 * @module foretoken/browser
 */
export * from "./everywhere.ts";

// Backends

export type { WasmOptions } from "./backend/implementations/wasm/browser.ts";
export { type BackendChoice, openBackend } from "./backend/select.browser.ts";

// Training

export { type TrainOptions, train } from "./worker/train.browser.ts";

// Runs that can be resumed in a web page or in Node

export { type FileStore, openFileStore } from "./io/file-store.browser.ts";
export { zipFolder } from "./io/zip.ts";
export { type FolderFiles, type RunFiles, runFromFolder, runToFolder } from "./runs/folder-in-memory.ts";
export { type BrowserRunStore, openRunStore } from "./runs/kept-run.browser.ts";

// Evaluation

export type { EvaluateOptions } from "./evaluate/data.browser.ts";
export { evaluate } from "./train/train.browser.ts";

// Models with their tokenizers: loading and saving

export { saveAdapter } from "./pretrained/adapter/save.browser.ts";
export type { GgufCalibrationText } from "./pretrained/gguf/write/calibrate.ts";
export type { GgufEncoding } from "./pretrained/gguf/write/encodings.ts";
export { type SaveGgufOptions, saveGguf } from "./pretrained/gguf/write/save.browser.ts";
export {
  type AdapterSource,
  type CheckpointSource,
  type LoadOptions,
  loadPretrained,
} from "./pretrained/load.browser.ts";
export type { SaveOnnxOptions } from "./pretrained/onnx/check.ts";
export { saveOnnx } from "./pretrained/onnx/save.browser.ts";
export type { OnnxDType } from "./pretrained/onnx/transformer.ts";
export { savePretrained } from "./pretrained/save.browser.ts";
export { loadInWorker, type WorkerLoadOptions, type WorkerModel } from "./worker/model.browser.ts";

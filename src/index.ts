/**
 * The library for Node: the exports of "foretoken".
 * @module foretoken
 */
export * from "./everywhere.ts";

// Backends

export type { BackendChoice } from "./backend/choices.node.ts";
export { openBackend } from "./backend/open.node.ts";
export {
  type BackendDescription,
  type BackendOptions,
  type BackendReport,
  describeBackends,
} from "./backend/select.node.ts";

// Text

export { type CorpusOptions, type LoadedCorpus, loadCorpus } from "./data/corpora.node.ts";

// Training

export { type NewRun, type ResumedRunOptions, type TrainOptions, train } from "./worker/train.node.ts";

// Sweeps

export type { SweepOptions } from "./sweep/open.node.ts";
export type { HeldOutLoss, SweepResult, SweptRun, SweptSetting } from "./sweep/result.ts";
export type { Ending as SweepEnding } from "./sweep/schedule.ts";
export { sweep } from "./sweep/sweep.node.ts";
export type {
  SweepDoneEvent,
  SweepEvent,
  SweepPhaseEvent,
  SweepRunEvent,
  SweepStartEvent,
} from "./sweep/sweep-events.ts";
export type { SweepConfig } from "./sweep/sweep-types.ts";

// Runs on disk

export { type PlotRunsOptions, plotRuns } from "./plot/runs.node.ts";
export {
  type ListedRun,
  listRuns,
  type RunList,
  type RunLoss,
  type RunState,
  type SkippedFolder,
} from "./runs/list/runs.node.ts";

// Evaluation

export { type EvaluateOptions, evaluate } from "./evaluate/evaluate.node.ts";

// Models with their tokenizers: loading and saving

export { type Merged, type MergeOptions, saveMerged } from "./pretrained/adapter/merge.node.ts";
export { saveAdapter } from "./pretrained/adapter/save.node.ts";
export { type Exported, type ExportOptions, exportModel } from "./pretrained/export/export.node.ts";
export type { ExportDType, ExportFormatName } from "./pretrained/export/formats.node.ts";
export type { GgufCalibration } from "./pretrained/gguf/write/calibrate.node.ts";
export type { GgufCalibrationText } from "./pretrained/gguf/write/calibrate.ts";
export type { GgufFallback, UsedGgufCalibration } from "./pretrained/gguf/write/contents.ts";
export type { GgufEncoding } from "./pretrained/gguf/write/encodings.ts";
export { type SavedGguf, type SaveGgufOptions, saveGguf } from "./pretrained/gguf/write/save.node.ts";
export { type LoadOptions, loadPretrained } from "./pretrained/load.node.ts";
export type { SaveOnnxOptions } from "./pretrained/onnx/check.ts";
export { type SavedOnnx, saveOnnx } from "./pretrained/onnx/save.node.ts";
export type { OnnxDType } from "./pretrained/onnx/transformer.ts";
export { savePretrained } from "./pretrained/save.node.ts";
export { loadInWorker, type WorkerLoadOptions, type WorkerModel } from "./worker/model.node.ts";

// Conversations

export { type ChatOptions, chat } from "./chat/chat.node.ts";
export type { ChatModel } from "./chat/conversation.node.ts";
export type { ChatMessage } from "./chat/messages.ts";
export {
  chatWithTools,
  type ToolChatArgumentsEvent,
  type ToolChatCallEvent,
  type ToolChatDoneEvent,
  type ToolChatEvent,
  type ToolChatOptions,
  type ToolChatTextEvent,
} from "./chat/tools/chat-with-tools.node.ts";
export type {
  NamedTool,
  Tool,
  ToolCall,
  ToolCallsMessage,
  ToolChoice,
  ToolMessage,
  ToolResultMessage,
} from "./chat/tools/tools.ts";

/** Parts of command lines: paths, flags and values for them. */

/** Paths that cannot be a run, a text or a checkpoint. No path outside of the scratch folder can be created. */
export const hostilePaths = [
  ...[
    "",
    ".",
    "./",
    "..",
    "new/..",
    "notes/..",
    "new/../notes",
    "notes",
    "notes/",
    "notes/a.txt",
    "notes/a.txt/x",
    "run",
    "run/",
  ],
  ...[
    "run/checkpoint",
    "run/best",
    "run/..",
    "run/checkpoint/..",
    "link",
    "link/",
    "link/x",
    "dangling",
    "dangling/x",
    "loop",
  ],
  ...[
    "text.txt",
    "text.txt/",
    "text.txt/x",
    "empty",
    "empty/",
    "new",
    "new/a/b/c/d",
    "./new/./x",
    "-",
    "--",
    "-x",
    "~",
    "~/x",
  ],
  ...[
    "/dev/null",
    "/dev/null/x",
    "/dev/full",
    "/proc/self/mem",
    "/proc/self/x",
    "/proc/self/fd/0",
    "/dev/fd/0",
    "/sys/x",
  ],
  ...[
    "broken",
    "broken/checkpoint",
    "pipe",
    "*",
    "?",
    "$HOME",
    "file:///x",
    "http://x/y",
    "C:\\x",
    "a\nb",
    "a\0b",
    "\u001b[2J",
    "\u009b2J",
  ],
  ...[
    "n".repeat(255),
    "n".repeat(256),
    "n/".repeat(100),
    "n/".repeat(3000),
    "../".repeat(3),
    "日本語",
    "\ud800",
    ".hidden",
    "run.json",
  ],
];
/** Paths that refer to files of the user if the program does not resolve them carefully. */
export const nearPaths = [
  "",
  ".",
  "..",
  "new/..",
  "new/../notes",
  "notes",
  "link",
  "run",
  "run/..",
  "run/best",
  "empty",
  "new",
];

/**
 * If all valid values of a flag are cheap, the flag may get any value. All other flags get only cheap or invalid
 * values.
 */
export const numberFlags = {
  train: [
    ...["--steps", "--learning-rate", "--seed", "--eval-interval", "--checkpoint-interval", "--patience", "--threads"],
    ...[
      "--val-fraction",
      "--train.warmupSteps",
      "--train.maxGradNorm",
      "--train.optimizer.eps",
      "--train.optimizer.beta1",
    ],
    ...[
      "--train.optimizer.beta2",
      "--train.optimizer.weightDecay",
      "--train.schedule.minLearningRate",
      "--model.dropout",
      "--lora.dropout",
    ],
    ...["--model.initStd", "--model.norm.eps", "--model.position.theta", "--train.optimizer.momentum"],
  ],
  generate: ["--temperature", "--top-k", "--top-p", "--min-p", "--seed", "--threads"],
  evaluate: ["--val-fraction", "--threads"],
  lesson: ["--seed", "--threads"],
};
export const costlyFlags = {
  train: [
    ...["--batch-size", "--train.batchSize", "--train.gradAccumSteps", "--train.sampleTokens", "--model.contextLength"],
    ...["--lora.rank", "--lora.alpha"],
    ...["--model.nLayer", "--model.nHead", "--model.nEmbd", "--model.mlp.ratio", "--model.mlp.hidden"],
  ],
  generate: ["--max-new-tokens"],
};
export const costlyValues = [
  "0",
  "-1",
  "1",
  "2",
  "1.5",
  "4e18",
  "9007199254740993",
  "1e300",
  "1e999",
  "NaN",
  "",
  "0x8",
  "1_0",
  "٣",
  "1e-46",
  "8 ",
];

export const wordFlags = {
  train: {
    "--preset": ["book", "quick", "shakespeare", "Book", "boook"],
    "--dtype": ["float32", "bfloat16", "auto", "float64"],
    "--backend": ["native", "wasm", "reference", "auto", "cuda"],
    "--lora.targets": ["query", "query,value", "up, down", "q_proj", ",", ""],
    "--model.qkNorm": ["true", "false", "yes"],
    "--model.mask": ["causal", "none", "all"],
    "--model.norm.kind": ["layernorm", "rmsnorm", "batchnorm"],
    "--model.mlp.kind": ["gelu", "swiglu", "relu"],
    "--model.position.kind": ["learned", "rope", "alibi"],
    "--model.tieEmbeddings": ["true", "false", "1"],
    "--train.optimizer.kind": ["adam", "adamw", "muon", "sgd"],
    "--train.schedule.kind": ["constant", "cosine", "linear", "step"],
    "--extend": ["stretch", "restart", "constant", "longer"],
  },
  generate: {
    "--prompt": ["the ", "\\n", "\\x", "\\", "Z", ""],
    "--stop": ["\\n", "", "a", "\\q"],
    "--dtype": ["float32", "bfloat16", "float64"],
    "--backend": ["native", "wasm", "reference", "cpu"],
  },
  evaluate: {
    "--split": ["val", "train", "all", "test"],
    "--dtype": ["float32", "auto", "x"],
    "--backend": ["native", "wasm", "reference", "x"],
  },
  lesson: { "--text": ["the cat", "", "x"], "--backend": ["native", "reference"] },
  runs: { "--sort": ["time", "loss", "name"] },
};
export const pathFlags = {
  train: ["--data", "--val-data", "--config", "--out", "--out", "--out", "--resume", "--resume", "--init-from"],
  evaluate: ["--data"],
  lesson: ["--data"],
};
export const switches = {
  train: ["--json", "--profile", "--verbosee", "--version", "--no-profile", "-h", "-V", "--help=1"],
  generate: ["--json", "--no-cache", "--cache", "--show-probabilities", "-i", "--interactive", "-h"],
  evaluate: ["--json", "-j", "-h"],
  lesson: ["--json", "-h"],
  runs: ["--json", "-h"],
  info: ["--json", "-h"],
  completion: ["-h"],
  init: ["-h", "--force"],
};

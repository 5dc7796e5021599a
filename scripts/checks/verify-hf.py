"""Checks that Python's `transformers` loads the models that foretoken writes: no weight missing or unexpected, equal token ids,
equal logits. Run by hand:

    pip install torch transformers safetensors
    python scripts/checks/verify-hf.py                             small models of every class, which it writes itself
    python scripts/checks/verify-hf.py runs/NAME                   the best weights of a run, or the weights of its last checkpoint
    python scripts/checks/verify-hf.py models/NAME                 a directory

Loads each with AutoModelForCausalLM.from_pretrained and AutoTokenizer and compares with our own logits, on every backend, over a
whole context. A Qwen2 model's tokenizer is loaded with PreTrainedTokenizerFast. Last run with torch 2.15.0, transformers 5.24.0.
"""

import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

OURS = """
import { writeFileSync } from "node:fs";
import { describeBackends, loadPretrained } from "./dist/index.js";
const [, checkpoint, out, text] = process.argv;
const result = {};
for (const { name, available } of (await describeBackends()).backends) {
  if (!available) continue;
  const lm = await loadPretrained(checkpoint, { backend: name });
  const { contextLength } = lm.model.config;
  const ids = text === "" ? Array.from({ length: contextLength }, (_, i) => (i * i * 7 + i) % lm.model.vocabSize)
    : Array.from(lm.tokenizer.encode(text)).slice(0, contextLength);
  const { data, shape } = await lm.logits(ids);
  result[name] = { ids, shape, logits: Array.from(data), config: lm.model.config };
  await lm.close();
}
writeFileSync(out, JSON.stringify(result));
"""

# Directories of every class, with a tokenizer of characters, or of byte-level BPE if the third word says so.
WRITE = """
import { freshModel, languageModel, openBackend, presets, savePretrained } from "./dist/index.js";
import { trainTokenizer } from "./dist/tokenizer/registry.js";
const [, folder] = process.argv;
const text = "The quick brown fox, 12 times: don't jump over the lazy dogs.\\n".repeat(200);
const char = trainTokenizer({ kind: "char" }, text, text);
const bpe = trainTokenizer(
  { kind: "bpe", vocabSize: 300, pattern: "gpt2", specialTokens: ["<|endoftext|>"] }, text, text);
const sizes = { contextLength: 48, nLayer: 2, nHead: 4, nEmbd: 32, dropout: 0, initStd: 0.3, zeroProjections: false };
const llama = { ...presets.shakespeare.model, ...sizes, qkNorm: false, mlp: { kind: "swiglu", hidden: 40 } };
const biases = (qkv, projection, mlp) => ({ bias: { qkv, projection, mlp } });
const rope = { kind: "rope", theta: 100 };
const scaling = { kind: "llama3", factor: 4, lowFrequency: 1, highFrequency: 4, originalContext: 16 };
const olmo2 = { ...llama, nKvHead: 2, qkNorm: true, qkNormWidth: "all", normPlacement: "after", tieEmbeddings: false };
const linear = { ...rope, scaling: { kind: "linear", factor: 2 } };
const gemma3 = {
  ...{ ...llama, nLayer: 6, nKvHead: 2, headDim: 12, qkNorm: true, normPlacement: "both" },
  ...{ mlp: { kind: "geglu", hidden: 40, approximate: "tanh" }, embeddingScale: Math.sqrt(32) },
  window: { size: 10, fullEvery: 3, theta: 20 },
};
const models = {
  gpt2: [{ ...presets.gpt2.model, ...sizes }, bpe],
  "gpt2-erf-untied": [{ ...presets.book.model, ...sizes }, char],
  llama: [{ ...llama, nKvHead: 2, headDim: 10, tieEmbeddings: false, position: { ...rope, scaling } }, bpe],
  "llama-biases": [{ ...llama, ...biases(true, true, true) }, char],
  "llama-o-bias": [{ ...llama, ...biases(false, true, false), position: { ...rope, scaling: { kind: "linear", factor: 2 } } }, char],
  qwen2: [{ ...llama, nKvHead: 2, ...biases(true, false, false) }, bpe],
  qwen3: [{ ...llama, qkNorm: true, nKvHead: 1, headDim: 12 }, bpe],
  "qwen3-biases": [{ ...llama, qkNorm: true, ...biases(true, true, false) }, char],
  phi3: [{ ...llama, tieEmbeddings: false, position: { ...rope, fraction: 0.5 } }, char],
  mistral: [{ ...llama, nKvHead: 2, window: { size: 10 } }, char],
  "phi3-window": [{ ...llama, position: { ...rope, fraction: 0.5 }, window: { size: 10 } }, char],
  "qwen2-windows": [{ ...llama, ...biases(true, false, false), window: { size: 10, fullEvery: 2 } }, char],
  "qwen3-windows": [{ ...llama, qkNorm: true, headDim: 12, window: { size: 10 } }, char],
  olmo2: [olmo2, char],
  "olmo2-biases": [{ ...olmo2, ...biases(true, true, false), headDim: 12 }, char],
  olmo3: [{ ...olmo2, nLayer: 5, window: { size: 10, fullEvery: 4 } }, char],
  "olmo3-scaled": [{ ...olmo2, nLayer: 5, position: linear, window: { size: 10, fullEvery: 2, theta: 50 } }, char],
  smollm3: [{ ...llama, nKvHead: 1, nLayer: 5, position: { ...rope, noneEvery: 4 } }, bpe],
  "smollm3-biases": [{ ...llama, ...biases(true, true, true), nLayer: 4, position: { ...rope, noneEvery: 2 } }, char],
  gemma3: [gemma3, bpe],
  "gemma3-scaled": [{ ...gemma3, position: linear, attentionScale: 1 / 4, tieEmbeddings: false }, char],
  "gemma3-full": [{ ...gemma3, window: undefined, headDim: undefined, nKvHead: undefined }, char],
};
const backend = await openBackend("reference");
for (const [name, [config, tokenizer]] of Object.entries(models)) {
  const model = freshModel(backend, config, tokenizer.vocabSize, 7);
  await savePretrained(`${folder}/${name}`, languageModel(model, tokenizer));
}
await backend.close();
"""


def node(program, *arguments):
    subprocess.run(["node", "--input-type=module", "-e", program, *arguments], cwd=ROOT, check=True)


def find_checkpoint(path):
    """The checkpoint at the path; prints a line and exits if there is none."""
    folder = Path(path).resolve()
    for checkpoint in (folder, folder / "best", folder / "checkpoint"):
        if (checkpoint / "config.json").is_file():
            return checkpoint
    print(f"verify-hf: the path must be a run or a model's directory; got no config.json in {folder}", file=sys.stderr)
    sys.exit(2)


def sample_text(tokenizer, context):
    """Every token of a small vocabulary, repeated, in an irregular order."""
    words = [word for word in (tokenizer.decode([i]) for i in range(min(1000, len(tokenizer)))) if "\ufffd" not in word]
    return "".join(words[(i * i * 7 + i) % len(words)] for i in range(2 * context))


def tokenizer_of(checkpoint, model_type):
    import transformers

    # For every qwen2 model, AutoTokenizer of transformers 5 replaces the splitting in tokenizer.json with Qwen2's own.
    kind = transformers.PreTrainedTokenizerFast if model_type == "qwen2" else transformers.AutoTokenizer
    return kind.from_pretrained(checkpoint)


def verify(checkpoint):
    import torch
    import transformers

    has_tokenizer = (checkpoint / "tokenizer.json").is_file()
    options = {"output_loading_info": True, "dtype": torch.float32, "attn_implementation": "eager"}
    model, info = transformers.AutoModelForCausalLM.from_pretrained(checkpoint, **options)
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        assert not info[kind], (kind, info[kind])
    model.eval()
    context = min(getattr(model.config, "n_positions", 2**20), getattr(model.config, "max_position_embeddings", 2**20))
    tokenizer = tokenizer_of(checkpoint, model.config.model_type) if has_tokenizer else None
    text = "" if tokenizer is None else sample_text(tokenizer, context)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "ours.json"
        node(OURS, str(checkpoint), str(out), text)
        ours = json.loads(out.read_text())

    first = next(iter(ours.values()))
    ids = first["ids"] if tokenizer is None else tokenizer(text, add_special_tokens=False)["input_ids"][: len(first["ids"])]
    with torch.no_grad():
        theirs = model(torch.tensor([ids])).logits[0]
        exact = model.double()(torch.tensor([ids])).logits[0]
    # Lengths of the consecutive sums (test/support/closeness.ts).
    width, heads, layers = (first["config"][name] for name in ("nEmbd", "nHead", "nLayer"))
    length = layers * (9 * width + width // heads + len(ids)) + 2 * width
    tolerance = 2**-23 * math.sqrt(length) * theirs.abs().max().item()
    print(f"{checkpoint.name}: {type(model).__name__}, {len(ids)} ids; tolerance {tolerance:.2e}")
    print(f"  theirs in float32 against float64: {(theirs - exact).abs().max().item():.2e}")
    for name, result in ours.items():
        assert result["ids"] == ids, f"{name}: token ids differ"
        logits = torch.tensor(result["logits"]).reshape(result["shape"])
        error = (logits - theirs).abs().max().item()
        print(f"  {name}: ids agree; largest difference of {logits.numel()} logits {error:.2e}")
        assert error <= tolerance, name


def main():
    arguments = sys.argv[1:]
    if "-h" in arguments or "--help" in arguments:
        print(__doc__.strip())
        return
    if arguments:
        for path in arguments:
            verify(find_checkpoint(path))
        return
    with tempfile.TemporaryDirectory() as folder:
        node(WRITE, folder)
        for checkpoint in sorted(Path(folder).iterdir()):
            verify(checkpoint)


if __name__ == "__main__":
    main()

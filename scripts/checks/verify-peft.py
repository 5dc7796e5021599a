"""Checks adapters against Python's `peft`, in both directions, and merged models against `transformers`. Run by hand:

    pip install torch transformers peft safetensors
    python scripts/checks/verify-peft.py                 small models of every class, which it writes itself
    python scripts/checks/verify-peft.py RUN-OR-ADAPTER  an adapter's folder, with the model that it names

PeftModel.from_pretrained loads adapters of foretoken; it must report no missing or unexpected tensor, and its logits must equal ours.
foretoken loads adapters that `peft` trained for some steps, on every backend; its logits must equal those from `peft`.
AutoModelForCausalLM loads merged directories. Last run with torch 2.15.0, transformers 5.24.0, peft 0.21.2.
"""

import json
import math
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors import safe_open
from transformers import AutoModelForCausalLM

warnings.simplefilter("ignore", FutureWarning)
ROOT = Path(__file__).resolve().parents[2]

# Directories of every class, and adapters for them whose matrices are all random.
WRITE = """
import { freshModel, languageModel, openBackend, presets, savePretrained } from "./dist/index.js";
import { writeCheckpoint } from "./dist/io/checkpoint.node.js";
import { arrayReader } from "./dist/models/arena.js";
import { loraLayout } from "./dist/models/lora/layout.js";
import { adapterFiles } from "./dist/pretrained/adapter/write.js";
import { openPretrained } from "./dist/pretrained/open.node.js";
import { trainTokenizer } from "./dist/tokenizer/registry.js";
const [, folder] = process.argv;
const text = "The quick brown fox, 12 times: don't jump over the lazy dogs.\\n".repeat(200);
const char = trainTokenizer({ kind: "char" }, text, text);
const sizes = { contextLength: 48, nLayer: 2, nHead: 4, nEmbd: 32, dropout: 0, initStd: 0.3, zeroProjections: false };
const llama = { ...presets.shakespeare.model, ...sizes, qkNorm: false, mlp: { kind: "swiglu", hidden: 40 } };
const bias = { qkv: true, projection: false, mlp: false };
const rope = { kind: "rope", theta: 100 };
const models = {
  gpt2: { ...presets.gpt2.model, ...sizes },
  llama: { ...llama, nKvHead: 2, headDim: 10, tieEmbeddings: false },
  qwen2: { ...llama, nKvHead: 2, bias },
  qwen3: { ...llama, qkNorm: true, nKvHead: 1, headDim: 12 },
  phi3: { ...llama, tieEmbeddings: false, position: { ...rope, fraction: 0.5 } },
};
const targets = { all: undefined, "q-v": ["query", "value"], mlp: ["up", "down"] };
const backend = await openBackend("reference");
for (const [name, config] of Object.entries(models)) {
  const model = freshModel(backend, config, char.vocabSize, 7);
  await savePretrained(`${folder}/${name}`, languageModel(model, char));
  const saved = await openPretrained(`${folder}/${name}`);
  const sha256 = await saved.sha256();
  await saved.weights.close();
  for (const [kind, chosen] of Object.entries(targets)) {
    const lora = { rank: 3, alpha: 7, dropout: 0.1, ...(chosen && { targets: chosen }) };
    const values = Float32Array.from({ length: loraLayout(config, lora).length }, (_, i) => 0.2 * Math.sin(i * i + 1));
    const base = { name: `${folder}/${name}`, sha256 };
    await writeCheckpoint(`${folder}/${name}-${kind}`, adapterFiles(config, lora, arrayReader(values), base));
  }
}
await backend.close();
"""

OURS = """
import { writeFileSync } from "node:fs";
import { describeBackends, loadPretrained } from "./dist/index.js";
const [, adapter, out] = process.argv;
const result = {};
for (const { name, available } of (await describeBackends()).backends) {
  if (!available) continue;
  const lm = await loadPretrained(adapter, { backend: name });
  const { contextLength } = lm.model.config;
  const ids = Array.from({ length: Math.min(contextLength, 256) }, (_, i) => (i * i * 7 + i) % lm.model.vocabSize);
  const { data, shape } = await lm.logits(ids);
  result[name] = { ids, shape, logits: Array.from(data) };
  await lm.close();
}
writeFileSync(out, JSON.stringify(result));
"""

# Modules that peft trains, by class.
TRAINED = {
    "gpt2": {"target_modules": ["c_attn", "c_fc"], "r": 4, "lora_alpha": 12},
    "llama": {"target_modules": "all-linear", "r": 4, "use_rslora": True},
    "qwen2": {"target_modules": ["q_proj", "o_proj"], "r": 2, "rank_pattern": {"o_proj": 5}, "alpha_pattern": {"q_proj": 3}},
    "qwen3": {"target_modules": r".*\.mlp\.(up|down)_proj", "r": 8},
    "phi3": {"target_modules": ["qkv_proj", "gate_up_proj"], "r": 4},
}


def node(program, *arguments):
    subprocess.run(["node", "--input-type=module", "-e", program, *map(str, arguments)], cwd=ROOT, check=True)


def compare(name, what, ours, theirs):
    """Prints the largest difference, in units of the tolerance for float32 sums."""
    tolerance = 8 * 2**-23 * math.sqrt(theirs.shape[0]) * theirs.abs().max()
    worst = (ours - theirs).abs().max()
    print(f"{name:14} {what:34} {worst:.1e} of {theirs.abs().max():.1f}, {worst / tolerance:.3f} of the tolerance")
    if not worst <= tolerance:
        sys.exit(f"{name}: {what} differs")


def open_model(path):
    return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="eager").eval()


def logits_of(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0]


def check(adapter, scratch):
    """Compares our logits of model and adapter with the logits of peft. Merges the two and compares again."""
    base = json.loads((adapter / "adapter_config.json").read_text())["base_model_name_or_path"]
    with warnings.catch_warnings():
        # peft only warns about a missing tensor.
        warnings.simplefilter("error", UserWarning)
        model = PeftModel.from_pretrained(open_model(base), adapter).eval()
    loaded = {name for name, _ in model.named_parameters() if "lora_" in name}
    with safe_open(adapter / "adapter_model.safetensors", "pt") as file:
        wanted = {name.replace(".weight", ".default.weight") for name in file.keys()}
    if loaded != wanted:
        sys.exit(f"{adapter.name}: other tensors: {sorted(loaded ^ wanted)[:4]}")
    node(OURS, adapter, scratch / "ours.json")
    found = json.loads((scratch / "ours.json").read_text())
    for backend, result in found.items():
        theirs = logits_of(model, result["ids"])
        ours = torch.tensor(result["logits"]).reshape(result["shape"])
        compare(adapter.name, f"{backend}, model and adapter", ours, theirs)
    plain = logits_of(open_model(base), result["ids"])
    if (plain - theirs).abs().max() < 0.01 * theirs.abs().max():
        sys.exit(f"{adapter.name}: the adapter changes almost nothing")
    merged = scratch / f"{adapter.name}-merged"
    subprocess.run(
        ["node", "dist/cli/main.js", "merge", adapter, "--out", merged], cwd=ROOT, check=True, capture_output=True
    )
    compare(adapter.name, "merged, in transformers", logits_of(open_model(merged), result["ids"]), theirs)


def train(base, options, folder):
    """A few training steps of peft on random tokens."""
    torch.manual_seed(3)
    model = get_peft_model(open_model(base), LoraConfig(task_type="CAUSAL_LM", **options))
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.03)
    for _ in range(5):
        ids = torch.randint(0, model.config.vocab_size, (4, 24))
        model(ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)


def main():
    with tempfile.TemporaryDirectory() as made:
        scratch = Path(made)
        if len(sys.argv) > 1:
            check(Path(sys.argv[1]).resolve(), scratch)
            return
        node(WRITE, scratch)
        for name in TRAINED:
            for kind in ("all", "q-v", "mlp"):
                check(scratch / f"{name}-{kind}", scratch)
        for name, options in TRAINED.items():
            train(scratch / name, options, scratch / f"{name}-peft")
            check(scratch / f"{name}-peft", scratch)


if __name__ == "__main__":
    main()

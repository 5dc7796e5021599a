"""Writes test/fixtures/peft/: LoRA adapters as PEFT itself saves them, for models of test/fixtures/hugging-face/, and the logits
of model and adapter together. Run by hand, after scripts/make-fixtures-hugging-face.py:

    pip install torch numpy safetensors transformers peft
    python scripts/make-fixtures-peft.py

The logits are of the saved files, in float32 with eager attention, and in expected.safetensors by the adapter's name; expected.json
has the token ids.
"""

import json
import shutil
from pathlib import Path

import peft
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

SEED = 2
FIXTURES = Path(__file__).resolve().parent.parent / "test/fixtures"
FOLDER = FIXTURES / "peft"
VOCABULARY, LENGTH = 61, 24
F32, F16, BF16 = torch.float32, torch.float16, torch.bfloat16

ATTENTION, MLP = ["q_proj", "k_proj", "v_proj", "o_proj"], ["gate_proj", "up_proj", "down_proj"]

# Adapter: model, element type of its file, configuration.
CASES = {
    "llama": ("llama3", F32, {"r": 4, "lora_alpha": 8, "target_modules": ATTENTION + MLP, "lora_dropout": 0.1}),
    "qwen3": ("qwen3", BF16, {"r": 3, "lora_alpha": 6, "target_modules": "all-linear", "use_rslora": True}),
    "gpt2": ("gpt2", F32, {"r": 4, "lora_alpha": 10, "target_modules": ["c_attn", "c_proj", "c_fc"]}),
    "phi3": ("phi3", F32, {"r": 2, "lora_alpha": 3, "target_modules": ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"]}),
    "patterns": (
        *("llama3", F16),
        {
            **{"r": 2, "lora_alpha": 4, "target_modules": ["q_proj", "v_proj", "up_proj"]},
            **{"rank_pattern": {"v_proj": 3, "^model.layers.1.self_attn.q_proj": 5}, "alpha_pattern": {"mlp.up_proj": 7}},
        },
    ),
    "expression": ("qwen2", F32, {"r": 2, "lora_alpha": 4, "target_modules": r".*\.self_attn\.(q|v)_proj"}),
    "last-layer": ("mistral", F32, {"r": 2, "lora_alpha": 4, "target_modules": ["down_proj"], "layers_to_transform": [1]}),
}


def randomise(model, generator):
    """Values of a size that makes each part of the adapter count; B begins as zeros."""
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator)


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    generator = torch.Generator().manual_seed(SEED)
    logits, ids = {}, {}
    for name, (base, dtype, options) in CASES.items():
        open_base = lambda: AutoModelForCausalLM.from_pretrained(
            FIXTURES / "hugging-face" / base, dtype=F32, attn_implementation="eager"
        )
        config = LoraConfig(task_type="CAUSAL_LM", **options)
        model = get_peft_model(open_base(), config)
        # PEFT has noted the path of the model on this machine.
        model.peft_config["default"].base_model_name_or_path = f"../../hugging-face/{base}"
        randomise(model, generator)
        folder = FOLDER / name
        model.save_pretrained(folder)
        (folder / "README.md").unlink()
        weights = folder / "adapter_model.safetensors"
        save_file({key: value.to(dtype) for key, value in load_file(weights).items()}, weights, {"format": "pt"})
        ids[name] = torch.randint(0, VOCABULARY, (LENGTH,), generator=generator).tolist()
        read = PeftModel.from_pretrained(open_base(), folder).eval()
        with torch.no_grad():
            logits[name] = read(torch.tensor([ids[name]])).logits[0].contiguous()
    save_file(logits, FOLDER / "expected.safetensors")
    origin = {
        **{"script": "scripts/make-fixtures-peft.py", "seed": SEED},
        **{"torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__},
    }
    (FOLDER / "expected.json").write_text(json.dumps({"origin": origin, "ids": ids}) + "\n")


if __name__ == "__main__":
    main()

"""Writes test/fixtures/hugging-face/: small models as `transformers` itself saves them, and their logits. Run by hand:

    pip install torch numpy safetensors transformers
    python scripts/make-fixtures-hugging-face.py

Each directory is written by `save_pretrained`: float32, float16 or bfloat16, in one file or several. The logits are of the saved
weights, in float32 with eager attention, and in expected.safetensors by the directory's name; expected.json has the token ids.
"""

import json
import shutil
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from transformers import (
    AutoModelForCausalLM,
    GenerationConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

SEED = 1
FOLDER = Path(__file__).resolve().parent.parent / "test/fixtures/hugging-face"
VOCABULARY, LENGTH = 61, 24

gpt2 = {
    **{"vocab_size": VOCABULARY, "n_positions": 32, "n_embd": 24, "n_layer": 2, "n_head": 3, "n_inner": 48},
    **{"bos_token_id": 60, "eos_token_id": 60},
}
llama = {
    **{"vocab_size": VOCABULARY, "max_position_embeddings": 48, "hidden_size": 24, "intermediate_size": 32},
    **{"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "bos_token_id": 1, "eos_token_id": 2},
}
llama3 = {
    **{"rope_type": "llama3", "rope_theta": 100.0, "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0},
    "original_max_position_embeddings": 16,
}
linear = {"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.0}
F32, F16, BF16 = torch.float32, torch.float16, torch.bfloat16

# Directory: class, configuration, dtype, largest file, whether the model is saved without its head.
CASES = {
    "gpt2": (GPT2LMHeadModel, GPT2Config(**gpt2), F32, None, False),
    "gpt2-erf-untied": (
        *(GPT2LMHeadModel, GPT2Config(**gpt2, activation_function="gelu", tie_word_embeddings=False)),
        *(BF16, None, False),
    ),
    "gpt2-bare": (GPT2LMHeadModel, GPT2Config(**gpt2), F16, None, True),
    "llama3": (LlamaForCausalLM, LlamaConfig(**llama, head_dim=10, rope_parameters=llama3), F16, None, False),
    "llama-biases": (
        *(LlamaForCausalLM, LlamaConfig(**llama, attention_bias=True, mlp_bias=True, rope_parameters=linear)),
        *(F32, "20KB", False),
    ),
    "qwen2": (Qwen2ForCausalLM, Qwen2Config(**llama, tie_word_embeddings=True), BF16, "10KB", False),
    "qwen3": (Qwen3ForCausalLM, Qwen3Config(**llama, head_dim=12, tie_word_embeddings=True), BF16, None, False),
    "mistral": (MistralForCausalLM, MistralConfig(**llama, sliding_window=None), BF16, None, False),
    "phi3": (Phi3ForCausalLM, Phi3Config(**llama, pad_token_id=None), BF16, None, False),
}


def randomise(model, generator):
    """Weights of a size that makes each part of the model count."""
    for name, parameter in model.named_parameters():
        drawn = torch.randn(parameter.shape, generator=generator)
        if parameter.dim() >= 2:
            parameter.data = 0.25 * drawn
        else:
            parameter.data = 0.2 * drawn + (1 if "norm" in name or "ln_" in name else 0) * ("weight" in name)
    model.tie_weights()


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    generator = torch.Generator().manual_seed(SEED)
    logits, ids = {}, {}
    for name, (kind, config, dtype, shard, bare) in CASES.items():
        model = kind(config)
        randomise(model, generator)
        model.to(dtype)
        folder = FOLDER / name
        saved = model.base_model if bare else model
        if name == "qwen3":
            saved.generation_config = GenerationConfig(eos_token_id=[2, 7], bos_token_id=1)
        saved.save_pretrained(folder, **({} if shard is None else {"max_shard_size": shard}))
        ids[name] = torch.randint(0, VOCABULARY, (LENGTH,), generator=generator).tolist()
        read = AutoModelForCausalLM.from_pretrained(folder, dtype=F32, attn_implementation="eager").eval()
        with torch.no_grad():
            logits[name] = read(torch.tensor([ids[name]])).logits[0].contiguous()
    save_file(logits, FOLDER / "expected.safetensors")
    origin = {
        **{"script": "scripts/make-fixtures-hugging-face.py", "seed": SEED},
        **{"torch": torch.__version__, "transformers": transformers.__version__},
    }
    (FOLDER / "expected.json").write_text(json.dumps({"origin": origin, "ids": ids}) + "\n")


if __name__ == "__main__":
    main()

"""Writes test/fixtures/lora.json and lora.safetensors: what PEFT, `transformers` and PyTorch compute for a small model with
LoRA adapters, and for five steps of AdamW. Run by hand:

    pip install torch numpy safetensors transformers peft
    python scripts/make-fixtures-lora.py

The model is the LlamaForCausalLM of make-fixtures-llama.py with its weights, the adapters are PEFT's own, in float32 on one
thread. Their matrices come from the hash of make-fixtures.py, the matrices B too: so every gradient counts.
"""

import importlib.util
import json
from pathlib import Path

import numpy as np
import peft
import torch
from safetensors.numpy import save_file

spec = importlib.util.spec_from_file_location("llama", Path(__file__).with_name("make-fixtures-llama.py"))
llama = importlib.util.module_from_spec(spec)
spec.loader.exec_module(llama)
base = llama.base

ORIGIN = llama.ORIGIN | {"script": "scripts/make-fixtures-lora.py", "peft": peft.__version__}
CONFIG = llama.FIXTURES["llama"]
LORA = {"rank": 4, "alpha": 8, "dropout": 0}
MODULES = {
    "attention.query": "self_attn.q_proj",
    "attention.key": "self_attn.k_proj",
    "attention.value": "self_attn.v_proj",
    "attention.projection": "self_attn.o_proj",
    "mlp.gate": "mlp.gate_proj",
    "mlp.up": "mlp.up_proj",
    "mlp.down": "mlp.down_proj",
}
BATCH = 3


def make_model():
    """The model with PEFT's adapters, and their matrices by our names."""
    model, _ = llama.make_model("llama", CONFIG)
    lora = peft.LoraConfig(
        r=LORA["rank"],
        lora_alpha=LORA["alpha"],
        lora_dropout=LORA["dropout"],
        target_modules=[module.split(".")[1] for module in MODULES.values()],
        task_type="CAUSAL_LM",
    )
    model = peft.get_peft_model(model, lora)
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    ours = {}
    with torch.no_grad():
        for i in range(CONFIG["nLayer"]):
            for name, module in MODULES.items():
                for part in ("A", "B"):
                    theirs = f"base_model.model.model.layers.{i}.{module}.lora_{part}.default.weight"
                    own = f"blocks.{i}.{name}.lora{part}"
                    ours[own] = parameters.pop(theirs)
                    shape = tuple(ours[own].shape)
                    values = base.hash_uniform(own, int(np.prod(shape))).reshape(shape) / 8
                    ours[own].copy_(torch.from_numpy(values.astype(np.float32)))
    assert not parameters, parameters.keys()
    return model, ours


def gradients():
    model, ours = make_model()
    x, y = base.make_pairs(CONFIG, BATCH)
    logits = model(x).logits
    loss = base.loss_of(logits, y)
    loss.backward()
    return logits.detach().numpy(), loss.item(), {name: p.grad.numpy() for name, p in ours.items()}


def train(plan):
    model, ours = make_model()
    o = plan["optimizer"]
    parameters = list(ours.values())
    optimizer = torch.optim.AdamW(
        parameters, lr=1, betas=(o["beta1"], o["beta2"]), eps=o["eps"], weight_decay=o["weightDecay"]
    )
    tokens = base.hash_integers("text", plan["tokens"], CONFIG["vocabSize"])
    B, T, micro = plan["batchSize"], CONFIG["contextLength"], plan["gradAccumSteps"]
    history = {"losses": [], "gradNorms": [], "learningRates": []}
    for step in range(plan["steps"]):
        model.zero_grad()
        offsets = base.window_offsets(step, B * micro, len(tokens) - T)
        total = 0.0
        for m in range(micro):
            windows = torch.from_numpy(np.stack([tokens[o : o + T + 1] for o in offsets[m * B : (m + 1) * B]]))
            loss = base.loss_of(model(windows[:, :-1]).logits, windows[:, 1:]) / micro
            loss.backward()
            total += loss.item()
        norm = torch.nn.utils.clip_grad_norm_(parameters, plan["maxGradNorm"]).item()
        rate = base.learning_rate(plan, step)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        history["losses"].append(total)
        history["gradNorms"].append(norm)
        history["learningRates"].append(rate)
    return history, {name: p.detach().numpy() for name, p in ours.items()}


def main():
    plan = llama.PLAN | {"steps": 5, "warmupSteps": 2, "maxGradNorm": 0.1}
    logits, loss, grads = gradients()
    history, weights = train(plan)
    tensors = {"logits": logits}
    tensors |= {f"gradient.{name}": g for name, g in grads.items()}
    tensors |= {f"adamw.{name}": value for name, value in weights.items()}
    runs = {"adamw": {"plan": plan, "dropout": 0, **history}}
    description = {**ORIGIN, "config": CONFIG, "lora": LORA, "batch": BATCH, "loss": loss, "runs": runs}
    (base.FIXTURES / "lora.json").write_text(json.dumps(description, indent=1) + "\n")
    save_file({n: np.ascontiguousarray(v) for n, v in tensors.items()}, base.FIXTURES / "lora.safetensors")


if __name__ == "__main__":
    main()

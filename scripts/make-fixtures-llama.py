"""Writes test/fixtures/llama.* and phi3.*: what `transformers` and PyTorch compute for small models with grouped queries,
and for ten steps of AdamW. Run by hand:

    pip install torch numpy safetensors transformers
    python scripts/make-fixtures-llama.py

The models are LlamaForCausalLM, with heads that are not nEmbd / nHead wide and Llama 3's scaling of wavelengths, and
Phi3ForCausalLM, which rotates a part of each head; both themselves (eager attention), in float32 on one thread. Weights,
tokens and batches come from the hash and the Threefry numbers of make-fixtures.py.
"""

import importlib.util
import json
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.numpy import save_file

spec = importlib.util.spec_from_file_location("base", Path(__file__).with_name("make-fixtures.py"))
base = importlib.util.module_from_spec(spec)
spec.loader.exec_module(base)

ORIGIN = {
    "script": "scripts/make-fixtures-llama.py",
    "torch": torch.__version__,
    "transformers": transformers.__version__,
    "seed": base.SEED,
}
SIZES = {"vocabSize": 11, "contextLength": 8, "nEmbd": 16, "nHead": 4, "nKvHead": 2, "headDim": 6, "nLayer": 2, "hidden": 24}
# In the original context the three wavelengths turn 0.64, 0.23 and 0.09 times: one is as it was, one in between, one stretched.
SCALING = {"kind": "llama3", "factor": 4, "lowFrequency": 0.1, "highFrequency": 0.5, "originalContext": 4}
FIXTURES = {
    "llama": SIZES | {"position": {"kind": "rope", "theta": 20, "scaling": SCALING}},
    "phi3": SIZES | {"headDim": 8, "position": {"kind": "rope", "theta": 10000, "fraction": 0.5}},
}
EPS = 1e-6


def parameter_shapes(c):
    C, D, F = c["nEmbd"], c["headDim"], c["hidden"]
    width = c["nHead"] * D
    shapes = {"tokens.weight": (c["vocabSize"], C)}
    for i in range(c["nLayer"]):
        b = f"blocks.{i}"
        shapes |= {
            f"{b}.attentionNorm.weight": (C,),
            f"{b}.attention.qkv.weight": (width + 2 * c["nKvHead"] * D, C),
            f"{b}.attention.projection.weight": (C, width),
            f"{b}.mlpNorm.weight": (C,),
            f"{b}.mlp.gateUp.weight": (2 * F, C),
            f"{b}.mlp.down.weight": (C, F),
        }
    return shapes | {"norm.weight": (C,), "head.weight": (c["vocabSize"], C)}


def theirs(kind, name):
    """Names in the class; several where one of our weights is theirs stacked."""
    if not name.startswith("blocks."):
        return [{"tokens": "model.embed_tokens", "norm": "model.norm", "head": "lm_head"}[name[:-7]] + ".weight"]
    _, i, rest = name.split(".", 2)
    packed = kind == "phi3"
    table = {
        "attentionNorm": ["input_layernorm"],
        "attention.qkv": ["self_attn.qkv_proj"] if packed else [f"self_attn.{p}_proj" for p in "qkv"],
        "attention.projection": ["self_attn.o_proj"],
        "mlpNorm": ["post_attention_layernorm"],
        "mlp.gateUp": ["mlp.gate_up_proj"] if packed else ["mlp.gate_proj", "mlp.up_proj"],
        "mlp.down": ["mlp.down_proj"],
    }
    return [f"model.layers.{i}.{part}.weight" for part in table[rest[:-7]]]


def make_model(kind, c):
    """The class with the hash's weights, and its parameters by our names."""
    common = {
        "vocab_size": c["vocabSize"],
        "hidden_size": c["nEmbd"],
        "intermediate_size": c["hidden"],
        "num_hidden_layers": c["nLayer"],
        "num_attention_heads": c["nHead"],
        "num_key_value_heads": c["nKvHead"],
        "head_dim": c["headDim"],
        "max_position_embeddings": c["contextLength"],
        "rms_norm_eps": EPS,
        "rope_theta": c["position"]["theta"],
        "tie_word_embeddings": False,
        "attn_implementation": "eager",
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": None,
    }
    if kind == "llama":
        s = c["position"]["scaling"]
        scaling = {
            "rope_type": "llama3",
            "factor": s["factor"],
            "low_freq_factor": s["lowFrequency"],
            "high_freq_factor": s["highFrequency"],
            "original_max_position_embeddings": s["originalContext"],
        }
        model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**common, rope_scaling=scaling))
    else:
        more = {
            "partial_rotary_factor": c["position"]["fraction"],
            "original_max_position_embeddings": c["contextLength"],
            "sliding_window": None,
            "resid_pdrop": 0,
        }
        model = transformers.Phi3ForCausalLM(transformers.Phi3Config(**common, **more))
    parameters = dict(model.named_parameters())
    ours = {}
    with torch.no_grad():
        for name, shape in parameter_shapes(c).items():
            u = base.hash_uniform(name, int(np.prod(shape))).reshape(shape)
            values = 1 + u / 8 if len(shape) == 1 else u / 8
            ours[name] = [parameters.pop(n) for n in theirs(kind, name)]
            whole = torch.from_numpy(values.astype(np.float32))
            for part, value in zip(ours[name], whole.split([len(part) for part in ours[name]])):
                part.copy_(value)
    assert not parameters, parameters.keys()
    return model, ours


def joined(parts):
    return np.concatenate([part.detach().numpy() for part in parts])


def gradients(kind, c, batch):
    model, ours = make_model(kind, c)
    x, y = base.make_pairs(c, batch)
    logits = model(x).logits
    loss = base.loss_of(logits, y)
    loss.backward()
    return logits.detach().numpy(), loss.item(), {name: joined([p.grad for p in parts]) for name, parts in ours.items()}


def train(kind, c, plan):
    model, ours = make_model(kind, c)
    model.train()
    o = plan["optimizer"]
    parameters = [p for parts in ours.values() for p in parts]
    groups = [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": o["weightDecay"]},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=1, betas=(o["beta1"], o["beta2"]), eps=o["eps"])
    tokens = base.hash_integers("text", plan["tokens"], c["vocabSize"])
    B, T, micro = plan["batchSize"], c["contextLength"], plan["gradAccumSteps"]
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
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), plan["maxGradNorm"]).item()
        rate = base.learning_rate(plan, step)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        history["losses"].append(total)
        history["gradNorms"].append(norm)
        history["learningRates"].append(rate)
    return history, {name: joined(parts) for name, parts in ours.items()}


PLAN = {
    "tokens": 300,
    "steps": 10,
    "batchSize": 3,
    "gradAccumSteps": 2,
    "learningRate": 3e-3,
    "warmupSteps": 3,
    "schedule": {"kind": "cosine", "minLearningRate": 3e-4},
    "maxGradNorm": 1.0,
    "optimizer": {"kind": "adamw", "beta1": 0.9, "beta2": 0.99, "eps": 1e-8, "weightDecay": 0.1},
}


def write(kind, c):
    logits, loss, grads = gradients(kind, c, 3)
    history, weights = train(kind, c, PLAN)
    tensors = {"logits": logits}
    tensors |= {f"gradient.{name}": g for name, g in grads.items()}
    tensors |= {f"adamw.{name}": value for name, value in weights.items()}
    runs = {"adamw": {"plan": PLAN, "dropout": 0, **history}}
    description = {**ORIGIN, "config": c, "batch": 3, "loss": loss, "runs": runs}
    (base.FIXTURES / f"{kind}.json").write_text(json.dumps(description, indent=1) + "\n")
    save_file({n: np.ascontiguousarray(v) for n, v in tensors.items()}, base.FIXTURES / f"{kind}.safetensors")


if __name__ == "__main__":
    for kind, config in FIXTURES.items():
        write(kind, config)

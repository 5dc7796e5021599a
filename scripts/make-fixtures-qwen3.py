"""Writes test/fixtures/qwen3.json and qwen3.safetensors: what `transformers` and PyTorch compute for a small model of
the shape of preset "shakespeare", and for ten steps of Muon. Run by hand:

    pip install torch numpy safetensors transformers
    python scripts/make-fixtures-qwen3.py

The model is Qwen3ForCausalLM itself (eager attention) and the optimizer is torch.optim.Muon itself, all in float32 on one thread;
PyTorch's Muon rounds to bfloat16 on its way, so that one word of its source is replaced. Weights, tokens and batches
come from the hash and the Threefry numbers of make-fixtures.py.
"""

import importlib.util
import inspect
import json
from pathlib import Path

import numpy as np
import torch
import torch.optim._muon as muon
import transformers
from safetensors.numpy import save_file

spec = importlib.util.spec_from_file_location("base", Path(__file__).with_name("make-fixtures.py"))
base = importlib.util.module_from_spec(spec)
spec.loader.exec_module(base)

ORIGIN = {
    "script": "scripts/make-fixtures-qwen3.py",
    "torch": torch.__version__,
    "transformers": transformers.__version__,
    "seed": base.SEED,
}
CONFIG = {"vocabSize": 11, "contextLength": 8, "nEmbd": 16, "nHead": 2, "nLayer": 2, "hidden": 24}
EPS = 1e-6

source = inspect.getsource(muon._zeropower_via_newtonschulz)
assert source.count("torch.bfloat16") == 1
exec(source.replace("torch.bfloat16", "torch.float32"), muon.__dict__)


def parameter_shapes(c):
    C, D, F = c["nEmbd"], c["nEmbd"] // c["nHead"], c["hidden"]
    shapes = {"tokens.weight": (c["vocabSize"], C)}
    for i in range(c["nLayer"]):
        b = f"blocks.{i}"
        shapes |= {
            f"{b}.attentionNorm.weight": (C,),
            f"{b}.attention.qkv.weight": (3 * C, C),
            f"{b}.attention.queryNorm.weight": (D,),
            f"{b}.attention.keyNorm.weight": (D,),
            f"{b}.attention.projection.weight": (C, C),
            f"{b}.mlpNorm.weight": (C,),
            f"{b}.mlp.gateUp.weight": (2 * F, C),
            f"{b}.mlp.down.weight": (C, F),
        }
    return shapes | {"norm.weight": (C,), "head.weight": (c["vocabSize"], C)}


def theirs(name):
    """Names in Qwen3ForCausalLM; several where one of our weights is theirs stacked."""
    if not name.startswith("blocks."):
        return [{"tokens": "model.embed_tokens", "norm": "model.norm", "head": "lm_head"}[name[:-7]] + ".weight"]
    _, i, rest = name.split(".", 2)
    table = {
        "attentionNorm": ["input_layernorm"],
        "attention.qkv": ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
        "attention.queryNorm": ["self_attn.q_norm"],
        "attention.keyNorm": ["self_attn.k_norm"],
        "attention.projection": ["self_attn.o_proj"],
        "mlpNorm": ["post_attention_layernorm"],
        "mlp.gateUp": ["mlp.gate_proj", "mlp.up_proj"],
        "mlp.down": ["mlp.down_proj"],
    }
    return [f"model.layers.{i}.{part}.weight" for part in table[rest[:-7]]]


def make_model(c):
    """Qwen3ForCausalLM with the hash's weights, and its parameters by our names."""
    config = transformers.Qwen3Config(
        vocab_size=c["vocabSize"],
        hidden_size=c["nEmbd"],
        intermediate_size=c["hidden"],
        num_hidden_layers=c["nLayer"],
        num_attention_heads=c["nHead"],
        num_key_value_heads=c["nHead"],
        head_dim=c["nEmbd"] // c["nHead"],
        max_position_embeddings=c["contextLength"],
        rms_norm_eps=EPS,
        tie_word_embeddings=False,
        attention_bias=False,
        attn_implementation="eager",
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
    )
    model = transformers.Qwen3ForCausalLM(config)
    parameters = dict(model.named_parameters())
    ours = {}
    with torch.no_grad():
        for name, shape in parameter_shapes(c).items():
            u = base.hash_uniform(name, int(np.prod(shape))).reshape(shape)
            values = 1 + u / 8 if len(shape) == 1 else u / 8
            ours[name] = [parameters.pop(n) for n in theirs(name)]
            whole = torch.from_numpy(values.astype(np.float32))
            for part, value in zip(ours[name], whole.chunk(len(ours[name]))):
                part.copy_(value)
    assert not parameters, parameters.keys()
    return model, ours


def joined(parts):
    return np.concatenate([part.detach().numpy() for part in parts])


def gradients(c, batch):
    model, ours = make_model(c)
    x, y = base.make_pairs(c, batch)
    logits = model(x).logits
    loss = base.loss_of(logits, y)
    loss.backward()
    return logits.detach().numpy(), loss.item(), {name: joined([p.grad for p in parts]) for name, parts in ours.items()}


def learning_rate(plan, step):
    """src/optim/schedule.ts: linear warm-up, then a straight line down to the last step."""
    top, warmup, steps = plan["learningRate"], plan["warmupSteps"], plan["steps"]
    low = plan["schedule"]["minLearningRate"]
    if step < warmup:
        return top * (step + 1) / warmup
    return low + (1 - (step - warmup) / (steps - 1 - warmup)) * (top - low)


def train(c, plan):
    model, ours = make_model(c)
    o = plan["optimizer"]
    matrices = [p for name, parts in ours.items() for p in parts if name.startswith("blocks") and p.dim() == 2]
    others = [p for name, parts in ours.items() for p in parts if not (name.startswith("blocks") and p.dim() == 2)]
    first = torch.optim.Muon(matrices, lr=1, weight_decay=o["weightDecay"], momentum=o["momentum"])
    second = torch.optim.AdamW(others, lr=1, betas=(o["beta1"], o["beta2"]), eps=o["eps"], weight_decay=0)
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
        rate = learning_rate(plan, step)
        for optimizer, factor in ((first, 1), (second, o["adamLearningRateRatio"])):
            for group in optimizer.param_groups:
                group["lr"] = rate * factor
            optimizer.step()
        history["losses"].append(total)
        history["gradNorms"].append(norm)
        history["learningRates"].append(rate)
    return history, {name: joined(parts) for name, parts in ours.items()}


def main():
    logits, loss, grads = gradients(CONFIG, 3)
    tensors = {"logits": logits} | {f"gradient.{name}": g for name, g in grads.items()}
    plan = {
        "tokens": 300,
        "steps": 10,
        "batchSize": 3,
        "gradAccumSteps": 2,
        "learningRate": 0.02,
        "warmupSteps": 3,
        "schedule": {"kind": "linear", "minLearningRate": 2e-3},
        "maxGradNorm": 1.0,
        "optimizer": {
            "kind": "muon",
            "momentum": 0.95,
            "adamLearningRateRatio": 0.15,
            "beta1": 0.9,
            "beta2": 0.95,
            "eps": 1e-8,
            "weightDecay": 0.1,
        },
    }
    history, weights = train(CONFIG, plan)
    tensors |= {f"muon.{name}": value for name, value in weights.items()}
    runs = {"muon": {"plan": plan, "dropout": 0, **history}}
    description = {**ORIGIN, "config": CONFIG, "batch": 3, "loss": loss, "runs": runs}
    (base.FIXTURES / "qwen3.json").write_text(json.dumps(description, indent=1) + "\n")
    save_file({n: np.ascontiguousarray(v) for n, v in tensors.items()}, base.FIXTURES / "qwen3.safetensors")


if __name__ == "__main__":
    main()

"""Writes test/fixtures/*.json and *.safetensors: what PyTorch computes for our models. Run by hand:

    pip install torch numpy safetensors
    python scripts/make-fixtures.py

The model below is written from the equations, with PyTorch's own functions for each, in float32 on one thread. Weights
and tokens are not stored: they come from an integer hash that test/support/hash.ts computes too. Dropout masks and
batches come from the Threefry numbers of src/core/random.ts, written here once more, so the masks and the
windows that a step takes are held against a second implementation as well.
"""

import json
import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file

FIXTURES = Path(__file__).resolve().parent.parent / "test" / "fixtures"
SEED = 20
ORIGIN = {"script": "scripts/make-fixtures.py", "torch": torch.__version__, "seed": SEED}
torch.set_num_threads(1)

# The hash of test/support/hash.ts.


def mix(word):
    h = np.asarray(word, dtype=np.uint32)
    h = (h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    h = (h ^ (h >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return h ^ (h >> np.uint32(16))


def hash_name(name):
    h = 0x811C9DC5
    for character in name:
        h = ((h ^ ord(character)) * 0x01000193) & 0xFFFFFFFF
    return h


def hash_words(name, n):
    with np.errstate(over="ignore"):
        return mix(mix(hash_name(name)) + np.arange(n, dtype=np.uint32) * np.uint32(0x9E3779B9))


def hash_uniform(name, n):
    return (hash_words(name, n) >> np.uint32(8)).astype(np.float64) / 2**23 - 1


def hash_signs(name, n):
    return np.where(hash_words(name, n) >> np.uint32(31) == 0, 1.0, -1.0)


def hash_integers(name, n, bound):
    return ((hash_words(name, n) >> np.uint32(8)) % np.uint32(bound)).astype(np.int64)


# Threefry-4x32-13 (Salmon et al. 2011), as in src/core/random.ts.

MASK = 0xFFFFFFFF
ROTATIONS = [(10, 26), (11, 21), (13, 27), (23, 5), (6, 20), (17, 11), (25, 10), (18, 20)]
STREAMS = {"init": 1, "batches": 2, "dropout": 3, "sampling": 4}


def threefry(counter, key):
    schedule = [*key, 0x1BD11BDA ^ key[0] ^ key[1] ^ key[2] ^ key[3]]
    x = [(c + k) & MASK for c, k in zip(counter, key)]
    for r in range(13):
        pairs = ((0, 1), (2, 3)) if r % 2 == 0 else ((0, 3), (2, 1))
        for (a, b), by in zip(pairs, ROTATIONS[r % 8]):
            x[a] = (x[a] + x[b]) & MASK
            x[b] = (((x[b] << by) | (x[b] >> (32 - by))) & MASK) ^ x[a]
        if r % 4 == 3:
            s = r // 4 + 1
            x = [(x[i] + schedule[(s + i) % 5]) & MASK for i in range(4)]
            x[3] = (x[3] + s) & MASK
    return x


def random_key(seed, stream, index):
    return (seed & MASK, seed >> 32, STREAMS[stream], index)


def window_offsets(step, rows, bound):
    """Where the windows of a step begin: two words make 53 bits, two of those come from each block."""
    words = [w for block in range((rows + 1) // 2) for w in threefry((block, 0, 0, 0), random_key(SEED, "batches", step))]
    uniforms = [((words[2 * r] >> 5) * 2**26 + (words[2 * r + 1] >> 6)) / 2**53 for r in range(rows)]
    return [math.floor(u * bound) for u in uniforms]


class Dropout:
    """Masks of one step: a new site for each place that drops, in order of use."""

    def __init__(self, p, step):
        self.p, self.key, self.site = p, random_key(SEED, "dropout", step), 0

    def mask(self, rows, width):
        """[rows, width] of 0 and 1/(1 − p); element i of a row is word (i mod 64) // 16 of its block's counter."""
        threshold = round(self.p * 2**32)
        out = np.zeros((rows, width), dtype=np.float32)
        for row in range(rows):
            for i in range(width):
                if i % 64 < 16:
                    words = threefry((i // 64 * 16 + i % 16, row, self.site, 0), self.key)
                    for w in range(4):
                        if i + 16 * w < width and words[w] >= threshold:
                            out[row, i + 16 * w] = 1 / (1 - self.p)
        self.site += 1
        return torch.from_numpy(out)


# The model: GPT-2's equations with pre-norm blocks; names and layouts of our parameters.


def parameter_shapes(c):
    C = c["nEmbd"]
    shapes = {"tokens.weight": (c["vocabSize"], C), "positions.weight": (c["contextLength"], C)}
    for i in range(c["nLayer"]):
        b = f"blocks.{i}"
        shapes |= {
            f"{b}.attentionNorm.weight": (C,),
            f"{b}.attentionNorm.bias": (C,),
            f"{b}.attention.qkv.weight": (3 * C, C),
            f"{b}.attention.projection.weight": (C, C),
            f"{b}.attention.projection.bias": (C,),
            f"{b}.mlpNorm.weight": (C,),
            f"{b}.mlpNorm.bias": (C,),
            f"{b}.mlp.up.weight": (4 * C, C),
            f"{b}.mlp.up.bias": (4 * C,),
            f"{b}.mlp.down.weight": (C, 4 * C),
            f"{b}.mlp.down.bias": (C,),
        }
    return shapes | {"norm.weight": (C,), "norm.bias": (C,), "head.weight": (c["vocabSize"], C)}


def make_parameters(c, dtype=torch.float32):
    """Uniform: norms' weights around 1, all else around 0. No bias is 0, or a missing one would not show."""
    parameters = {}
    for name, shape in parameter_shapes(c).items():
        u = hash_uniform(name, math.prod(shape)).reshape(shape)
        values = 1 + u / 8 if len(shape) == 1 and name.endswith("orm.weight") else u / (8 if len(shape) == 2 else 16)
        parameters[name] = torch.from_numpy(values.astype(np.float32)).to(dtype).requires_grad_()
    return parameters


def forward(c, p, ids, dropout=None):
    """ids [B, T] → logits [B, T, V]"""
    B, T = ids.shape
    C, H = c["nEmbd"], c["nHead"]

    def drop(x):
        return x if dropout is None else x * dropout.mask(1, x.numel()).reshape(x.shape)

    x = p["tokens.weight"][ids] + p["positions.weight"][:T]
    future = torch.ones(T, T, dtype=torch.bool).triu(1)
    for i in range(c["nLayer"]):
        b = f"blocks.{i}"
        h = F.layer_norm(x, (C,), p[f"{b}.attentionNorm.weight"], p[f"{b}.attentionNorm.bias"], 1e-5)
        qkv = F.linear(h, p[f"{b}.attention.qkv.weight"]).reshape(B, T, 3, H, C // H)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each [B, H, T, D]
        scores = (q @ k.transpose(-1, -2) / math.sqrt(C // H)).masked_fill(future, -math.inf)
        weights = scores.softmax(-1)
        if dropout is not None:
            weights = weights * dropout.mask(B * H * T, T).reshape(B, H, T, T)
        mixed = (weights @ v).transpose(1, 2).reshape(B, T, C)
        x = x + drop(F.linear(mixed, p[f"{b}.attention.projection.weight"], p[f"{b}.attention.projection.bias"]))
        h = F.layer_norm(x, (C,), p[f"{b}.mlpNorm.weight"], p[f"{b}.mlpNorm.bias"], 1e-5)
        h = F.gelu(F.linear(h, p[f"{b}.mlp.up.weight"], p[f"{b}.mlp.up.bias"]))
        x = x + drop(F.linear(h, p[f"{b}.mlp.down.weight"], p[f"{b}.mlp.down.bias"]))
    x = F.layer_norm(x, (C,), p["norm.weight"], p["norm.bias"], 1e-5)
    return F.linear(x, p["head.weight"])


def loss_of(logits, targets):
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def make_pairs(c, batch):
    """Inputs and targets [B, T] of the gradient fixtures."""
    shape = (batch, c["contextLength"])
    return [torch.from_numpy(hash_integers(n, math.prod(shape), c["vocabSize"]).reshape(shape)) for n in ("x", "y")]


def gradients(c, batch, dtype=torch.float32):
    p = make_parameters(c, dtype)
    x, y = make_pairs(c, batch)
    logits = forward(c, p, x)
    loss = loss_of(logits, y)
    loss.backward()
    return logits.detach(), loss.item(), {name: value.grad for name, value in p.items()}


def numbers(values):
    return [float(f"{v:.9g}") for v in np.asarray(values, dtype=np.float64).ravel()]


def write_book():
    """Every gradient as a norm, projections on random signs (all elements count) and 64 elements."""
    c = {"vocabSize": 65, "contextLength": 128, "nEmbd": 128, "nHead": 4, "nLayer": 4}
    logits, loss, grads = gradients(c, 2)
    # How far float32 in PyTorch is from the truth, so that a reader can judge our own distance.
    exact_logits, _, exact = gradients(c, 2, torch.float64)
    rows = [0, 1, 77, 128, 255]
    out = {}
    for name, gradient in grads.items():
        g = gradient.double().numpy().ravel()
        places = hash_integers(f"places {name}", 64, 65536) * 65537 % g.size
        out[name] = {
            "largest": float(np.abs(g).max()),
            "norm": float(np.linalg.norm(g)),
            "projections": numbers([g @ hash_signs(f"signs {j} {name}", g.size) for j in range(3)]),
            "places": places.tolist(),
            "values": numbers(g[places]),
            "torchError": float(f"{np.abs(g - exact[name].numpy().ravel()).max():.3g}"),
        }
    fixture = {
        **ORIGIN,
        "config": c,
        "batch": 2,
        "loss": loss,
        "largestLogit": logits.abs().max().item(),
        "torchLogitError": float(f"{(logits - exact_logits).abs().max().item():.3g}"),
        "rows": rows,
        "logits": [numbers(logits.flatten(0, 1)[row]) for row in rows],
        "gradients": out,
    }
    (FIXTURES / "book.json").write_text(json.dumps(fixture, separators=(",", ":")) + "\n")


def learning_rate(plan, step):
    """src/optim/schedule.ts: linear warm-up, then constant or half a cosine that ends at the last step."""
    top, warmup, steps = plan["learningRate"], plan["warmupSteps"], plan["steps"]
    if step < warmup:
        return top * (step + 1) / warmup
    if plan["schedule"]["kind"] == "constant":
        return top
    low = plan["schedule"]["minLearningRate"]
    return low + 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - 1 - warmup))) * (top - low)


def train(c, plan, dropout):
    p = make_parameters(c)
    kind, decay = plan["optimizer"]["kind"], plan["optimizer"]["weightDecay"]
    o = plan["optimizer"]
    groups = [
        {"params": [v for v in p.values() if v.dim() >= 2], "weight_decay": decay},
        {"params": [v for v in p.values() if v.dim() < 2], "weight_decay": 0},
    ]
    make = torch.optim.AdamW if kind == "adamw" else torch.optim.Adam
    optimizer = make(groups, lr=1, betas=(o["beta1"], o["beta2"]), eps=o["eps"])
    tokens = hash_integers("text", plan["tokens"], c["vocabSize"])
    B, T, micro = plan["batchSize"], c["contextLength"], plan["gradAccumSteps"]
    history = {"losses": [], "gradNorms": [], "learningRates": []}
    for step in range(plan["steps"]):
        optimizer.zero_grad()
        drops = Dropout(dropout, step) if dropout > 0 else None
        offsets = window_offsets(step, B * micro, len(tokens) - T)
        total = 0.0
        for m in range(micro):
            windows = torch.from_numpy(np.stack([tokens[o : o + T + 1] for o in offsets[m * B : (m + 1) * B]]))
            loss = loss_of(forward(c, p, windows[:, :-1], drops), windows[:, 1:]) / micro
            loss.backward()
            total += loss.item()
        norm = torch.nn.utils.clip_grad_norm_(p.values(), plan["maxGradNorm"] or math.inf).item()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(plan, step)
        optimizer.step()
        history["losses"].append(total)
        history["gradNorms"].append(norm)
        history["learningRates"].append(learning_rate(plan, step))
    return history, {name: value.detach().numpy() for name, value in p.items()}


def write_small():
    c = {"vocabSize": 11, "contextLength": 8, "nEmbd": 16, "nHead": 2, "nLayer": 2}
    logits, loss, grads = gradients(c, 3)
    tensors = {"logits": logits.numpy()} | {f"gradient.{name}": g.numpy() for name, g in grads.items()}
    plain = {
        "tokens": 300,
        "steps": 10,
        "batchSize": 3,
        "gradAccumSteps": 1,
        "learningRate": 3e-3,
        "warmupSteps": 0,
        "schedule": {"kind": "constant"},
        "maxGradNorm": 0,
        "optimizer": {"kind": "adam", "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weightDecay": 0},
    }
    full = {
        **plain,
        "gradAccumSteps": 2,
        "warmupSteps": 3,
        "schedule": {"kind": "cosine", "minLearningRate": 3e-4},
        "maxGradNorm": 1.0,
        "optimizer": {"kind": "adamw", "beta1": 0.9, "beta2": 0.99, "eps": 1e-8, "weightDecay": 0.1},
    }
    runs = {
        "adam": (plain, 0),
        # An eps as large as the gradients: where it is added then shows.
        "adam with L2": ({**full, "optimizer": {**full["optimizer"], "kind": "adam", "eps": 1e-3}}, 0),
        "adamw": (full, 0),
        "adamw with dropout": (full, 0.25),
    }
    histories = {}
    for name, (plan, dropout) in runs.items():
        history, weights = train(c, plan, dropout)
        histories[name] = {"plan": plan, "dropout": dropout, **history}
        tensors |= {f"{name}.{parameter}": value for parameter, value in weights.items()}
    description = {**ORIGIN, "config": c, "batch": 3, "loss": loss, "runs": histories}
    (FIXTURES / "small.json").write_text(json.dumps(description, indent=1) + "\n")
    save_file({name: np.ascontiguousarray(value) for name, value in tensors.items()}, FIXTURES / "small.safetensors")


if __name__ == "__main__":
    FIXTURES.mkdir(parents=True, exist_ok=True)
    write_book()
    write_small()
    for file in sorted(FIXTURES.iterdir()):
        print(f"{file.name}: {file.stat().st_size:,} bytes")

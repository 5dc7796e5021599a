"""A training step of the same model in PyTorch, for bench/train.mjs. Written for this comparison.

Usage: pytorch_train.py TOKENS JSON
TOKENS is a file of int32. JSON: {"config": {"model", "train"}, "vocabSize", "threads", "dtype", "attention"}
dtype: "float32", or "bfloat16" (autocast). attention: "sdpa" (torch.nn.functional.scaled_dot_product_attention) or
"plain" (softmax of a masked T x T matrix).
Reads lines {"steps": N} from standard input, trains N steps, answers with a JSON line; repeats until the input ends.
"""

import json
import resource
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

tokens_path, request = sys.argv[1:]
request = json.loads(request)
model_config, train_config = request["config"]["model"], request["config"]["train"]
torch.set_num_threads(request["threads"])
torch.manual_seed(1)

T, C, H, V = model_config["contextLength"], model_config["nEmbd"], model_config["nHead"], request["vocabSize"]
bias, dropout, eps = model_config["bias"], model_config["dropout"], model_config["norm"]["eps"]
ids = torch.frombuffer(bytearray(open(tokens_path, "rb").read()), dtype=torch.int32).long()


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(C, 3 * C, bias=bias["qkv"])
        self.projection = nn.Linear(C, C, bias=bias["projection"])
        self.register_buffer("mask", torch.ones(T, T, dtype=torch.bool).tril(), persistent=False)

    def forward(self, x):  # [B, T, C]
        batch, time_, _ = x.shape
        q, k, v = (part.view(batch, time_, H, C // H).transpose(1, 2) for part in self.qkv(x).split(C, dim=2))
        if request["attention"] == "sdpa":
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=dropout)
        else:
            scores = q @ k.transpose(-2, -1) * (C // H) ** -0.5
            weights = scores.masked_fill(~self.mask[:time_, :time_], float("-inf")).softmax(dim=-1)
            mixed = F.dropout(weights, dropout) @ v
        return F.dropout(self.projection(mixed.transpose(1, 2).reshape(batch, time_, C)), dropout)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        hidden = model_config["mlp"]["ratio"] * C
        self.norm1, self.norm2 = nn.LayerNorm(C, eps), nn.LayerNorm(C, eps)
        self.attention = Attention()
        self.up = nn.Linear(C, hidden, bias=bias["mlp"])
        self.down = nn.Linear(hidden, C, bias=bias["mlp"])

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        hidden = F.gelu(self.up(self.norm2(x)), approximate=model_config["mlp"]["approximate"])
        return x + F.dropout(self.down(hidden), dropout)


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(V, C)
        self.positions = nn.Embedding(T, C)
        self.blocks = nn.Sequential(*(Block() for _ in range(model_config["nLayer"])))
        self.norm = nn.LayerNorm(C, eps)
        self.head = nn.Linear(C, V, bias=False)
        if model_config["tieEmbeddings"]:
            self.head.weight = self.tokens.weight

    def forward(self, x, y):
        hidden = self.tokens(x) + self.positions(torch.arange(x.shape[1]))
        logits = self.head(self.norm(self.blocks(hidden)))
        return F.cross_entropy(logits.view(-1, V), y.view(-1))


model = Transformer()
for name, parameter in model.named_parameters():
    if parameter.dim() >= 2:
        nn.init.normal_(parameter, std=model_config["initStd"])
    elif name.endswith("bias"):
        nn.init.zeros_(parameter)
adam = train_config["optimizer"]
assert adam["kind"] == "adamw"
matrices = [p for p in model.parameters() if p.dim() >= 2]
vectors = [p for p in model.parameters() if p.dim() < 2]
optimizer = torch.optim.AdamW(
    [{"params": matrices, "weight_decay": adam["weightDecay"]}, {"params": vectors, "weight_decay": 0.0}],
    lr=train_config["learningRate"],
    betas=(adam["beta1"], adam["beta2"]),
    eps=adam["eps"],
    fused=True,
)


def step():
    offsets = torch.randint(len(ids) - T, (train_config["batchSize"],))
    x = torch.stack([ids[i : i + T] for i in offsets])
    y = torch.stack([ids[i + 1 : i + T + 1] for i in offsets])
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=request["dtype"] == "bfloat16"):
        loss = model(x, y)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), train_config["maxGradNorm"])
    optimizer.step()
    return loss.item()


def peak_memory():
    """Peak memory in bytes. On Linux it is VmHWM, because ru_maxrss inherits the value of the parent process."""
    try:
        with open("/proc/self/status") as status:
            return next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else 1024 * peak


parameters = sum(p.numel() for p in model.parameters())
print(json.dumps({"version": torch.__version__, "parameters": parameters}), flush=True)
for line in sys.stdin:
    times, losses = [], []
    for _ in range(json.loads(line)["steps"]):
        began = time.perf_counter()
        losses.append(step())
        times.append(time.perf_counter() - began)
    answer = {"milliseconds": [1000 * t for t in times], "losses": losses, "peakMemory": peak_memory()}
    print(json.dumps(answer), flush=True)

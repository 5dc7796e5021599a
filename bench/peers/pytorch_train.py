"""A training step of the same model in PyTorch, for bench/train.mjs. Written for this comparison.

Usage: pytorch_train.py TEXT CONFIG_JSON
Reads a line "N" from standard input, trains N steps, answers with one JSON line; repeats until the input ends.
CONFIG_JSON: {"contextLength", "nLayer", "nHead", "nEmbd", "batchSize", "learningRate", "threads", "attention"}
attention: "sdpa" (torch.nn.functional.scaled_dot_product_attention) or "plain" (softmax of a masked T x T matrix).
"""

import json
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

text_path, config_json = sys.argv[1:]
config = json.loads(config_json)
torch.set_num_threads(config["threads"])
torch.manual_seed(1)

T, C, H = config["contextLength"], config["nEmbd"], config["nHead"]
text = open(text_path, encoding="utf-8").read()
characters = sorted(set(text))
ids = torch.tensor([{c: i for i, c in enumerate(characters)}[c] for c in text[: int(0.9 * len(text))]])


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(C, 3 * C, bias=False)
        self.projection = nn.Linear(C, C)
        self.register_buffer("mask", torch.ones(T, T, dtype=torch.bool).tril(), persistent=False)

    def forward(self, x):  # [B, T, C]
        batch, time_, _ = x.shape
        q, k, v = (part.view(batch, time_, H, C // H).transpose(1, 2) for part in self.qkv(x).split(C, dim=2))
        if config["attention"] == "sdpa":
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            scores = q @ k.transpose(-2, -1) * (C // H) ** -0.5
            weights = scores.masked_fill(~self.mask[:time_, :time_], float("-inf")).softmax(dim=-1)
            mixed = weights @ v
        return self.projection(mixed.transpose(1, 2).reshape(batch, time_, C))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(C), nn.LayerNorm(C)
        self.attention = Attention()
        self.mlp = nn.Sequential(nn.Linear(C, 4 * C), nn.GELU(), nn.Linear(4 * C, C))

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(len(characters), C)
        self.positions = nn.Embedding(T, C)
        self.blocks = nn.Sequential(*(Block() for _ in range(config["nLayer"])))
        self.norm = nn.LayerNorm(C)
        self.head = nn.Linear(C, len(characters), bias=False)

    def forward(self, x, y):
        hidden = self.tokens(x) + self.positions(torch.arange(x.shape[1]))
        logits = self.head(self.norm(self.blocks(hidden)))
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), y.view(-1))


model = Transformer()
for name, parameter in model.named_parameters():
    if parameter.dim() >= 2:
        nn.init.normal_(parameter, std=0.02)
optimizer = torch.optim.Adam(model.parameters(), lr=config["learningRate"])


def step():
    offsets = torch.randint(len(ids) - T, (config["batchSize"],))
    x = torch.stack([ids[i : i + T] for i in offsets])
    y = torch.stack([ids[i + 1 : i + T + 1] for i in offsets])
    optimizer.zero_grad(set_to_none=True)
    loss = model(x, y)
    loss.backward()
    optimizer.step()
    return loss.item()


print(json.dumps({"version": torch.__version__, "parameters": sum(p.numel() for p in model.parameters())}), flush=True)
for line in sys.stdin:
    times = []
    for _ in range(int(line)):
        began = time.perf_counter()
        loss = step()
        times.append(time.perf_counter() - began)
    print(json.dumps({"milliseconds": [1000 * t for t in times], "loss": loss}), flush=True)

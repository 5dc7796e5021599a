"""The products of a linear layer in PyTorch, for bench/kernels.mjs. Written for this comparison.

Usage: pytorch_products.py THREADS
Reads lines {"products": [{"of", "m", "n", "k", "bias"}], "dtype", "milliseconds"} from standard input and answers each
with {"times": [{NAME: MILLISECONDS}]}, one for each product; repeats until the input ends. of: "forward", x @ w.T +
bias; "input", dy @ w; "weight", dy.T @ x. In bfloat16 operands and result are bfloat16 ("onednn"), or the operands come
as float32 and are cast first, as autocast does ("autocast"); in float32 the product is MKL's ("mkl").
"""

import json
import sys

import torch
from timing import time_of
from torch.nn import functional as F

torch.set_num_threads(int(sys.argv[1]))
torch.manual_seed(1)
block = torch.rand(1 << 16) * 2 - 1


def noise(rows, columns):
    return block.repeat(rows * columns // block.numel() + 1)[: rows * columns].view(rows, columns)


def ways(product, dtype):
    m, n, k = product["m"], product["n"], product["k"]
    x, w, dy, bias = noise(m, k), noise(n, k), noise(m, n), noise(1, n)[0] if product["bias"] else None
    if product["of"] == "forward":
        operands, run = [x, w, bias], F.linear
    elif product["of"] == "input":
        operands, run = [dy, w], torch.mm
    else:
        operands, run = [dy, x], lambda dy, x: torch.mm(dy.t(), x)
    if dtype == "float32":
        return {"mkl": lambda: run(*operands)}
    low = [None if one is None else one.bfloat16() for one in operands]
    cast = lambda: run(*(None if one is None else one.bfloat16() for one in operands))
    return {"onednn": lambda: run(*low), "autocast": cast}


print(json.dumps({"version": torch.__version__}), flush=True)
with torch.inference_mode():
    for line in sys.stdin:
        asked = json.loads(line)
        times = [
            {name: time_of(run, asked["milliseconds"]) for name, run in ways(product, asked["dtype"]).items()}
            for product in asked["products"]
        ]
        print(json.dumps({"times": times}), flush=True)

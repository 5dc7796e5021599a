"""The products of a linear layer in OpenBLAS through NumPy, for bench/kernels.mjs. Written for this comparison.

Usage: openblas_products.py THREADS, with OPENBLAS_NUM_THREADS set to THREADS
It reads and writes lines like pytorch_products.py, in float32. The result goes to preallocated memory. A bias is skipped.
"""

import json
import sys

import numpy as np
from timing import time_of

blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
if "openblas" not in blas["name"]:
    sys.exit(f"NumPy is built with {blas['name']} here, not with OpenBLAS")
block = np.random.default_rng(1).random(1 << 16, dtype=np.float32) * 2 - 1


def noise(rows, columns):
    return np.resize(block, (rows, columns))


def way(product):
    m, n, k = product["m"], product["n"], product["k"]
    if product["of"] == "forward":
        a, b = noise(m, k), noise(n, k).T
    elif product["of"] == "input":
        a, b = noise(m, n), noise(n, k)
    else:
        a, b = noise(m, n).T, noise(m, k)
    result = np.empty((a.shape[0], b.shape[1]), dtype=np.float32)
    return lambda: np.matmul(a, b, out=result)


print(json.dumps({"version": f"{blas['name']} {blas['version']}, NumPy {np.__version__}"}), flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    times = [{"openblas": time_of(way(product), asked["milliseconds"])} for product in asked["products"]]
    print(json.dumps({"times": times}), flush=True)

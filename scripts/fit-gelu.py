"""Prints the table of native/kernels/gelu_pieces.h. Run by hand (plain Python): python scripts/fit-gelu.py

GELU and its slope, for results that are rounded to bfloat16: x is cut into pieces of 1/2.9, and in each of them GELU is a
polynomial of degree 4 whose derivative is the slope. Both are fitted at once: weighted least squares, reweighted by the
error itself until it levels out (Lawson 1961). Errors are weighted as the conformance tests bound them: relative to the
value, but relative to 2⁻⁷ where the slope is near 0, and to 2⁻⁹·|x| where GELU is near 0. Around 0 the polynomial has no
constant term.
"""

import math
from fractions import Fraction

PIECES = 32
WIDTH = Fraction(10, 29)
DEGREE = 4
POINTS = 48
ROUNDS = 40
SCALE = math.sqrt(2 / math.pi)


def exact(x):
    """GELU from the error function, and its slope."""
    cumulative = 0.5 * math.erfc(-x / math.sqrt(2))
    return x * cumulative, cumulative + x * math.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def tanh_form(x):
    """GELU from tanh, and its slope. σ(2u) keeps full precision where it is small."""
    gate = 1 / (1 + math.exp(-2 * SCALE * (x + 0.044715 * x**3)))
    rest = 1 / (1 + math.exp(2 * SCALE * (x + 0.044715 * x**3)))
    return x * gate, gate + x * gate * rest * 2 * SCALE * (1 + 3 * 0.044715 * x * x)


def solve(matrix, right):
    """Gaussian elimination with pivoting."""
    n = len(right)
    rows = [matrix[i][:] + [right[i]] for i in range(n)]
    for i in range(n):
        pivot = max(range(i, n), key=lambda r: abs(rows[r][i]))
        rows[i], rows[pivot] = rows[pivot], rows[i]
        for r in range(i + 1, n):
            factor = rows[r][i] / rows[i][i]
            rows[r] = [a - factor * b for a, b in zip(rows[r], rows[i])]
    result = [0.0] * n
    for i in reversed(range(n)):
        result[i] = (rows[i][n] - sum(rows[i][j] * result[j] for j in range(i + 1, n))) / rows[i][i]
    return result


def fit(function, centre):
    """Coefficients in powers of x, lowest first, for the piece around `centre`."""
    half = float(WIDTH) / 2
    first = 1 if centre == 0 else 0  # the lowest power that is fitted
    nodes = [math.cos(math.pi * (i + 0.5) / POINTS) for i in range(POINTS)]
    values = [function(float(centre) + half * t) for t in nodes]
    rows, wanted = [], []
    for t, (value, slope) in zip(nodes, values):
        scale = 1 / (abs(value) + abs(float(centre) + half * t) / 2**9)
        rows.append([scale * t**p for p in range(first, DEGREE + 1)])
        wanted.append(scale * value)
        scale = 1 / (abs(slope) + 1 / 2**7)
        rows.append([scale * p * t ** (p - 1) / half if p else 0.0 for p in range(first, DEGREE + 1)])
        wanted.append(scale * slope)
    lawson = [1 / len(rows)] * len(rows)
    best = None
    unknowns = range(DEGREE + 1 - first)
    for _ in range(ROUNDS):
        matrix = [[sum(w * r[i] * r[j] for w, r in zip(lawson, rows)) for j in unknowns] for i in unknowns]
        right = [sum(w * r[i] * y for w, r, y in zip(lawson, rows, wanted)) for i in unknowns]
        found = solve(matrix, right)
        errors = [abs(sum(c * a for c, a in zip(found, r)) - y) for r, y in zip(rows, wanted)]
        if best is None or max(errors) < best[0]:
            best = (max(errors), found)
        lawson = [w * (e / max(errors) + 1e-3) for w, e in zip(lawson, errors)]
        lawson = [w / sum(lawson) for w in lawson]
    # Σ c·((x − centre) / half)^p, in powers of x.
    result = [Fraction(0)] * (DEGREE + 1)
    for p, c in enumerate([0.0] * first + best[1]):
        for q in range(p + 1):
            term = Fraction(c) / (WIDTH / 2) ** p * math.comb(p, q)
            result[q] += term * (-centre) ** (p - q)
    return best[0], [float(c) for c in result]


for name, function in (("kGeluPieces", exact), ("kGeluTanhPieces", tanh_form)):
    fits = [(0.0, [0.0] * (DEGREE + 1))]  # far below 0
    fits += [fit(function, WIDTH * (i - PIECES // 2)) for i in range(1, PIECES - 1)]
    fits += [(0.0, [0.0, 1.0] + [0.0] * (DEGREE - 1))]  # far above 0
    worst = max(error for error, _ in fits)
    print(f"// {name}: errors up to {worst:.2g} of these")
    for power in range(DEGREE + 1):
        texts = [f"{c[power]:.9g}" if abs(c[power]) > 1e-9 else "0.0" for _, c in fits]
        texts = [t if "." in t or "e" in t else t + ".0" for t in texts]
        lines = [", ".join(t + "f" for t in texts[i : i + 7]) for i in range(0, PIECES, 7)]
        print("    {" + ",\n     ".join(lines) + "},")

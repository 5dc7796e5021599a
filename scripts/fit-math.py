"""Prints the polynomial coefficients of native/math.h. Run by hand (needs numpy and mpmath): python scripts/fit-math.py

Each is a minimax fit of the relative error of the whole function, not of the polynomial alone: weighted least squares
on a dense Chebyshev grid, reweighted by the error itself until it levels out (Lawson 1961). Values come from mpmath at
60 digits, since the quotients below cancel near 0.
"""

import mpmath
import numpy as np

mpmath.mp.dps = 60


def fit(name, function, weight, low, high, degree, points=2001, rounds=400):
    """Coefficients c[0..degree], lowest first, that keep |weight(x)·(poly(x) − function(x))| small on [low, high]."""
    nodes = np.cos(np.pi * (np.arange(points) + 0.5) / points)
    x = (low + high) / 2 + (high - low) / 2 * nodes
    value = np.array([float(function(mpmath.mpf(float(t)))) for t in x])
    scale = np.array([float(weight(mpmath.mpf(float(t)))) for t in x])
    basis = np.polynomial.chebyshev.chebvander(nodes, degree)
    lawson = np.ones(points) / points
    best = None
    for _ in range(rounds):
        root = np.sqrt(lawson)
        chebyshev = np.linalg.lstsq(basis * (scale * root)[:, None], value * scale * root, rcond=None)[0]
        error = np.abs(scale * (basis @ chebyshev - value))
        if best is None or error.max() < best[0]:
            best = (error.max(), chebyshev)
        lawson = lawson * (error / error.max() + 1e-3)
        lawson /= lawson.sum()
    polynomial = np.polynomial.Chebyshev(best[1], domain=[low, high]).convert(kind=np.polynomial.Polynomial)
    rounded = polynomial.coef.astype(np.float32)
    error = np.abs(scale * (np.polynomial.polynomial.polyval(x, rounded.astype(np.float64)) - value))
    print(f"{name}, degree {degree} on [{low:.6g}, {high:.6g}]: relative error {best[0]:.2g}, rounded {error.max():.2g}")
    for power, coefficient in enumerate(rounded):
        print(f"  c{power} = {coefficient:.9g}f")


half_ln2 = float(mpmath.log(2) / 2)

# exp(r) = 1 + r + r²·q(r) for |r| ≤ ln 2 / 2
fit(
    "exp",
    lambda r: (mpmath.exp(r) - 1 - r) / r**2,
    lambda r: r**2 / mpmath.exp(r),
    -half_ln2 - 1e-4,
    half_ln2 + 1e-4,
    4,
)

# ln(1 + f) = f − f²/2 + f³·q(f) for 1 + f in [√½, √2]
fit(
    "log",
    lambda f: (mpmath.log1p(f) - f + f**2 / 2) / f**3,
    lambda f: f**3 / mpmath.log1p(f),
    float(mpmath.sqrt(0.5)) - 1 - 1e-5,
    float(mpmath.sqrt(2)) - 1 + 1e-5,
    8,
)

# Φ(−a)·exp(a²/2) = t·(½ + u·q(u)) with t = 1 / (1 + k·a) and u = 1 − t, for 0 ≤ a ≤ 13.3, past which exp(−a²/2) is 0
# in float32. The ½ is exact, so that little is rounded near a = 0. k = 0.4 came out best of 0.2, 0.25, …, 0.5.
k = mpmath.mpf(float(np.float32(0.4)))


def tail(u):
    a = u / (1 - u) / k
    return mpmath.erfc(a / mpmath.sqrt(2)) * mpmath.exp(a * a / 2) / 2


fit(
    "normalTail",
    lambda u: (tail(u) / (1 - u) - 0.5) / u,
    lambda u: u * (1 - u) / tail(u),
    1e-6,
    float(1 - 1 / (1 + k * 13.3)),
    9,
)

"""Prints the polynomial coefficients of native/math.h. Run by hand (needs numpy and mpmath): python scripts/fit-math.py

Each is a minimax fit of the relative error of the whole function, not of the polynomial alone: weighted least squares
on a dense Chebyshev grid, reweighted by the error itself until it levels out (Lawson 1961). Values come from mpmath at
60 digits, because the quotients below lose digits near 0.
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

# exp2(r) = 2^r = 1 + r·q(r) for |r| ≤ ½
fit(
    "exp2",
    lambda r: (2**r - 1) / r,
    lambda r: r / 2**r,
    -0.5,
    0.5,
    5,
)

# exp2 for weights of attention, which are rounded to bfloat16 (native/kernels/attention/amx_parts.h): 2^r for 0 ≤ r < 1
for degree in (3, 5):
    fit("weightExp2", lambda r: 2**r, lambda r: 1 / 2**r, 0, 1, degree)

# ln(1 + f) = f − f²/2 + f³·q(f) for 1 + f in [√½, √2]
fit(
    "log",
    lambda f: (mpmath.log1p(f) - f + f**2 / 2) / f**3,
    lambda f: f**3 / mpmath.log1p(f),
    float(mpmath.sqrt(0.5)) - 1 - 1e-5,
    float(mpmath.sqrt(2)) - 1 + 1e-5,
    8,
)

# φ(x) = 2^f·2^n / √(2π) where −x²/2·log₂ e = n + f, n whole
root_two_pi = mpmath.sqrt(2 * mpmath.pi)
fit("normalDensity", lambda f: 2**f / root_two_pi, lambda f: root_two_pi / 2**f, -0.5 - 1e-4, 0.5 + 1e-4, 6)


# Mills' ratio Φ(−a)/φ(a) for 0 ≤ a ≤ 5.5, in u = a/2.75 − 1. The weight exp(−a²/4) is a compromise between the relative
# error (weight 1) and the absolute error of Φ (weight exp(−a²/2)): near 0 every digit matters, in the far tail few do.
def mills(u):
    a = (u + 1) * mpmath.mpf(2.75)
    return mpmath.erfc(a / mpmath.sqrt(2)) * mpmath.exp(a * a / 2) * root_two_pi / 2


fit("millsRatio", mills, lambda u: mpmath.exp(-((u + 1) * 2.75) ** 2 / 4) / mills(u), -1, 1, 14)

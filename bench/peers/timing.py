"""Times a product, for the peers of bench/kernels.mjs."""

import statistics
import time


def time_of(run, milliseconds):
    """Median time of a call of `run` in milliseconds, from calls over about `milliseconds`."""
    began = time.perf_counter()
    run()
    first = time.perf_counter() - began
    batch = max(1, int(0.0005 / max(first, 1e-6)))
    times = []
    until = time.perf_counter() + milliseconds / 1000
    while len(times) < 3 or time.perf_counter() < until:
        start = time.perf_counter()
        for _ in range(batch):
            run()
        times.append((time.perf_counter() - start) / batch)
    return 1000 * statistics.median(times)

"""Cost of a distributed fit: per environment, per merge, in memory and on the network.

Prints what docs/scaling.md plans with. One thread; forces and energies of amorphous carbon.

    python tests/benchmarks/bench_distributed.py [N_SPARSE ...]
"""

import argparse
import pickle
import time

import numpy as np
from ase.build import bulk
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_limits

from skdesc import GAPRegressor, SOAPTransformer, distributed


def structures(count, seed=0):
    """Shaken diamond, 64 atoms each."""
    rng = np.random.default_rng(seed)
    cells = [bulk("C", cubic=True).repeat((2, 2, 2)) for _ in range(count)]
    for atoms in cells:
        atoms.positions += rng.normal(0, 0.15, atoms.positions.shape)
    return cells


def targets(frames, seed=0):
    """Numbers of the right shape: their values do not change the cost."""
    rng = np.random.default_rng(seed)
    forces = [rng.normal(0, 1.0, (len(atoms), 3)) for atoms in frames]
    return -7.0 * np.array([len(atoms) for atoms in frames]), {"forces": forces}


def seconds(call, repeats=2):
    """Least processor time of a call on one thread, and what it returns."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        result = call()
        times.append(time.process_time() - start)
    return min(times), result


def measure(n_sparse, n_structures):
    """Print one line of the table."""
    frames = structures(n_structures)
    y, metadata = targets(frames)
    soap = SOAPTransformer(["C"], cutoff=4.5, n_max=8, l_max=6, n_jobs=1)
    gap = GAPRegressor(n_sparse=n_sparse, sparse_method="random", random_state=0)
    sample = structures(max(4, 2 * n_sparse // 64), seed=1)
    template = distributed._start(make_pipeline(soap, gap), [(sample, None)])
    describe, _ = seconds(lambda: template[0].transform(frames))
    n_environments = sum(len(atoms) for atoms in frames)
    describe, _ = seconds(lambda: template[0].transform(frames))
    energies, _ = seconds(lambda: distributed._see(template, (frames, y), 0))
    forces, seen = seconds(lambda: distributed._see(template, (frames, y, metadata), 0))
    merge, _ = seconds(lambda: distributed._merge(seen, seen))
    sent = len(pickle.dumps(seen, protocol=5))
    shared = len(pickle.dumps(template, protocol=5))
    each = 1e6 / n_environments
    print(
        f"{n_sparse:8d} {describe * each:10.0f} {energies * each:10.0f} {forces * each:10.0f} "
        f"{merge:10.3f} {sent / 1e6:10.1f} {shared / 1e6:10.1f}", flush=True,
    )


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("n_sparse", nargs="*", type=int, default=[500, 1000, 2000])
    parser.add_argument("--structures", type=int, default=16)
    options = parser.parse_args()
    print("          microseconds per environment, one core    seconds         MB         MB")
    print("n_sparse   describe   energies and forces      merge  triangles   template")
    with threadpool_limits(1):
        for n_sparse in options.n_sparse:
            measure(n_sparse, options.structures)


if __name__ == "__main__":
    main()

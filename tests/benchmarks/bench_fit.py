"""A fit by several threads: wall times, the same bits, and what does not run side by side.

``python tests/benchmarks/bench_fit.py [--set {cuni,si}] [--points 1000] [--structures 60]
[--threads 1 2]`` needs the folder of data sets in ``SKDESC_DATA``. Features are computed before.
With one thread it also measures the parts of a fit, and says what they let expect of more cores:
rows and their triangles are shared out, everything else is not.
"""

import argparse
import hashlib
import io
import lzma
import os
import time
import warnings
from pathlib import Path
from unittest import mock

import numpy as np
from ase.io import read

from skdesc import GAPRegressor, SOAPTransformer, extract_targets
from skdesc.gaussian_process._accumulation import Accumulator
from skdesc.gaussian_process._memory import parts_of_pass
from skdesc.least_squares import Triangle
from skdesc.utils.blas import one_thread

SOAP = {"cutoff": 5.0, "cutoff_width": 0.5, "n_max": 8, "l_max": 6, "atom_sigma": 0.5}
GAP = {"zeta": 4, "energy_scale": 0.2, "sigma_energy": 0.002, "sigma_forces": 0.1,
       "sigma_virials": 0.1}
KEYS = {"energy_key": "ref_energy", "forces_key": "ref_force", "virial_key": "ref_virial"}


def load(name, n_structures):
    """Structures with their energies and forces."""
    folder = Path(os.environ.get("SKDESC_DATA", "."))
    if name == "cuni":
        frames = read(folder / "cuni_train.xyz", ":")[:n_structures]
        return frames, *extract_targets(frames, virials=False, **KEYS)
    with lzma.open(folder / "mlearn_Si_train.extxyz.xz", "rt") as file:
        frames = read(io.StringIO(file.read()), ":", format="extxyz")[:n_structures]
    return frames, *extract_targets(frames, virials=False)


def fit(X, y, targets, n_points, n_threads):
    """A fit, its wall time and its time on the processor."""
    gap = GAPRegressor(**GAP, n_sparse=n_points, n_jobs=n_threads)
    wall, cpu = time.perf_counter(), time.process_time()
    gap.fit(X, y, **targets)
    return gap, time.perf_counter() - wall, time.process_time() - cpu


def parts_of_fit(X, y, targets, n_points):
    """Seconds of one thread for rows, their triangles, a merge of two, and the whole fit.

    It is time on the processor, which hardly depends on what else the machine does.
    """
    spent = {}

    def timed(owner, name):
        function = getattr(owner, name)

        def wrapper(*args, **kwargs):
            start = time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                spent[name] = spent.get(name, 0.0) + time.thread_time() - start

        return mock.patch.object(owner, name, wrapper)

    with timed(Accumulator, "_rows"), timed(Triangle, "fold"):
        gap, _, cpu = fit(X, y, targets, n_points, 1)
    rows, triangle = random_rows(len(gap.weights_)), Triangle(len(gap.weights_))
    triangle.fold(*rows)
    other = triangle.copy()
    start = time.process_time()
    with one_thread:
        triangle.merge(other)
    return gap, spent["_rows"], spent["fold"], time.process_time() - start, cpu


def random_rows(n_columns):
    """Arguments of `Triangle.fold`."""
    n_rows = 1024 * (1 + n_columns // 1024)
    rows = np.random.default_rng(0).normal(size=(n_rows, n_columns))
    return rows, np.empty((n_rows, 0)), np.ones(n_rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", choices=["cuni", "si"], default="cuni")
    parser.add_argument("--points", type=int, default=1000)
    parser.add_argument("--structures", type=int, default=60)
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    frames, y, targets = load(arguments.set, arguments.structures)
    X = SOAPTransformer(**SOAP, n_jobs=-1).fit_transform(frames)
    n_rows = len(frames) + 3 * int(X.n_atoms.sum())
    print(f"{arguments.set}: {len(frames)} structures, {n_rows} rows, {X.shape[1]} features")
    fit(X[:4], y[:4], {k: v[:4] for k, v in targets.items()}, 50, 1)  # imports
    first = None
    for n_threads in arguments.threads:
        gap, wall, cpu = fit(X, y, targets, arguments.points, n_threads)
        first = first or wall
        digest = hashlib.md5(gap.weights_.tobytes() + gap.loo_.tobytes()).hexdigest()[:12]
        print(f"{n_threads} threads: {wall:6.2f} s, processor {cpu:6.2f} s, "
              f"{first / wall:.2f} times as fast, md5 {digest}, {len(gap.weights_)} points",
              flush=True)
    gap, rows, folding, merging, whole = parts_of_fit(X, y, targets, arguments.points)
    rest = whole - rows - folding
    n_columns = len(gap.weights_) + len(gap.elements_) + 1
    n_parts = len(parts_of_pass(1 + 3 * X.n_atoms, n_columns, None))
    print(f"one thread: rows {rows:.2f} s, triangles {folding:.2f} s, everything else {rest:.2f} s"
          f"; a merge of two triangles {merging:.3f} s, {n_parts} parts")
    for n in (2, 8, 64):
        # rows of a part are folded by one thread at a time
        shared = max((rows + folding) / n, folding / n_parts)
        alone = rest + np.ceil(np.log2(n_parts)) * merging
        print(f"{n} cores: {whole / (alone + shared):.1f} times as fast, by these numbers")


if __name__ == "__main__":
    main()

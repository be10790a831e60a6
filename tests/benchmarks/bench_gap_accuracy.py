"""Errors of AutoPotential on files, beside published figures.

``python tests/benchmarks/bench_gap_accuracy.py --train FILE --test FILE --minutes 10`` takes
structures with energies and, where there are, forces and stresses. Nothing is tuned by hand, and
the test set is looked at when all is done; ``bench_auto.py`` does the same for all sets.
"""

import argparse
import resource
import time
from pathlib import Path

import numpy as np
from published import FILES, PUBLISHED

from skdesc import AutoPotential
from skdesc.reading import read_structures


def main(train, test, minutes, seed):
    """Search, fit, test."""
    frames = read_structures(train)
    print(f"{train.name}: {len(frames)} structures, {sum(map(len, frames))} atoms")
    start = time.process_time()
    auto = AutoPotential(time_budget=60 * minutes, random_state=seed, verbose=1).fit(frames)
    chosen = auto.leaderboard_[0]
    print(f"{chosen['candidate']}: {chosen['n_points']} sparse points, "
          f"{1e6 * chosen['time_per_atom']:.0f} us per atom; processor "
          f"{time.process_time() - start:.0f} s")
    if test is not None:
        tests = read_structures(test)
        size = np.mean([len(atoms) for atoms in tests])
        for name, value in auto.errors(tests).items():
            unit = "meV/A" if name.startswith("forces") else "meV/atom"
            whole = f" ({1e3 * value * size:.3g} meV per structure)" if "energy" in name else ""
            print(f"    {name.replace('_', ' ')}: {1e3 * value:.4g} {unit}{whole}")
    for beginning, name in FILES.items():
        if train.name.startswith(beginning):
            print(f"    published, meV/atom; meV/A: {PUBLISHED[name]}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:.0f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--train", type=Path, required=True, help="training structures")
    parser.add_argument("--test", type=Path, help="test structures")
    parser.add_argument("--minutes", type=float, default=10.0, help="time for the search")
    parser.add_argument("--seed", type=int, default=0, help="seed of the search")
    options = parser.parse_args()
    main(options.train, options.test, options.minutes, options.seed)

"""Two threads against one, on a quiet machine and beside a process that has a core.

    python tests/benchmarks/bench_threads.py [--rounds 5] [--cells 23]

Prints microseconds per atom of the values (cutoff 5, n_max 8, l_max 6), for 40 structures of 216
atoms and for one large one, and what the neighbor search takes of them. Medians of rounds in
which one and two threads take turns.
"""

import argparse
import subprocess
import sys
import time

import numpy as np
from ase.build import bulk

from skdesc import SOAPTransformer, check_structures
from skdesc.neighbors import find_pairs


def silicon(n):
    atoms = bulk("Si", cubic=True).repeat(n)
    atoms.rattle(0.05, seed=0)
    return atoms


def seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def measure(label, X, rounds):
    n_atoms = len(X.positions)
    soaps = [SOAPTransformer(cutoff=5.0, n_jobs=n).fit(X) for n in (1, 2)]
    times = np.array([
        [seconds(lambda soap=soap: soap.transform(X)) for soap in soaps] for _ in range(rounds)
    ])
    one, two = np.median(times, axis=0) / n_atoms * 1e6
    print(f"{label:30s} 1 thread {one:6.2f}  2 threads {two:6.2f} us/atom  gain {one / two:5.2f}",
          flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cells", type=int, default=23, help="cubic cells along an edge")
    options = parser.parse_args()
    small, large = check_structures([silicon(3)] * 40), check_structures([silicon(options.cells)])
    for name, X in (("40 x 216 atoms", small), (f"{len(large.positions)} atoms", large)):
        atoms = np.arange(len(X.positions))
        found = [seconds(lambda X=X, atoms=atoms: find_pairs(X, 5.0, atoms, np.zeros_like(atoms)))
                 for _ in range(options.rounds)]
        print(f"{name:30s} neighbors {np.median(found) / len(atoms) * 1e6:6.2f} us/atom")
        measure(f"{name}, quiet", X, options.rounds)
        busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        time.sleep(0.3)
        measure(f"{name}, one core taken", X, options.rounds)
        busy.kill()
        busy.wait()


if __name__ == "__main__":
    main()

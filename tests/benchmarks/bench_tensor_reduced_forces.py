"""Energies and forces of sparse Gaussian processes on full, random and learned descriptors.

python tests/benchmarks/bench_tensor_reduced_forces.py [--train 150] [--test 100] [--sparse 50]
    [--seeds 3] [--only WORD ...]

Alloys of Mo, Nb, Ta and W, of ``skdesc.datasets.fetch_monbtaw``. Every descriptor gets the same
structures and as many sparse points per element, with the same noise and zeta. Learned weights are
those of a decomposition, from energies alone or from energies and forces. A seed chooses
structures and weights; root mean square errors of the test set are medians over seeds, with the
least and the largest. Seconds are those of learning weights and of the whole fit, of one thread.
--only takes candidates that have one of the words in their name.
"""

import argparse
import time

import numpy as np

from skdesc import (
    GAPRegressor,
    SOAPTransformer,
    TensorReducedTransformer,
    datasets,
    extract_targets,
)
from skdesc.metrics import energy_rmse_per_atom, forces_rmse

COMMON = {"cutoff": 5.0, "n_max": 6, "l_max": 4, "atom_sigma": 0.5}
LEARNING = {"n_embedding": 4, "max_iter": 60}


def candidates(seed):
    """Label, transformer, and whether it learns from forces too."""
    for compression in (None, "mu1nu1"):
        yield f"full, {compression}", SOAPTransformer(**COMMON, compression=compression), False
    for scheme in ("sketch", "decomposition"):
        for k in (16, 64):
            yield f"{scheme}, K={k}", TensorReducedTransformer(
                **COMMON, n_channels=k, scheme=scheme, random_state=seed), False
    for k in (16, 32):
        for forces in (False, True):
            label = "energies and forces" if forces else "energies"
            yield f"learned from {label}, K={k}", TensorReducedTransformer(
                **COMMON, n_channels=k, scheme="decomposition", random_state=seed,
                weights="learned", learning=LEARNING,
            ), forces


class Data:
    """Training and test structures, energies and forces."""

    def __init__(self, seed, n_train, n_test):
        found = datasets.fetch_monbtaw()
        rng = np.random.default_rng(seed)
        self.train, self.test = (
            [found.frames[index] for index in rng.permutation(part)[:count]]
            for part, count in ((found.train, n_train), (found.test, n_test))
        )
        self.y, self.targets = extract_targets(self.train, virials=False)
        self.y_test, self.targets_test = extract_targets(self.test, virials=False)
        self.n_atoms = [len(atoms) for atoms in self.test]

    def errors(self, transformer, learn_forces, n_sparse):
        """Errors of energies and forces, and seconds: of the descriptor, of the whole."""
        start = time.process_time()
        metadata = {"forces": self.targets["forces"]} if learn_forces else {}
        transformer.fit(self.train, self.y, **metadata)
        learned = time.process_time() - start
        model = GAPRegressor(
            n_sparse=n_sparse, zeta=2, sigma_energy=0.005, sigma_forces=0.1, random_state=0
        ).fit(transformer.transform(self.train), self.y, forces=self.targets["forces"])
        total = time.process_time() - start
        energies, forces = model.predict(transformer.transform(self.test), return_forces=True)
        return (
            1e3 * energy_rmse_per_atom(self.y_test, energies, self.n_atoms),
            1e3 * forces_rmse(self.targets_test["forces"], forces), learned, total,
        )


def report(n_train, n_test, n_sparse, n_seeds, words):
    results, sizes = {}, {}
    for seed in range(n_seeds):
        data = Data(seed, n_train, n_test)
        for label, transformer, learn_forces in candidates(seed):
            if words and not any(word in label for word in words):
                continue
            row = data.errors(transformer, learn_forces, n_sparse)
            results.setdefault(label, []).append(row)
            sizes[label] = transformer.n_features_out_
            print(f"seed {seed}: {label:40s} {sizes[label]:6d} features  energies {row[0]:6.1f} "
                  f"meV/atom  forces {row[1]:6.1f} meV/A  {row[2]:5.0f} s, {row[3]:5.0f} s",
                  flush=True)
    print(f"\n{n_train} training structures, {n_sparse} sparse points per element; medians of "
          f"{n_seeds} seeds (least to largest)")
    for label, rows in results.items():
        energies, forces, learned, total = np.array(rows).T
        print(f"{label:40s} {sizes[label]:6d}  {np.median(energies):6.1f} ({energies.min():.1f} "
              f"to {energies.max():.1f})  {np.median(forces):6.1f} ({forces.min():.1f} to "
              f"{forces.max():.1f})  {np.median(learned):.0f} s, {np.median(total):.0f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", type=int, default=150)
    parser.add_argument("--test", type=int, default=100)
    parser.add_argument("--sparse", type=int, default=50)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=[])
    arguments = parser.parse_args()
    report(arguments.train, arguments.test, arguments.sparse, arguments.seeds, arguments.only)

"""Errors of the default potential, beside those of the descriptor's former default lengths.

``python tests/benchmarks/bench_defaults.py [--sets NAME ...] [--repulsion]``. For each set of the
data home, a random part of the structures is learned (energies and forces) by
``make_pipeline(SOAPTransformer(), GAPRegressor(random_state=0))``, all else being default, and
others are predicted. The former lengths are written out below. ``--repulsion`` compares with
``baseline=None`` instead: errors inside the data stay, and the curves of pairs rise.
"""

import argparse
import time
import warnings

import numpy as np
from ase import Atoms
from bench_auto import make_sets
from sklearn.pipeline import make_pipeline

from skdesc import GAPRegressor, SOAPTransformer, extract_targets
from skdesc.neighbors import ShortestDistances
from skdesc.structures import check_structures

FORMER = {"cutoff": 5.0, "cutoff_width": 0.5, "atom_sigma": 0.5, "radial_scaling": None}
# numbers of atoms that are learned and predicted, about
SETS = {
    "ethanol": (1800, 1800), "acetylacetone": (2250, 2250), "ethanol dynamics": (1800, 1800),
    "Cu": (3000, 3000), "Li": (3000, 3000), "Si": (3000, 3000), "MoNbTaW": (2000, 2000),
    "iron": (1500, 1500), "hea25": (1600, 800), "GaAs": (2000, 1500), "BaTiO3": (1500, 1500),
    "carbon": (4000, 2000), "carbon solids": (1500, 1500),
}


def choose(frames, n_atoms, rng):
    """Random structures with so many atoms together."""
    order = rng.permutation(len(frames))
    sizes = np.cumsum([len(frames[i]) for i in order])
    return [frames[i] for i in order[: max(10, np.searchsorted(sizes, n_atoms) + 1)]]


def errors(model, frames):
    """Errors of energies in meV per atom and of forces in meV per angstrom."""
    y, more = extract_targets(frames)
    energies, forces = model.predict(frames, return_forces=True)
    n_atoms = np.array([len(atoms) for atoms in frames])
    of_energy = 1e3 * (energies - y) / n_atoms
    of_forces = 1e3 * (np.concatenate(forces) - np.concatenate(more["forces"]))
    return np.array([
        np.abs(of_energy).mean(), np.abs(of_forces).mean(),
        np.sqrt((of_energy**2).mean()), np.sqrt((of_forces**2).mean()),
    ])


def fit(train, lengths, baseline):
    """Default potential, and how long it took."""
    y, more = extract_targets(train)
    start = time.perf_counter()
    model = make_pipeline(
        SOAPTransformer(**lengths), GAPRegressor(random_state=0, baseline=baseline)
    ).fit(train, y, gapregressor__forces=more["forces"])
    return model, time.perf_counter() - start


def curves(model, train):
    """Deepest well below the shortest distance of a pair, and least energy within 0.5 angstrom."""
    distances = ShortestDistances()
    distances.add(check_structures(train))
    wells, ends = [], []
    for pair, known in distances.found.items():
        symbols = pair.split("-")
        r = np.append(np.arange(0.3, known[0], 0.01), known[0])
        energies = model.predict([Atoms(symbols, [[0, 0, 0], [0, 0, x]]) for x in r])
        energies -= sum(model[-1].e0_[symbol] for symbol in symbols)
        highest_beyond = np.maximum.accumulate(energies[::-1])[::-1]
        wells.append((highest_beyond - energies).max())
        ends.append(energies[r <= 0.5].min())
    return max(wells), min(ends)


def measure(name, seed, repulsion):
    """Print the line of a set."""
    rng = np.random.RandomState(seed)
    n_train, n_test = SETS[name]
    train, test = make_sets()[name]()
    train, test = choose(train, n_train, rng), choose(test, n_test, rng)
    former = ({}, None) if repulsion else (FORMER, None)
    before, time_before = fit(train, *former)
    after, time_after = fit(train, {}, "auto")
    first, second = errors(before, test), errors(after, test)
    cells = [f"{a:.3g} → {b:.3g}" for a, b in zip(first, second, strict=True)]
    ratios = "  ".join(f"{ratio:.3f}" for ratio in second / first)
    if repulsion:
        wells = [curves(model, train) for model in (before, after)]
        more = [f"{wells[0][0]:.2f} → {wells[1][0]:.2f}", f"{wells[0][1]:.3g} → {wells[1][1]:.3g}"]
    else:
        more = [f"{time_before:.1f} → {time_after:.1f}"]
    print(f"| {name} | {len(train)}, {len(test)} | {' | '.join([*cells, *more])} |  # {ratios}",
          flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--repulsion", action="store_true")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    for name in arguments.sets:
        measure(name, arguments.seed, arguments.repulsion)


if __name__ == "__main__":
    main()

"""Structures on which descriptors are measured, and how measurements are taken."""

import time

import numpy as np
from ase import Atoms
from ase.build import bulk, molecule
from ase.collections import g2

ALLOY = [
    "Al", "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Zr", "Nb", "Mo", "Tc", "Ru", "Rh",
    "Pd", "Ag", "Hf", "Ta", "W", "Re", "Os", "Ir", "Pt",
]


def _rattled(atoms):
    atoms.rattle(0.05, seed=0)
    return [atoms]


def silicon():
    return _rattled(bulk("Si", "diamond", 5.431, cubic=True) * (3, 3, 3))


def gallium_arsenide():
    return _rattled(bulk("GaAs", "zincblende", 5.653, cubic=True) * (2, 2, 2))


def barium_titanate():
    sites = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    cell = Atoms("BaTiO3", scaled_positions=sites, cell=[4.0, 4.0, 4.0], pbc=True)
    return _rattled(cell * (3, 2, 2))


def molecules(count=500):
    """Those of ASE's G2 set with C, H, N, O and F only, in turn."""
    rng = np.random.RandomState(0)
    kinds = [molecule(name) for name in g2.names]
    kinds = [one for one in kinds if set(one.symbols) <= set("CHNOF") and len(one) > 1]
    frames = [kinds[index % len(kinds)].copy() for index in range(count)]
    for atoms in frames:
        atoms.positions += rng.normal(0, 0.02, atoms.positions.shape)
    return frames


def alloy(n_species):
    """Face-centered cubic, the elements shuffled over the sites."""
    atoms = bulk("Cu", "fcc", 3.6, cubic=True) * (3, 3, 3)
    symbols = np.array([ALLOY[index % n_species] for index in range(len(atoms))])
    np.random.RandomState(0).shuffle(symbols)
    atoms.symbols = symbols
    return _rattled(atoms)


SYSTEMS = {
    "si216": silicon,
    "gaas64": gallium_arsenide,
    "batio3_60": barium_titanate,
    "qm9_500": molecules,
    "hea108_S4": lambda: alloy(4),
    "hea108_S8": lambda: alloy(8),
    "hea108_S16": lambda: alloy(16),
    "hea108_S25": lambda: alloy(25),
}


def seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def interleaved(calls, rounds, longest=20.0):
    """Median time of each call, all taking turns so that disturbances hit all alike.

    Calls that are short against the longest are repeated within a turn; those that took more
    than `longest` seconds are not measured again.
    """
    times = {name: [seconds(call)] for name, call in calls.items()}  # warm-up, kept if too slow
    for name in times:
        if times[name][0] < longest:
            times[name] = []
    for _ in range(rounds):
        for name, call in calls.items():
            if times[name] and times[name][0] >= longest:
                continue
            repeats = 5 if not times[name] or times[name][0] < 0.02 else 1
            times[name].append(float(np.median([seconds(call) for _ in range(repeats)])))
    return {name: float(np.median(values)) for name, values in times.items()}


def machine():
    """Peak of matrix products in flop/s, and rate of first writes to fresh memory in bytes/s."""
    a = np.random.default_rng(0).normal(size=(1024, 1024))
    flops = 2 * 1024**3 / min(seconds(lambda: a @ a) for _ in range(5))
    fresh = 2**28 / min(seconds(lambda: np.empty(2**25).fill(1.0)) for _ in range(3))
    return flops, fresh

"""Overheads, large systems and threads: this checkout against another one, in one run.

    python tests/benchmarks/bench_targets.py --other PATH [--rounds 3] [--rows rows large ...]

Each round gives each checkout, with extensions built in place, a process of its own, in turn.
Prints medians over rounds, or the least values (``--least``), which compare checkouts better on a
busy machine. Times are processor time of one thread, but those of two threads, which are wall time.
"cold" are calls after 64 MB of other memory have been read.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
from ase.build import bulk
from systems import alloy, barium_titanate, gallium_arsenide, silicon

HERE = Path(__file__).parents[2]
SOAP = {"cutoff": 5.0, "cutoff_width": 0.5, "atom_sigma": 0.5, "n_max": 8, "l_max": 6}


statistic = np.median
"""What is taken of several calls, and of several rounds."""


def processor_time(call, repeats, before=None):
    """Median or least of some calls, in seconds, without the first."""
    call()
    times = []
    for _ in range(repeats):
        if before is not None:
            before()
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return float(statistic(times))


def peak():
    """Products of matrices, in flop per second."""
    a = np.random.default_rng(0).normal(size=(1024, 1024))
    return 2 * len(a) ** 3 / processor_time(lambda: a @ a, 7)


def crystal(n, seed=0):
    atoms = bulk("Si", "diamond", 5.431, cubic=True) * (n, n, n)
    atoms.rattle(0.05, seed=seed)
    return atoms


def soap(frames, n_jobs=1):
    from skdesc import SOAPTransformer

    return SOAPTransformer(**SOAP, n_jobs=n_jobs).fit(frames)


def measure_rows():
    """Rows of forces of one species with 500 points, and of four elements."""
    result = {}
    for name, frames, n_rows in (("one species", [crystal(2)], 500), ("four", alloy(4), 100)):
        features = soap(frames).transform(frames)
        Q = np.ascontiguousarray(np.resize(features.values, (n_rows, features.values.shape[1])))
        weights = np.ones((len(features.values), n_rows))
        seconds = processor_time(lambda f=features, Q=Q, w=weights: f.gradient_rows(Q, w), 3)
        result[f"{name}, us/atom/point"] = 1e6 * seconds / len(weights) / n_rows
    return result


def measure_fit():
    """A fit of 1000 points to energies and forces of one species, descriptors included."""
    from sklearn.pipeline import make_pipeline

    from skdesc import GAPRegressor

    frames, rng = [crystal(2, seed) for seed in range(20)], np.random.default_rng(0)
    forces = [rng.normal(size=(len(atoms), 3)) for atoms in frames]
    gap = GAPRegressor(n_sparse=1000, zeta=4, sigma_energy=0.01, sigma_forces=0.1,
                       sparse_method="random", random_state=0, baseline=None, n_jobs=1)
    pipeline = make_pipeline(soap(frames), gap)
    return {"20 structures of 64 atoms, s": processor_time(
        lambda: pipeline.fit(frames, np.zeros(20), gapregressor__forces=forces), 1)}


def measure_threads():
    """Wall time, quiet and beside a process that has a core."""
    from skdesc import check_structures

    X = check_structures([crystal(3)] * 200)
    transformers = {n: soap(X, n) for n in (1, 2)}
    result = {}
    for load in ("as it is", "one core taken"):
        busy = None
        if load == "one core taken":
            busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            time.sleep(0.3)
        times = {1: [], 2: []}
        for _ in range(7):
            for n, transformer in transformers.items():
                start = time.perf_counter()
                transformer.transform(X)
                times[n].append(time.perf_counter() - start)
        if busy is not None:
            busy.kill()
            busy.wait()
        result[f"{load}, 2 threads / 1"] = float(np.median(times[2]) / np.median(times[1]))
    return result


def measure_large(n=23):
    """One structure against many of 216 atoms, and the neighbor search of it."""
    from skdesc import check_structures
    from skdesc.neighbors import find_pairs

    small, large = check_structures([crystal(3)] * 40), check_structures([crystal(n)])
    transformer, result = soap(small), {}
    for name, X in (("216 atoms", small), (f"{8 * n**3} atoms", large)):
        count = len(X.positions)
        result[f"{name}, values, us/atom"] = (
            1e6 * processor_time(lambda X=X: transformer.transform(X), 3) / count)
        atoms = np.arange(count)
        result[f"{name}, neighbors, us/atom"] = 1e6 / count * processor_time(
            lambda X=X, a=atoms: find_pairs(X, 5.0, a, np.zeros_like(a)), 1)
    return result


def measure_products():
    """Predicted energies and forces with 2000 points, small and large."""
    from sklearn.pipeline import make_pipeline

    from skdesc import GAPRegressor

    frames = [crystal(3, seed) for seed in range(10)]
    gap = GAPRegressor(n_sparse=2000, zeta=4, sigma_energy=0.01, sparse_method="random",
                       baseline=None)  # as it was the default
    rng = np.random.default_rng(0)
    pipeline = make_pipeline(soap(frames), gap).fit(frames, rng.normal(size=10) - 1000.0)
    result = {}
    for n in (3, 13):
        atoms = crystal(n)
        seconds = processor_time(lambda a=atoms: pipeline.predict([a], return_forces=True), 2)
        result[f"{len(atoms)} atoms, us/atom"] = 1e6 * seconds / len(atoms)
    return result


def measure_step():
    """A step of the calculator, without a baseline and with the one that is the default."""
    from bench_calculator import potential

    from skdesc.calculator import SkdescCalculator

    result = {}
    for model, changes in (("no baseline", {"baseline": None}), ("default", {})):
        pipeline = potential(50, **changes)
        for n in (1, 4):
            atoms = bulk("Cu", cubic=True) * (n, n, n)
            atoms.rattle(0.05, seed=1)
            atoms.calc = SkdescCalculator(pipeline)

            def step(atoms=atoms):
                atoms.positions[0, 0] += 1e-6
                atoms.get_potential_energy()
                atoms.get_forces()
                atoms.get_stress()

            result[f"{len(atoms)} atoms, {model}, us"] = (
                1e6 * processor_time(step, 800 // n**2))
    return result


def measure_cold():
    """Values of one small structure, warm and cold, and those of dscribe in the same process."""
    from bench_soap import dscribe_values

    other, result = np.ones(2**23), {}
    systems = {"GaAs 64": gallium_arsenide, "BaTiO3 60": barium_titanate, "8": lambda: alloy(8)}
    for name, make in systems.items():
        frames = make()
        transformer, peer = soap(frames), dscribe_values(frames, SOAP, 1)
        for label, before in (("warm", None), ("cold", other.sum)):
            seconds = processor_time(partial(transformer.transform, frames), 60, before)
            result[f"{name}, {label}, us"] = 1e6 * seconds
            result[f"{name}, {label}, dscribe / skdesc"] = (
                processor_time(peer, 6, before) / seconds)
    return result


def neighbors_per_atom(frames):
    from skdesc import check_structures
    from skdesc.neighbors import find_pairs

    X = check_structures(frames)
    atoms = np.arange(len(X.positions))
    return len(find_pairs(X, SOAP["cutoff"], atoms, np.zeros_like(atoms)).distance) / len(atoms)


def measure_kernel():
    """Values of silicon over the floor of their products."""
    frames = silicon()
    transformer, neighbors = soap(frames * 20), neighbors_per_atom(frames)
    n_lm, n_max = (SOAP["l_max"] + 1) ** 2, SOAP["n_max"]
    floor = 2e6 * n_lm * n_max * (neighbors + n_max / 2) / peak()
    seconds = processor_time(lambda: transformer.transform(frames * 20), 5)
    value = 1e6 * seconds / (20 * len(frames[0]))
    return {"us/atom": value, "floor": floor, "times the floor": value / floor,
            "ns per pair": 1e3 * value / neighbors}


def measure_sketch(n_channels=64):
    """Sketch of 25 elements over the floor of its products."""
    from bench_soap import dscribe_values

    from skdesc import TensorReducedTransformer

    frames = alloy(25)
    transformer = TensorReducedTransformer(
        **SOAP, n_channels=n_channels, random_state=0, n_jobs=1).fit(frames)
    n_l, n_max, n_atoms = SOAP["l_max"] + 1, SOAP["n_max"], len(frames[0])
    products = 2 * neighbors_per_atom(frames) * n_channels * (n_l * n_max + n_l**2)
    floor = 2e6 * products / peak()
    value = 1e6 * processor_time(lambda: transformer.transform(frames), 15) / n_atoms
    peer = 1e6 * processor_time(dscribe_values(frames, SOAP, 1), 2) / n_atoms
    return {"us/atom": value, "floor": floor, "times the floor": value / floor,
            "dscribe / skdesc": peer / value}


def measure_spline():
    """A fit of the descriptor, first and again, with parameters that nobody had before."""
    from skdesc import SOAPTransformer

    frames, times = [crystal(1)], []
    SOAPTransformer(n_max=3, l_max=2, cutoff=4.0).fit(frames)
    for _ in range(2):
        start = time.process_time()
        SOAPTransformer(**SOAP).fit(frames)
        times.append(time.process_time() - start)
    return {"first fit, ms": 1e3 * times[0], "second fit, ms": 1e3 * times[1]}


def measure_values():
    """Values of small structures, and the adjoint."""
    result, rng = {}, np.random.default_rng(0)
    systems = {"Si 216": silicon, "GaAs 64": gallium_arsenide, "BaTiO3 60": barium_titanate,
               "alloy, 8 species": lambda: alloy(8)}
    for name, make in systems.items():
        frames = make()
        transformer, n_atoms = soap(frames), sum(map(len, frames))
        seconds = processor_time(lambda t=transformer, f=frames: t.transform(f), 60)
        result[f"{name}, us/atom"] = 1e6 * seconds / n_atoms
        X = transformer.transform(frames)
        g = rng.normal(size=X.values.shape)
        seconds = processor_time(lambda X=X, g=g: X.vjp(g), 40)
        result[f"{name}, adjoint, us/atom"] = 1e6 * seconds / n_atoms
    return result


def measure_search():
    """A search by cross-validation with the same candidates."""
    from ase.calculators.emt import EMT
    from sklearn.pipeline import make_pipeline

    from skdesc import GAPRegressor, Structures, TwoStagePSOSearchCV
    from skdesc.metrics import make_energy_scorer

    frames = [bulk("Cu", cubic=True) * (2, 2, 2) for _ in range(12)]
    y = []
    for seed, atoms in enumerate(frames):
        atoms.rattle(0.1, seed=seed)
        atoms.calc = EMT()
        y.append(atoms.get_potential_energy())
    search = TwoStagePSOSearchCV(
        make_pipeline(soap(frames), GAPRegressor(n_sparse=60, random_state=0)),
        {"soaptransformer__cutoff": [4.0, 4.5, 5.0]},
        {"gapregressor__sigma_energy": [0.001, 0.01, 0.1], "gapregressor__zeta": [2, 4]},
        n_particles=3, n_iterations=3, cv=3, scoring=make_energy_scorer(),
        stage_one_objective="cv", swarm="pso", random_state=0,
    )
    X = Structures.from_atoms(frames)
    return {"12 structures of 32 atoms, s": processor_time(lambda: search.fit(X, y), 3)}


MEASUREMENTS = {
    name.removeprefix("measure_"): function
    for name, function in list(globals().items()) if name.startswith("measure_")
}


def run(folder, row, options):
    """What one measurement prints with the package of a folder."""
    environment = os.environ | {"PYTHONPATH": str(folder), "OPENBLAS_NUM_THREADS": "1"}
    environment["OMP_NUM_THREADS"] = "2" if row == "threads" else "1"
    command = [sys.executable, "-W", "ignore", __file__, "--measure", row, *options]
    result = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return json.loads(result.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--other", type=Path, help="another checkout, measured in turn")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", nargs="*", default=list(MEASUREMENTS), choices=MEASUREMENTS)
    parser.add_argument("--least", action="store_true",
                        help="least values in place of medians, for rows of times")
    parser.add_argument("--measure", choices=MEASUREMENTS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.least:
        global statistic
        statistic = np.min
    if arguments.measure:
        print(json.dumps(MEASUREMENTS[arguments.measure]()))
        return
    folders = [folder.resolve() for folder in (arguments.other, HERE) if folder]
    options = ["--least"] if arguments.least else []
    for row in arguments.rows:
        print_row(row, [
            [run(folder, row, options) for folder in folders] for _ in range(arguments.rounds)
        ])


def print_row(row, runs):
    """Print a line for each figure, with a column for each checkout."""
    for what in runs[0][0]:
        values = [statistic([turn[k][what] for turn in runs]) for k in range(len(runs[0]))]
        print(f"{row:9s} {what:32s} " + " ".join(f"{value:10.3f}" for value in values), flush=True)


if __name__ == "__main__":
    main()

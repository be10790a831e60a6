"""What a tolerance of the ASE calculator costs in accuracy, and what it gains in speed.

``python tests/benchmarks/bench_tolerance.py [--sets ...]`` fits SOAP and GAP to every so many
structures of public data sets, and prints for several tolerances the time of a step per atom, and
the largest differences of energies per atom and of force components on other structures from the
potential without a tolerance. One thread; medians of interleaved runs. The sets are read from the
folder in ``SKDESC_DATA``.
"""

import argparse

import numpy as np
from sklearn.pipeline import make_pipeline
from systems import interleaved

from skdesc import GAPRegressor, SOAPTransformer, datasets, extract_targets
from skdesc.calculator import SkdescCalculator

TOLERANCES = (0.0, 1e-5, 1e-4, 1e-3)
# data, take every so many structures, points per element
SETS = {
    "Si": (lambda: datasets.fetch_mlearn("Si"), 3, 1000),
    "BaTiO3": (datasets.fetch_batio3, 25, 500),
    "MoNbTaW": (datasets.fetch_monbtaw, 25, 500),
    "ethanol": (datasets.fetch_ethanol, 10, 500),
}


def measure(name):
    """Print one line for each tolerance."""
    fetch, step, n_sparse = SETS[name]
    frames = fetch().frames
    train, test = frames[::step], frames[1::step][:6]
    y, targets = extract_targets(train, virials=False)
    pipeline = make_pipeline(SOAPTransformer(), GAPRegressor(n_sparse=n_sparse, baseline=None))
    pipeline.fit(train, y, gapregressor__forces=targets["forces"])
    calculators = {
        tolerance: SkdescCalculator(pipeline, tolerance=tolerance) for tolerance in TOLERANCES
    }

    def evaluate(calculator):
        for atoms in test:
            calculator.calculate(atoms)
            yield calculator.results["energy"] / len(atoms), calculator.results["forces"]

    results = {tolerance: list(evaluate(one)) for tolerance, one in calculators.items()}
    exact = results[0.0]
    times = interleaved(
        {tolerance: lambda one=one: list(evaluate(one)) for tolerance, one in calculators.items()},
        7,
    )
    n_atoms = sum(map(len, test))
    for tolerance in TOLERANCES:
        pairs = list(zip(results[tolerance], exact, strict=True))
        energies = max(abs(some[0] - other[0]) for some, other in pairs)
        forces = max(np.abs(some[1] - other[1]).max() for some, other in pairs)
        print(
            f"{name:8s} {len(pipeline[-1].weights_):5d} points  tolerance {tolerance:6.0e} eV  "
            f"{1e6 * times[tolerance] / n_atoms:6.1f} us/atom  energy {energies:.1e} eV/atom  "
            f"force {forces:.1e} eV/A",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="*", default=list(SETS), choices=SETS)
    for name in parser.parse_args().sets:
        measure(name)


if __name__ == "__main__":
    main()

"""Whether standard deviations agree with errors, before and after calibration.

``python tests/benchmarks/bench_uncertainty.py [--sets NAME ...] [--seed 0]``. For each set of the
data home, a random part of the structures is learned (energies and forces) by
``make_pipeline(SOAPTransformer(), GAPRegressor(random_state=0))``, all else being default, and
others are predicted. z is the root mean square of error over standard deviation, r the rank
correlation of both (energies per atom). Forces are those of structures with about 600 atoms,
without components that the calibrated model knows to 1e-4 of their root mean square error. The last
column has the times of the fit and of the calibration.
"""

import argparse
import time
import warnings

import numpy as np
from bench_auto import make_sets
from bench_defaults import SETS, choose
from scipy.stats import spearmanr
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from skdesc import GAPRegressor, SOAPTransformer, extract_targets

N_ATOMS_OF_FORCES = 600


def summarize(errors, std):
    """Root mean square of z, and rank correlation."""
    return np.sqrt(np.mean(np.square(errors / std))), spearmanr(std, np.abs(errors))[0]


def evaluate(gap, X, y, forces):
    """Summaries of energies per atom and of forces."""
    n_atoms = X.n_atoms
    energies, std, predicted = gap.predict(X, return_std=True, return_forces=True)
    result = [summarize((energies - y) / n_atoms, std / n_atoms)]
    count = max(4, int(N_ATOMS_OF_FORCES / n_atoms.mean()))
    some = np.unique(np.linspace(0, len(X) - 1, min(count, len(X))).astype(int))
    errors = np.concatenate([predicted[i] - forces[i] for i in some]).ravel()
    std = np.concatenate(gap.predict_forces_std(X[some])).ravel()
    return [*result, (errors, std)]


def measure(name, seed):
    """Print the line of a set."""
    rng = np.random.RandomState(seed)
    train, test = make_sets()[name]()
    train, test = (choose(frames, n, rng) for frames, n in zip((train, test), SETS[name],
                                                                strict=True))
    (y, targets), (y_test, expected) = extract_targets(train), extract_targets(test)
    descriptor, gap = make_pipeline(SOAPTransformer(), GAPRegressor(random_state=0))
    X = descriptor.fit_transform(train)
    start = time.perf_counter()
    gap.fit(X, y, forces=targets["forces"])
    fitted = time.perf_counter()
    calibration = gap.calibration_
    calibrated = time.perf_counter()
    plain = clone(gap).set_params(calibrate=False).fit(X, y, forces=targets["forces"])
    Z = descriptor.transform(test)
    (before, raw), (after, scaled) = (
        evaluate(model, Z, y_test, expected["forces"]) for model in (plain, gap)
    )
    errors, std = scaled
    clear = std > 1e-4 * np.sqrt(np.mean(errors**2))
    pairs = [(before, after), tuple(summarize(e[clear], s[clear]) for e, s in (raw, scaled))]
    cells = [f"{a[i]:.2f} → {b[i]:.2f}" for a, b in pairs for i in (0, 1)]
    times = f"{fitted - start:.1f}, {calibrated - fitted:.1f}"
    print(f"| {name} | {len(train)}, {len(test)} | {' | '.join(cells)} | {times} |  # "
          f"{calibration['energy']} {calibration['forces']}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    for name in arguments.sets:
        measure(name, arguments.seed)


if __name__ == "__main__":
    main()

"""Errors of Gaussian approximation potentials on any data set, without tuning by hand.

``python tests/benchmarks/bench_gap_accuracy.py --train FILE --test FILE`` takes extended xyz files
(``.xyz``, ``.extxyz`` or ``.xz``) with energies and, where there are, forces and stresses. A swarm
search on part of the training set, and nothing else, chooses ranges and widths of the
descriptors and the noise; the rest follows from the training set by the rules in `make_pipeline`
and `choose_points`. Then one pass over the whole training set but for a few structures, on which
the noise is adjusted, before they are learned from as well; and the errors on the test set,
which is looked at only then.
"""

import argparse
import io
import lzma
import resource
import time
import warnings
from pathlib import Path

import numpy as np
import sklearn
from ase.io import read
from scipy.stats import loguniform, uniform
from sklearn.model_selection import KFold
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.utils.metadata_routing import MetadataRequest
from vesin import NeighborList

from skdesc import (
    GAPRegressor,
    SOAPTransformer,
    TensorReducedTransformer,
    TwoBodyTransformer,
    TwoStagePSOSearchCV,
    extract_targets,
)
from skdesc.metrics import energy_mae_per_atom, energy_rmse_per_atom, forces_mae, forces_rmse

KCAL_PER_MOL = 0.0433641
# Figures of others, by the beginning of the training file's name. Sources: the tables of Zuo et
# al., J. Phys. Chem. A 124, 731 (2020), where mean absolute or root mean square is not certain;
# those marked ~ are as quoted in secondary sources.
PUBLISHED = {
    "mlearn_Cu": "GAP 0.46 meV/atom, 10 meV/A; MTP 0.41 meV/atom",
    "mlearn_Li": "GAP 0.49 meV/atom, 10 meV/A; MTP 0.49 meV/atom",
    "mlearn_Si": "GAP 2.91 meV/atom, 70 meV/A; MTP 2.21 meV/atom",
    "maml_MoNbTaW": "SNAP MAE ~5.1 meV/atom, ~140 meV/A",
    "botnet_eth": "MAE of rMD17 ethanol, meV and meV/A: GAP ~3.5 and ~18.1, ACE ~1.2 and ~7.3",
    "acac": "RMSE 300 K, meV and meV/A: MACE ~0.9 and ~5.1, BOTNet ~0.89 and ~6.3",
    "qm7": "SOAP kernels ~1 kcal/mol MAE",
}
# atoms of the part of the training set that the search sees, and sparse points per element there
SEARCH_ATOMS, SEARCH_POINTS = 2000, 200
# additions and multiplications of a fit: two to four minutes of one core
OPERATIONS = 5e12
# the triangles take some 2 GB
MOST_POINTS = 5000
# part of the structures that is held back to adjust the noise on, and the most trials
HELD_BACK, TRIALS = 0.1, 6


class PotentialScorer:
    """Minus the mean logarithm of the errors of energies per atom and of forces.

    The sum of logarithms weighs relative improvements alike, whatever the units.
    """

    def get_metadata_routing(self):
        request = MetadataRequest(owner=self)
        request.score.add_request(param="forces", alias=True)
        return request

    def __call__(self, estimator, X, y, forces=None):
        if forces is None:
            return -np.log(energy_rmse_per_atom(y, estimator.predict(X), X.n_atoms))
        energies, predicted = estimator.predict(X, return_forces=True)
        error = np.log(energy_rmse_per_atom(y, energies, X.n_atoms))
        return -0.5 * (error + np.log(forces_rmse(forces, predicted)))


def read_frames(path):
    """All structures of a file; ASE alone would take minutes for a compressed one."""
    opener = lzma.open if path.suffix == ".xz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        return read(io.StringIO(file.read()), ":", format="extxyz")


def make_pipeline(frames, n_elements, n_jobs):
    """Pipeline with what needs no search."""
    periodic = any(atoms.pbc.any() for atoms in frames)
    # molecules have few neighbors, so that finer descriptors cost little
    common = {"n_max": 6, "l_max": 5} if periodic else {"n_max": 8, "l_max": 6}
    common["n_jobs"] = n_jobs
    near = {"cutoff": 4.0, "cutoff_width": 1.5, "atom_sigma": 0.4 if periodic else 0.3, **common}
    far = {"cutoff": 6.5, "cutoff_width": 3.0, "atom_sigma": 0.5, **common}
    if n_elements > 3:
        # The size of the first does not depend on the elements. The second does not tell them
        # apart as neighbors: what is known of one serves where another has not been seen. Pairs
        # that have not been seen at some distance would be without any repulsion there.
        near = TensorReducedTransformer(**near, n_channels=96, random_state=0)
        far = SOAPTransformer(**far, compression="mu2")
        parts = [("near", near), ("far", far)]
    else:
        pairs = TwoBodyTransformer(cutoff=7.0 if periodic else 6.0, n_jobs=n_jobs)
        near, far = SOAPTransformer(**near), SOAPTransformer(**far)
        parts = [("near", near), ("far", far), ("pairs", pairs)]
    zeta = 3 if periodic else 4
    return Pipeline([
        ("union", FeatureUnion(parts)),
        ("gap", GAPRegressor(
            zeta=[zeta, zeta, 1][: len(parts)], n_sparse=n_sparse(parts, SEARCH_POINTS),
            sigma_energy=1e-3, sigma_forces=0.01, sigma_virials=0.03, random_state=0,
        )),
    ])  # fmt: skip


def n_sparse(parts, points):
    """Sparse points per element of each descriptor; pairs are represented completely."""
    return [points, points, 1000][: len(parts)]


def has_forces(frames):
    """Whether there are forces to fit to."""
    return "forces" in extract_targets(frames[:1])[1]


def choose_points(pipeline, frames, n_elements):
    """Sparse points per element of each of both descriptors, as many as minutes allow."""
    if not has_forces(frames):
        return 3300 // n_elements
    part = frames[:: max(1, len(frames) // 30)]
    share = sum(map(len, frames)) / sum(map(len, part))
    # of one point of each descriptor: the derivatives by the neighbors
    derivatives = 0.0
    for name in ("near", "far"):
        descriptor = pipeline["union"][name]
        finder = NeighborList(cutoff=descriptor.cutoff, full_list=True)
        pairs = share * sum(
            len(finder.compute(atoms.positions, atoms.cell.array, atoms.pbc, "i")[0])
            for atoms in part
        )
        if isinstance(descriptor, TensorReducedTransformer):
            size = descriptor.n_channels * (descriptor.l_max + 1)
        else:
            size = descriptor.n_max * (descriptor.l_max + 1) ** 2
        derivatives += 6 * pairs * size
    n_rows = 3 * sum(map(len, frames)) + 7 * len(frames)
    # of the QR decomposition, with n points: 2 * n_rows * (2 * n_elements * n)^2
    square = 8 * n_rows * n_elements**2
    root = (np.sqrt(derivatives**2 + 4 * square * OPERATIONS) - derivatives) / (2 * square)
    return int(np.clip(root, 100, MOST_POINTS // (2 * n_elements)))


def search(pipeline, frames, n_jobs):
    """Parameters by cross-validation on part of the training set."""
    n_atoms = np.cumsum([len(atoms) for atoms in frames])
    # a structure without forces tells less
    wanted = SEARCH_ATOMS * (1 if has_forces(frames) else 3)
    step = max(1, round(n_atoms[-1] / wanted))
    part = frames[::step]
    y, targets = extract_targets(part, virials=False)
    print(f"search on {len(part)} training structures, {sum(map(len, part))} atoms")
    result = TwoStagePSOSearchCV(
        pipeline,
        transformer_space={
            "union__near__cutoff": uniform(3.5, 1.5),
            "union__near__atom_sigma": uniform(0.25, 0.25),
            "union__near__radial_scaling": [(1.0, r, 4) for r in (1.5, 2.0, 3.0, 5.0)],
            "union__far__cutoff": uniform(5.0, 2.0),
            "union__far__atom_sigma": uniform(0.35, 0.3),
            "union__far__radial_scaling": [(1.0, r, 4) for r in (1.5, 2.0, 2.5, 3.0, 4.0)],
        },
        regressor_space={
            "gap__sigma_energy": loguniform(1e-4, 1e-2),
            "gap__sigma_forces": loguniform(2e-3, 5e-2),
        },
        n_particles=5,
        n_iterations=2,
        scoring=PotentialScorer(),
        cv=KFold(2, shuffle=True, random_state=0),
        refit=False,
        n_jobs=n_jobs,
        random_state=0,
    ).fit(part, y, **targets)
    for name, value in result.best_params_.items():
        print(f"    {name} = {value if isinstance(value, tuple) else format(value, '.3g')}")
    return result.best_params_


def fit(pipeline, frames):
    """Fit to all but a few structures, adjust the noise on these, then learn from them too.

    With many more points and structures than in the search, another noise may be better. Each
    trial solves again, which takes no further pass, and learns from one structure more.
    """
    y, targets = extract_targets(frames)
    features, gap = pipeline[:-1].fit_transform(frames), pipeline[-1]
    order = np.random.RandomState(0).permutation(len(frames))
    n_judges = int(HELD_BACK * len(frames))
    judges, spare, rest = np.split(order, [n_judges, n_judges + min(TRIALS, n_judges)])

    def learn(index):
        index = np.sort(index)
        gap.partial_fit(features[index], y[index],
                        **{kind: [values[i] for i in index] for kind, values in targets.items()})

    def score():
        known = {"forces": [targets["forces"][i] for i in judges]} if "forces" in targets else {}
        return PotentialScorer()(gap, features[judges], y[judges], **known)

    learn(rest)
    if n_judges:
        best = score()
        print(f"score on {n_judges} structures held back: {best:.3f}")
        names = ["sigma_forces", "sigma_energy"] if "forces" in targets else ["sigma_energy"]
        for name in names:
            start = getattr(gap, name)
            for factor in (1 / 3, 3.0):
                improves = getattr(gap, name) == start  # the other way has not helped
                while improves and len(spare):
                    before = getattr(gap, name)
                    gap.set_params(**{name: factor * before})
                    learn(spare[:1])
                    spare, found = spare[1:], score()
                    print(f"    {name} = {factor * before:.3g}: {found:.3f}")
                    improves = found > best
                    best = max(best, found)
                    if not improves:
                        gap.set_params(**{name: before})
        learn(np.concatenate([judges, spare]))


def report(name, frames, pipeline):
    """Print the errors on some structures."""
    y, targets = extract_targets(frames, virials=False)
    n_atoms = np.array([len(atoms) for atoms in frames])
    if "forces" in targets:
        energies, forces = pipeline.predict(frames, return_forces=True)
    else:
        energies = pipeline.predict(frames)
    mae = energy_mae_per_atom(y, energies, n_atoms)
    rmse = energy_rmse_per_atom(y, energies, n_atoms)
    total = np.abs(y - energies)
    print(f"{name}: {len(frames)} structures")
    print(f"    energy  MAE {1e3 * mae:8.3f}  RMSE {1e3 * rmse:8.3f} meV/atom")
    print(f"    energy  MAE {1e3 * total.mean():8.3f}  "
          f"RMSE {1e3 * np.sqrt(np.mean(total**2)):8.3f} meV per structure "
          f"(MAE {total.mean() / KCAL_PER_MOL:.3f} kcal/mol)")
    if "forces" in targets:
        print(f"    forces  MAE {1e3 * forces_mae(targets['forces'], forces):8.2f}  "
              f"RMSE {1e3 * forces_rmse(targets['forces'], forces):8.2f} meV/angstrom")


def main(train, test, n_jobs, max_atoms):
    """Search, fit, test."""
    sklearn.set_config(enable_metadata_routing=True)
    warnings.simplefilter("ignore")
    frames = read_frames(train)
    n_atoms = sum(map(len, frames))
    # energies alone make one row per structure, whatever its size
    step = -(-n_atoms // max_atoms) if has_forces(frames) else 1
    if step > 1:
        frames = frames[::step]
        print(f"every {step}th training structure only, for the sake of time")
    elements = sorted({symbol for atoms in frames for symbol in atoms.symbols})
    print(f"{train.name}: {len(frames)} structures, {sum(map(len, frames))} atoms of "
          f"{' '.join(elements)}")
    pipeline = make_pipeline(frames, len(elements), n_jobs)
    parts = pipeline["union"].transformer_list
    for _, descriptor in parts:
        descriptor.set_params(species=elements)
    start = time.perf_counter()
    pipeline.set_params(**search(pipeline, frames, n_jobs))
    points = choose_points(pipeline, frames, len(elements))
    pipeline.set_params(gap__n_sparse=n_sparse(parts, points))
    searched = time.perf_counter()
    fit(pipeline, frames)
    fitted = time.perf_counter()
    print(f"{len(pipeline[-1].weights_)} sparse points")
    report(f"test ({test.name})", read_frames(test), pipeline)
    for stem, text in PUBLISHED.items():
        if train.name.startswith(stem):
            print(f"    published: {text}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"search {searched - start:.0f} s, fit {fitted - searched:.0f} s, "
          f"test {time.perf_counter() - fitted:.0f} s, peak memory {peak:.0f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--train", type=Path, required=True, help="training structures")
    parser.add_argument("--test", type=Path, required=True, help="test structures")
    parser.add_argument("--n-jobs", type=int, default=2, help="processes of the search")
    parser.add_argument("--max-atoms", type=int, default=60_000,
                        help="with forces, train on part of larger sets, every n-th structure")
    options = parser.parse_args()
    main(options.train, options.test, options.n_jobs, options.max_atoms)

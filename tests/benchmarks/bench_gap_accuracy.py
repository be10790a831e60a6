"""Errors of Gaussian approximation potentials on any data set, without tuning by hand.

``python tests/benchmarks/bench_gap_accuracy.py --train FILE --test FILE`` takes extended xyz files
(``.xyz``, ``.extxyz`` or ``.xz``) with energies and, where there are, forces and stresses. Some
structures of the training set are held back; on them, nothing else, the noise is adjusted: first
for small models of a few descriptors, to choose one of these, and then at full size, before the
structures held back are learned from as well. The rest follows from the training set by the rules
in `candidates` and `choose_points`. The test set is looked at only then.
"""

import argparse
import io
import lzma
import resource
import time
import warnings
from pathlib import Path

import numpy as np
from ase.io import read
from sklearn.pipeline import make_union
from vesin import NeighborList

from skdesc import (
    GAPRegressor,
    SOAPTransformer,
    TensorReducedTransformer,
    TwoBodyTransformer,
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
# atoms of the part of the training set that descriptors are compared on, and sparse points per
# element of each model there
PART_ATOMS, PART_POINTS = 9_000, 500
# structures that mixing weights are learned from
LEARNED_FROM = 150
# additions and multiplications of the last fit: some minutes of one core
OPERATIONS = 6e12
# the triangles take some 2 GB
MOST_POINTS = 5000
# one structure of so many is held back to adjust the noise on
HELD_BACK = 5
# of the score, for which the noise is changed: few structures held back tell no less
LEAST_GAIN = 0.01
# Noise to begin with, and the least: forces of electronic structure theory are not converged
# beyond it, and models that follow all of their errors err most where there are few data.
START = {"sigma_energy": 1e-4, "sigma_forces": 0.005, "sigma_virials": 0.2}
LEAST = {"sigma_energy": 1e-6, "sigma_forces": 1e-3, "sigma_virials": 0.01}


def read_frames(path):
    """All structures of a file; ASE alone would take minutes for a compressed one."""
    opener = lzma.open if path.suffix == ".xz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        return read(io.StringIO(file.read()), ":", format="extxyz")


def nearest_neighbors(frames):
    """Typical distance of nearest neighbors, in angstrom."""
    finder, distances = NeighborList(cutoff=8.0, full_list=True), []
    for atoms in frames[:: max(1, len(frames) // 40)]:
        i, d = finder.compute(atoms.positions, atoms.cell.array, atoms.pbc, "id")
        nearest = np.full(len(atoms), np.inf)
        np.minimum.at(nearest, i, d)
        distances.extend(nearest)
    return float(np.median(distances))


def candidates(frames, elements):
    """Unions of descriptors, and the exponent of each."""
    if any(atoms.pbc.any() for atoms in frames):
        nearest = nearest_neighbors(frames)
        common = {"species": elements, "n_max": 6, "l_max": 5}
        near = {"cutoff_width": 0.6 * nearest, "atom_sigma": 0.16 * nearest}
        far = {"cutoff_width": 1.2 * nearest, "atom_sigma": 0.2 * nearest}
        choices = [
            (2.1 * reach, {"cutoff": 1.7 * reach, **near}, {"cutoff": 2.7 * reach, **far})
            for reach in (0.85 * nearest, nearest, 1.15 * nearest)
        ]
    else:
        # in angstrom, as hydrogen is nearer than what matters; the few neighbors of molecules
        # make finer descriptors cheap
        common = {"species": elements, "n_max": 8, "l_max": 6}
        near = {"cutoff": 4.0, "cutoff_width": 1.5, "atom_sigma": 0.3}
        far = {"cutoff": 6.5, "cutoff_width": 3.0, "atom_sigma": 0.5}
        choices = [
            (4.0, *({**part, "radial_scaling": (1.0, scale, 4)} for part in (near, far)))
            for scale in (1.5, 2.0, 3.0)
        ]
    for cutoff, near, far in choices:
        near, far = {**common, **near}, {**common, **far}
        if len(elements) > 3:
            # The size of the first does not depend on the elements. The second does not tell
            # them apart as neighbors: what is known of one serves where another has not been
            # seen. Pairs not seen at some distance would be without any repulsion there.
            blind = SOAPTransformer(**far, compression="mu2")
            if has_forces(frames):
                yield make_union(learned_mixing(frames, near), blind), [2, 4]
            else:
                near = TensorReducedTransformer(**near, n_channels=96, random_state=0)
                yield make_union(near, blind), [4, 4]
        else:
            pairs = TwoBodyTransformer(cutoff=far["cutoff"], species=elements)
            far = SOAPTransformer(**far)
            yield make_union(SOAPTransformer(**near), far, pairs), [4, 4, 1]
            # two and three neighbors at once: one more than SOAP
            near |= {"cutoff": cutoff, "l_max": 4, "n_channels": 16, "correlation_order": 3}
            near = TensorReducedTransformer(**near, random_state=0)
            yield make_union(near, far, pairs), [4, 4, 1]


def learned_mixing(frames, parameters):
    """Tensor-reduced descriptor with mixing weights learned from some energies and forces."""
    parameters = {**parameters, "l_max": 4, "n_channels": 16, "scheme": "decomposition",
                  "random_state": 0}  # fmt: skip
    some = frames[:: max(1, len(frames) // LEARNED_FROM)]
    y, targets = extract_targets(some, virials=False)
    learner = TensorReducedTransformer(
        **parameters, weights="learned", learning={"n_embedding": 4, "max_iter": 60}
    )
    learner.fit(some, y, forces=targets["forces"])
    return TensorReducedTransformer(**parameters, weights=learner.mixing_weights_)


def has_forces(frames):
    """Whether there are forces to fit to."""
    return "forces" in extract_targets(frames[:1])[1]


def many_body(union):
    """Its descriptors but for pairs."""
    return [part for _, part in union.transformer_list if hasattr(part, "l_max")]


def choose_points(union, frames, n_elements):
    """Sparse points per element of each descriptor, as many as minutes allow."""
    if not has_forces(frames):
        return 3300 // n_elements
    part = frames[:: max(1, len(frames) // 30)]
    share = sum(map(len, frames)) / sum(map(len, part))
    # of one point of each descriptor: the derivatives by the neighbors
    derivatives = 0.0
    descriptors = many_body(union)
    for descriptor in descriptors:
        finder = NeighborList(cutoff=descriptor.cutoff, full_list=True)
        pairs = share * sum(
            len(finder.compute(atoms.positions, atoms.cell.array, atoms.pbc, "i")[0])
            for atoms in part
        )
        if isinstance(descriptor, TensorReducedTransformer):
            size = descriptor.fit(part).n_features_out_
        else:
            size = descriptor.n_max * (descriptor.l_max + 1) ** 2
        derivatives += 6 * pairs * size
    n_rows = 3 * sum(map(len, frames)) + 7 * len(frames)
    # of the QR decomposition, with n points: 2 * n_rows * (len(descriptors) * n_elements * n)^2
    square = 2 * n_rows * (len(descriptors) * n_elements) ** 2
    root = (np.sqrt(derivatives**2 + 4 * square * OPERATIONS) - derivatives) / (2 * square)
    return int(np.clip(root, 100, MOST_POINTS // (len(descriptors) * n_elements)))


class Potential:
    """A descriptor and a regressor, the noise of which is adjusted on structures held back."""

    def __init__(self, union, zetas, points, frames, held_back, noise):
        self.y, self.targets = extract_targets([*frames, *held_back])
        self.union = union
        self.features = union.fit_transform([*frames, *held_back])
        # pairs are represented completely
        n_sparse = [200 if zeta == 1 else points for zeta in zetas]
        single = len(zetas) == 1
        self.gap = GAPRegressor(
            zeta=zetas[0] if single else zetas, n_sparse=n_sparse[0] if single else n_sparse,
            **noise,
        )  # fmt: skip
        self.held_back = np.arange(len(frames), len(self.y))
        self.learn(np.arange(len(frames)))

    def learn(self, index):
        """Learn from some structures, with the present noise."""
        self.gap.partial_fit(
            self.features[index], self.y[index],
            **{kind: [values[i] for i in index] for kind, values in self.targets.items()},
        )  # fmt: skip

    def score(self):
        """Minus the mean logarithm of the errors on structures held back.

        It weighs relative improvements alike, whatever the units. It is of absolute and of square
        errors, as the latter are often those of one structure or two.
        """
        X, y = self.features[self.held_back], self.y[self.held_back]
        if "forces" in self.targets:
            energies, forces = self.gap.predict(X, return_forces=True)
            known = [self.targets["forces"][i] for i in self.held_back]
            errors = [forces_mae(known, forces), forces_rmse(known, forces)]
        else:
            energies, errors = self.gap.predict(X), []
        errors += [metric(y, energies, X.n_atoms)
                   for metric in (energy_mae_per_atom, energy_rmse_per_atom)]
        return -np.mean(np.log(errors))

    def adjust(self, factors):
        """Try other noise, by each factor up and down; return the score.

        All kinds together first, which is how closely the model follows the data, then the weight
        of single kinds.
        """
        best = self.score()
        groups = [["sigma_energy"]]
        if "forces" in self.targets:
            groups.insert(0, list(START))
        if "virials" in self.targets:
            groups.append(["sigma_virials"])
        for factor in factors:
            for group in groups:
                lowered = self.follow(group, 1 / factor, best)
                best = lowered if lowered > best else self.follow(group, factor, best)
        self.gap.solve()
        return best

    def follow(self, group, step, best):
        """Multiply noise by a step while the score improves; return the best."""
        while True:
            before = self.noise()
            after = {name: step * before[name] for name in group}
            if any(after[name] < LEAST[name] for name in group):
                return best
            self.gap.set_params(**after).solve()
            found = self.score()
            if found <= best + LEAST_GAIN:
                self.gap.set_params(**before)
                return best
            best = found

    def noise(self):
        """Present noise."""
        return {name: getattr(self.gap, name) for name in START}


def choose(frames, held_back, elements):
    """Descriptors and noise that are best with few sparse points, on part of the structures."""
    n_atoms = sum(map(len, frames)) + sum(map(len, held_back))
    # a structure without forces tells less
    wanted = PART_ATOMS * (1 if has_forces(frames) else 3)
    step = max(1, round(n_atoms / wanted))
    part = frames[::step], held_back[::step]
    print(f"compared on {len(part[0])} training structures and {len(part[1])} held back, "
          f"{sum(len(atoms) for side in part for atoms in side)} atoms:")
    best = (-np.inf,)
    for union, zetas in candidates(frames, elements):
        start = time.perf_counter()
        points = PART_POINTS // len(many_body(union))
        potential = Potential(union, zetas, points, *part, START)
        score = potential.adjust([10.0, 5.0, 2.5])
        noise = potential.noise()
        print(f"    {describe(union)}: {score:.3f}, "
              f"{', '.join(f'{name} {value:.2g}' for name, value in noise.items())}, "
              f"{time.perf_counter() - start:.0f} s", flush=True)
        if score > best[0]:
            best = score, union, zetas, noise
    return best[1:]


def describe(union):
    """Kinds and ranges of descriptors."""
    texts = []
    for _, part in union.transformer_list:
        kind = type(part).__name__.removesuffix("Transformer")
        scaling = getattr(part, "radial_scaling", None)
        weight = f" (weight by {scaling[1]:.3g})" if scaling else ""
        texts.append(f"{kind} {part.cutoff:.3g}{weight}")
    return ", ".join(texts)


def report(name, frames, potential):
    """Print the errors on some structures."""
    y, targets = extract_targets(frames, virials=False)
    n_atoms = np.array([len(atoms) for atoms in frames])
    features = potential.union.transform(frames)
    if "forces" in targets:
        energies, forces = potential.gap.predict(features, return_forces=True)
    else:
        energies = potential.gap.predict(features)
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


def main(train, test, max_atoms):
    """Choose, fit, test."""
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
    start = time.perf_counter()
    # every part of a file that is ordered by kinds of structures is represented
    held_back = frames[3::HELD_BACK]
    rest = [atoms for index, atoms in enumerate(frames) if index % HELD_BACK != 3]
    union, zetas, noise = choose(rest, held_back, elements)
    points = choose_points(union, frames, len(elements))
    chosen = time.perf_counter()
    potential = Potential(union, zetas, points, rest, held_back, noise)
    score = potential.adjust([3.0])
    print(f"all structures, {describe(union)}, {len(potential.gap.weights_)} sparse points: "
          f"{score:.3f}, {', '.join(f'{name} {x:.2g}' for name, x in potential.noise().items())}")
    potential.learn(potential.held_back)
    fitted = time.perf_counter()
    if test is not None:
        report(f"test ({test.name})", read_frames(test), potential)
    for stem, text in PUBLISHED.items():
        if train.name.startswith(stem):
            print(f"    published: {text}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"choice {chosen - start:.0f} s, fit {fitted - chosen:.0f} s, "
          f"test {time.perf_counter() - fitted:.0f} s, processor {time.process_time():.0f} s, "
          f"peak memory {peak:.0f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--train", type=Path, required=True, help="training structures")
    parser.add_argument("--test", type=Path, help="test structures")
    parser.add_argument("--max-atoms", type=int, default=60_000,
                        help="with forces, train on part of larger sets, every n-th structure")
    options = parser.parse_args()
    main(options.train, options.test, options.max_atoms)

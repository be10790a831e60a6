"""Problems for searches: structures, targets, folds, a pipeline and the spaces to search."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase.data import atomic_numbers
from sklearn.base import clone
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import Pipeline

from skdesc import GAPRegressor, SOAPTransformer, extract_targets, suggest_space
from skdesc import datasets as d
from skdesc.metrics import make_energy_scorer, make_potential_scorer

N_FOLDS = 3


@dataclass
class Problem:
    """Structures, targets, folds, a pipeline and its spaces."""

    train: tuple
    test: tuple
    folds: list
    pipeline: Pipeline
    spaces: tuple
    scoring: object
    start: dict

    @property
    def metadata(self):
        """Forces for fit and score, if there are any."""
        return {} if self.train[2] is None else {"forces": self.train[2]}

    @property
    def space(self):
        """Both spaces as one."""
        return {**self.spaces[0], **self.spaces[1]}

    def test_errors(self, params):
        """Errors on the test structures of a pipeline fitted to all others."""
        frames, y, forces = self.test
        fitted = clone(self.pipeline).set_params(**params).fit(*self.train[:2], **self.metadata)
        more = {} if forces is None else {"forces": forces}
        score = make_potential_scorer()(fitted, frames, y, **more)
        predicted = fitted.predict(frames, return_forces=forces is not None)
        energies = predicted if forces is None else predicted[0]
        residuals = {"energy": (energies - y) / [len(atoms) for atoms in frames]}
        if forces is not None:
            residuals["forces"] = np.concatenate(predicted[1]) - np.concatenate(forces)
        errors = {"relative": -score}
        for name, values in residuals.items():
            errors[f"{name} rms"] = 1000 * float(np.sqrt(np.mean(values**2)))
            sizes = np.linalg.norm(values.reshape(len(values), -1), axis=1)
            errors[f"{name} median"] = 1000 * float(np.median(sizes))
        return errors


def make_problem(frames, train, test, *, e0="auto", forces=True, n_sparse=60, kinds=None,
                 always=()):
    """Problem of some structures of a set."""
    sides = []
    for indices in (train, test):
        chosen = [frames[index] for index in indices]
        y, targets = extract_targets(chosen, forces=forces, virials=False)
        sides.append((chosen, y, targets["forces"] if forces else None))
    elements = sorted({s for atoms in frames for s in atoms.symbols}, key=atomic_numbers.get)
    pipeline = Pipeline([
        ("soap", SOAPTransformer(species=elements, n_max=6, l_max=4)),
        ("gap", GAPRegressor(e0=e0, n_sparse=n_sparse, random_state=0)),
    ])
    spaces = suggest_space(sides[0][0], pipeline, forces=forces)
    start = present_values(pipeline, {**spaces[0], **spaces[1]}, sides[0][0])
    scoring = make_potential_scorer() if forces else make_energy_scorer()
    folds = make_folds(train, kinds, always)
    return Problem(*sides, folds, pipeline, spaces, scoring, start)


def make_folds(train, kinds, always):
    """Folds of the training structures; those that `always` names are never held back."""
    tested = np.setdiff1d(np.arange(len(train)), always)
    labels = np.zeros(len(tested)) if kinds is None else np.asarray(kinds)[train][tested]
    cv = (KFold if kinds is None else StratifiedKFold)(N_FOLDS, shuffle=True, random_state=0)
    return [
        (np.union1d(always, tested[a]).astype(int), tested[b]) for a, b in cv.split(tested, labels)
    ]


def present_values(pipeline, space, frames):
    """Present values of the parameters searched, where they lie in the space."""
    fitted, start = clone(pipeline[0]).fit(frames), {}
    for name, values in space.items():
        value = pipeline.get_params()[name]
        if name.startswith("soap__"):
            value = getattr(fitted, f"{name[6:]}_", value)
        if not isinstance(values, list) or value in values:
            start[name] = value
    return start


def some(count, n_test, seed=0, total=None):
    """Indices of training and test structures."""
    order = np.random.RandomState(seed).permutation(total)
    return np.sort(order[:count]), np.sort(order[count : count + n_test])


def _dimer():
    data = d.load_carbon_dimer()
    ends = (0, 1, len(data.train) - 1)  # nothing is to be extrapolated
    return make_problem(data.frames, data.train, data.test, e0=data.isolated_energies,
                        n_sparse=20, always=ends)


def _solids():
    data = d.load_carbon_solids()
    sizes = np.array([len(atoms) for atoms in data.frames])
    small = np.flatnonzero((data.kinds != "amorphous") & (sizes <= 32))
    return make_problem(data.frames, np.intersect1d(small, data.train),
                        np.intersect1d(small, data.test), e0=data.isolated_energies,
                        n_sparse=40, kinds=data.kinds)


def _iron():
    frames = [atoms for atoms in d.fetch_iron_gap22().frames if len(atoms) <= 6]
    per_atom = np.array([atoms.get_potential_energy() / len(atoms) for atoms in frames])
    frames = [frames[i] for i in np.flatnonzero(per_atom < per_atom.min() + 1.0)]
    return make_problem(frames, *some(150, 200, total=len(frames)), forces=False)


def _molecules():
    frames = d.fetch_qm9_500().frames
    return make_problem(frames, *some(200, 200, total=len(frames)), forces=False)


def _ethanol():
    frames = d.load_ethanol_dynamics().frames
    return make_problem(frames, *some(90, 300, total=len(frames)))


def _gaas():
    frames = d.fetch_gaas().frames
    return make_problem(frames, *some(36, 60, total=len(frames)))


def _lithium():
    frames = [a for a in d.fetch_mlearn("Li").frames if len(a) <= 54]
    return make_problem(frames, *some(30, 100, total=len(frames)))


def _silicon():
    frames = [a for a in d.fetch_mlearn("Si").frames if len(a) <= 64]
    return make_problem(frames, *some(30, 100, total=len(frames)))


def _alloy():
    frames = [a for a in d.fetch_monbtaw().frames if 2 <= len(a) <= 16]
    return make_problem(frames, *some(80, 200, total=len(frames)))


PROBLEMS = {
    "carbon dimer": _dimer, "carbon solids": _solids, "iron": _iron, "molecules": _molecules,
    "ethanol": _ethanol, "GaAs": _gaas, "Li": _lithium, "Si": _silicon, "MoNbTaW": _alloy,
}

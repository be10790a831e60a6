"""The battery for transformers of Atoms: passed by ours, failed by broken ones."""

import subprocess
import sys

import numpy as np
import pytest
from ase import Atoms
from helpers.transformers import transformers

from skdesc import SOAPTransformer
from skdesc.structures import check_structures
from skdesc.testing import (
    atoms_transformer_checks,
    check_atoms_transformer,
    parametrize_with_atoms_checks,
    sample_structures,
)


@parametrize_with_atoms_checks(transformers())
def test_transformers(estimator, check):
    check(estimator)


def test_the_battery_is_not_vacuous():
    names = [name for name, _ in atoms_transformer_checks(SOAPTransformer())]
    assert len(names) == len(set(names)) >= 30
    assert len(transformers()) >= 2
    numbers = np.concatenate([atoms.numbers for atoms in sample_structures()])
    assert set(numbers) == {1, 6, 7, 8}


class _Small(SOAPTransformer):
    def __init__(self, pooling="mean", cutoff=3.0, n_max=2, l_max=1):
        super().__init__(pooling=pooling, cutoff=cutoff, n_max=n_max, l_max=l_max)


class _TakesAtomsApart(_Small):
    def transform(self, X):
        return super().transform([Atoms([atom]) for atoms in X for atom in atoms])


class _MovesAtoms(_Small):
    def transform(self, X):
        if isinstance(X, list):
            for atoms in X:
                atoms.positions -= atoms.get_center_of_mass()
        return super().transform(X)


class _SeesTheFrame(_Small):
    def transform(self, X):
        values = super().transform(X)
        values[:, 0] += check_structures(X).positions[0, 0]
        return values


class _SeesTheBatch(_Small):
    def transform(self, X):
        values = super().transform(X)
        return values / np.linalg.norm(values)


class _DrawsGlobally(_Small):
    def transform(self, X):
        np.random.uniform()  # noqa: NPY002
        return super().transform(X)


class _Converts(_Small):
    def fit(self, X, y=None):
        self.cutoff = self.cutoff * 1.5
        return super().fit(X)


class _NamesTooFew(_Small):
    def get_feature_names_out(self, input_features=None):
        return super().get_feature_names_out()[1:]


class _LosesItsTables(_Small):
    def __getstate__(self):
        state = super().__getstate__()
        state.pop("_descriptor", None)
        return state


@pytest.mark.parametrize(
    ("transformer", "failing"),
    [
        (_TakesAtomsApart, "check_length"),
        (_MovesAtoms, "check_structures_stay"),
        (_SeesTheFrame, "check_translation"),
        (_SeesTheFrame, "check_rotation"),
        (_SeesTheBatch, "check_batches"),
        (_DrawsGlobally, "check_global_state"),
        (_Converts, "check_parameters_stay"),
        (_NamesTooFew, "check_feature_names"),
        (_LosesItsTables, "check_copies"),
    ],
)
def test_broken_transformers_fail(transformer, failing):
    checks = dict(atoms_transformer_checks(transformer()))
    with pytest.raises((AssertionError, AttributeError)):
        checks[failing](transformer())
    with pytest.raises(AssertionError, match=f"{transformer.__name__} fails check_"):
        check_atoms_transformer(transformer())


def test_skipping_checks():
    names = check_atoms_transformer(
        SOAPTransformer(cutoff=3.0, n_max=2, l_max=1), skip=["check_rotation"],
        structures=sample_structures()[:4],
    )
    assert "check_rotation" not in names
    assert len(names) >= 29
    with pytest.raises(ValueError, match="skip has"):
        list(atoms_transformer_checks(SOAPTransformer(), skip=["check_rotations"]))


def test_the_battery_needs_no_pytest():
    code = (
        "import sys; sys.modules['pytest'] = None\n"
        "from skdesc import SOAPTransformer\n"
        "from skdesc.testing import check_atoms_transformer\n"
        "check_atoms_transformer(SOAPTransformer(cutoff=3.0, n_max=2, l_max=1))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

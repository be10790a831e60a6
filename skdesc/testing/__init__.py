"""Checks of transformers of Atoms, as scikit-learn's checks are of transformers of arrays.

scikit-learn runs next to none of its checks on an estimator whose input is not a 2-D array.
These are the ones it cannot run, and those that only concern Atoms: containers, bad input,
invariances, periodic images. They are usable for any transformer that takes a sequence of
:class:`ase.Atoms`, not only for those of this package::

    from skdesc.testing import parametrize_with_atoms_checks

    @parametrize_with_atoms_checks([MyDescriptor(), MyDescriptor(pooling="mean")])
    def test_descriptor(estimator, check):
        check(estimator)

A check is a function of an estimator and structures that raises ``AssertionError``::

    _manners    what scikit-learn asks of an estimator
    _input      containers, and what must be refused
    _output     slicing, names of features, data frames
    _physics    invariances and periodic images
"""

from ._battery import (
    atoms_transformer_checks,
    check_atoms_transformer,
    parametrize_with_atoms_checks,
    sample_structures,
)

__all__ = [
    "atoms_transformer_checks",
    "check_atoms_transformer",
    "parametrize_with_atoms_checks",
    "sample_structures",
]

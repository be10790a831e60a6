"""Containers of structures, and what must be refused by name."""

from __future__ import annotations

import warnings

import numpy as np
from ase import Atoms

from ..structures import Structures, as_column
from ._tools import containers, refused, require, require_same


def check_containers(transformer, structures):
    """Every container gives the same features, in fit and in transform."""
    expected = transformer.fit(structures).transform(structures)
    for name, X in containers(structures).items():
        require_same(transformer.transform(X), expected, f"transform of {name} differs")
        require_same(transformer.fit(X).transform(X), expected, f"fit to {name} differs")


def check_read_only(transformer, structures):
    """joblib hands large arrays to workers read-only."""
    expected = transformer.fit(structures).transform(structures)
    packed = Structures.from_atoms(structures)
    for array in (packed.positions, packed.numbers, packed.cells, packed.pbc, packed.offsets):
        array.setflags(write=False)
    require_same(transformer.fit(packed).transform(packed), expected,
                 "read-only arrays give other features")


def check_one_structure(transformer, structures):
    """A sequence of one is a sequence."""
    transformer.fit(structures)
    output = transformer.transform(structures[:1])
    require(len(output) == 1, f"one structure gives {len(output)} rows")


def check_single_atoms_object(transformer, structures):
    """A bare Atoms is a sequence of atoms, not of structures."""
    for call in (transformer.fit, transformer.fit(structures).transform):
        refused(lambda call=call: call(structures[0]), (TypeError, ValueError), "a bare Atoms")


def check_other_objects(transformer, structures):
    """Numbers, strings and NumPy's heap of single atoms are no structures."""
    transformer.fit(structures)
    n = len(structures)
    water = [Atoms("OH2", positions=np.eye(3))] * 3
    heap = np.empty((3, 3), dtype=object)
    for row, atoms in enumerate(water):
        heap[row] = list(atoms)
    bad = {
        "an array of numbers": np.zeros((n, 3)), "a list of strings": ["H2O"] * n,
        "a structure among others": [*structures[:-1], None],
        "an array of single atoms": heap, "a number": 3.0,
    }
    for name, X in bad.items():
        for call in (transformer.fit, transformer.transform):
            refused(lambda call=call, X=X: call(X), (TypeError, ValueError), name)
        transformer.fit(structures)


def check_emptiness(transformer, structures):
    """No structures, and structures of no atoms."""
    transformer.fit(structures)
    empty = {"an empty list": [], "a structure of no atoms": [structures[0], Atoms()]}
    for name, X in empty.items():
        refused(lambda X=X: transformer.transform(X), (ValueError,), name)


def check_finite_positions(transformer, structures):
    """NaN and infinity are found before anything is computed, with no warning on the way."""
    transformer.fit(structures)
    for value in (np.nan, np.inf):
        broken = [atoms.copy() for atoms in structures]
        broken[1].positions[0, 0] = value
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            refused(lambda X=broken: transformer.transform(X), (ValueError,),
                    f"a position of {value}", "nan", "inf", "finite")


def check_unknown_element(transformer, structures):
    """An element that fit has not seen is described, left out, or refused by its name."""
    transformer.fit(structures)
    stranger = structures[0].copy()
    stranger.symbols[0] = "Xe"
    try:
        output = transformer.transform([stranger])
    except ValueError as error:
        require("Xe" in str(error) or "54" in str(error),
                f"the message does not name the element that is not known: {error}")
    else:
        require(len(output) == 1, f"one structure gives {len(output)} rows")


def check_data_frames(transformer, structures):
    """Several columns are ambiguous, whether or not their names are the same."""
    try:
        import pandas as pd
    except ImportError:
        return
    transformer.fit(structures)
    column = as_column(structures)[:, 0]
    once = pd.DataFrame({"atoms": column})
    twice = pd.concat([once, once], axis=1)
    other = pd.DataFrame({"atoms": column, "energy": np.zeros(len(structures))})
    for name, table in {"two columns": other, "two columns of the same name": twice}.items():
        for call in (transformer.fit, transformer.transform):
            refused(lambda call=call, X=table: call(X), (TypeError, ValueError),
                    f"a data frame of {name}", "column")
        transformer.fit(structures)

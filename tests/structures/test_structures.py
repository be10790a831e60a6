import pickle

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from helpers.systems import zoo
from sklearn.model_selection import KFold, train_test_split

from skdesc import Structures, as_column, check_structures, extract_targets


def object_array(frames):
    array = np.empty(len(frames), dtype=object)
    array[:] = frames
    return array


CONTAINERS = {
    "list": list,
    "tuple": tuple,
    "object array": object_array,
    "column": as_column,
    "Series": lambda frames: pd.Series(list(frames)),
    "DataFrame": lambda frames: pd.DataFrame({"atoms": list(frames)}),
    "Structures": Structures.from_atoms,
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_every_container_gives_the_same_structures(container):
    frames = [molecule("H2O")] * 3  # np.asarray would take these apart
    structures = check_structures(CONTAINERS[container](frames))
    assert len(structures) == 3
    assert structures[1] == frames[1]


def test_indexing_agrees_with_that_of_a_list():
    frames = zoo()
    structures = check_structures(frames)
    keys = [slice(1, 4), slice(None, None, -2), [4, 0, 0], np.array([-1, 2]),
            np.arange(len(frames)) % 2 == 0, (np.array([1, 3]), Ellipsis), []]
    for key in keys:
        picked = structures[key]
        plain = key[0] if isinstance(key, tuple) else key
        expected = object_array(frames)[plain] if len(picked) else []
        assert list(picked) == list(expected)
    assert structures[-1] == frames[-1]
    assert list(pickle.loads(pickle.dumps(structures))) == frames


def test_structures_are_no_table():
    structures = check_structures(zoo())
    assert structures.shape == (6,)
    assert structures.shape[-1] == 6
    assert structures.shape[1:] == ()
    match = r"not an array or table; .* skdesc\.as_column\(structures\)"
    with pytest.raises(TypeError, match=match):
        np.asarray(structures)
    with pytest.raises(IndexError, match=r"have one axis, .* skdesc\.as_column\(structures\)"):
        structures.shape[1]
    assert as_column(structures).shape == (6, 1)


@pytest.mark.parametrize("key", [6, -7, [9], (0, 1), "a", [[0, 1]], [True, False], 1.5])
def test_wrong_indices_are_refused(key):
    with pytest.raises((IndexError, TypeError)):
        check_structures(zoo())[key]


def test_scikit_learn_splits_structures():
    structures = check_structures(zoo())
    train, test = train_test_split(structures, test_size=2, random_state=0)
    assert isinstance(train, Structures)
    assert (len(train), len(test)) == (4, 2)
    assert [len(test) for _, test in KFold(3).split(structures)] == [2, 2, 2]


def nan_positions():
    atoms = molecule("H2O")
    atoms.positions[1, 2] = np.nan
    return [molecule("H2"), atoms]


BAD = {
    "bare Atoms": (lambda: molecule("H2O"), TypeError, r"single Atoms of 3 atoms.*pass \[X\]"),
    "empty list": (list, ValueError, "0 structures.*minimum of 1"),
    "empty structure": (lambda: [molecule("H2"), Atoms()], ValueError, r"X\[1\] has no atoms"),
    "NaN": (nan_positions, ValueError, r"X\[1\] has a NaN or infinite position at atom 1"),
    "infinite cell": (lambda: [Atoms("H", cell=[np.inf, 1, 1])], ValueError, "infinite cell"),
    "zero vector": (lambda: [Atoms("H", cell=[1, 0, 1], pbc=True)], ValueError,
                    "periodic along axis 1, but its cell vector there is zero"),
    "coplanar": (lambda: [Atoms("H", cell=[[1, 0, 0], [1, 1, 0], [2, 1, 0]], pbc=True)],
                 ValueError, "linearly dependent"),
    "iterator": (lambda: iter([molecule("H2")]), TypeError, "sequence of ase.Atoms"),
    "a string": (lambda: "H2O", TypeError, "sequence of ase.Atoms"),
    "numbers": (lambda: np.ones((3, 2)), TypeError, r"shape \(3, 2\)"),
    "exploded": (lambda: np.asarray([molecule("H2O")] * 3), TypeError, "takes Atoms apart"),
    "mixed": (lambda: [molecule("H2O"), "H2O"], TypeError, r"X\[1\] is of type str"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(case):
    make, error, match = BAD[case]
    with pytest.raises(error, match=match):
        check_structures(make())


class Foreign:
    """A structure of another library."""

    def __init__(self, atoms):
        self.atoms = atoms

    def toatoms(self):
        return self.atoms


def test_structures_that_convert_themselves():
    atoms = molecule("H2O")
    atoms.calc = SinglePointCalculator(atoms, energy=-3.0)
    frames = [atoms, Foreign(atoms)]
    assert len(check_structures(frames)) == 2
    np.testing.assert_array_equal(extract_targets(frames, forces=False)[0], [-3.0, -3.0])
    with pytest.raises(TypeError, match=r"X is a single Foreign.*pass \[X\]"):
        check_structures(Foreign(atoms))
    with pytest.raises(TypeError, match=r"X\[0\] is of type type"):
        check_structures([Foreign])
    with pytest.raises(TypeError, match=r"X\[0\].*toatoms\(\) returns a list, but must return"):
        check_structures([Foreign([atoms])])
    with pytest.raises(ValueError, match=r"X\[1\].*toatoms\(\) fails \(KeyError: 'cell'\)"):
        check_structures([atoms, Failing(atoms)])


class Failing(Foreign):
    def toatoms(self):
        raise KeyError("cell")


def test_the_converter_of_other_libraries_is_named():
    kind = type("Structure", (), {"__module__": "jarvis.core.atoms"})
    with pytest.raises(TypeError, match=r"X\[0\] is of type Structure.*ase_converter\(\)"):
        check_structures([kind()])


def test_structures_of_pymatgen():
    core = pytest.importorskip("pymatgen.core")
    crystal = core.Structure(core.Lattice.cubic(3.6), ["Cu"], [[0, 0, 0]])
    water = core.Molecule(["O", "H", "H"], [[0, 0, 0], [0, 0, 1], [0, 1, 0]])
    structures = check_structures([crystal, water])
    assert structures.pbc.all(axis=1).tolist() == [True, False]
    assert structures.numbers.tolist() == [29, 8, 1, 1]
    with pytest.raises(TypeError, match=r"X is a single Structure"):
        check_structures(crystal)

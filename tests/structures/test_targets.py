"""Targets out of Atoms: what is read, what is refused, and what is warned of."""

import warnings

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from skdesc import extract_targets
from skdesc.exceptions import SuspiciousTargetsWarning


def labelled(stress=True):
    atoms = bulk("Cu", cubic=True)
    results = {"energy": -3.5, "forces": np.arange(12.0).reshape(4, 3)}
    if stress:
        results["stress"] = np.arange(1.0, 7.0)
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


def test_targets_from_a_calculator():
    y, targets = extract_targets([labelled(), labelled(stress=False)])
    np.testing.assert_array_equal(y, [-3.5, -3.5])
    np.testing.assert_array_equal(targets["forces"][0], np.arange(12.0).reshape(4, 3))
    volume = labelled().get_volume()
    expected = -volume * np.array([[1, 6, 5], [6, 2, 4], [5, 4, 3.0]])
    np.testing.assert_allclose(targets["virials"][0], expected)
    assert np.isnan(targets["virials"][1]).all()


def test_targets_from_info_and_arrays():
    atoms = molecule("H2O")
    atoms.info["E"] = 2.0
    atoms.arrays["F"] = np.ones((3, 3))
    y, targets = extract_targets([atoms], energy_key="E", forces_key="F")
    assert y[0] == 2.0
    assert set(targets) == {"forces"}
    assert extract_targets([atoms], energy_key="E", forces=False)[1] == {}


def test_results_of_other_positions_do_not_count():
    atoms = labelled()
    atoms.positions[0] += 0.1
    with pytest.raises(ValueError, match=r"frames\[0\] has no energy"):
        extract_targets([atoms])


@pytest.mark.parametrize(
    ("change", "keywords", "match"),
    [
        (lambda a: a.info.pop("energy"), {}, r"no energy under 'energy'"),
        (lambda a: a.info.update(energy=np.nan), {}, "one finite number"),
        (lambda a: a.arrays.pop("forces"), {"forces": True}, r"1 of 2 structures lack them"),
        (lambda a: a.info.pop("virial"), {"virials": True}, "virials were asked for"),
        (lambda a: a.info.update(virial=np.ones(5)), {}, r"shape \(5,\)"),
        (lambda a: None, {"forces": "yes"}, "'auto', True or False"),
    ],
)
def test_missing_and_misshapen_targets(change, keywords, match):
    frames = [molecule("H2O") for _ in range(2)]
    for atoms in frames:
        atoms.info.update(energy=1.0, virial=np.ones((3, 3)))
        atoms.arrays["forces"] = np.zeros((3, 3))
    change(frames[1])
    with pytest.raises(ValueError, match=match):
        extract_targets(frames, **keywords)


def waters(n=3, **arrays):
    """Molecules with energies, and what else is asked for, in info and arrays."""
    frames = []
    for index in range(n):
        atoms = molecule("H2O")
        atoms.info["energy"] = float(index)
        for name, value in arrays.items():
            (atoms.info if np.shape(value)[:1] != (3,) else atoms.arrays)[name] = np.copy(value)
        frames.append(atoms)
    return frames


class TestSwitchedOff:
    """What is not wanted is not looked at, however broken it is."""

    def test_virials(self):
        frames = waters(stress=np.ones(6))
        frames[0].info["virial"] = "nonsense"
        y, targets = extract_targets(frames, virials=False)
        assert (list(y), targets) == ([0.0, 1.0, 2.0], {})
        with pytest.raises(ValueError, match=r"frames\[0\] has the virial nonsense, but numbers"):
            extract_targets(frames)

    def test_forces(self):
        frames = waters()
        frames[1].info["forces"] = frames[1].arrays["other"] = np.zeros((3, 3))
        frames[2].arrays["forces"] = np.full((3, 2), np.inf)
        assert extract_targets(frames, forces=False, forces_key="nowhere")[1] == {}
        with pytest.raises(ValueError, match=r"frames\[2\] has forces .* but finite numbers"):
            extract_targets(frames)

    def test_energies(self):
        frames = waters(forces=np.ones((3, 3)))
        frames[1].info["energy"] = "unknown"
        y, targets = extract_targets(frames, energies=False)
        assert np.isnan(y).all()
        assert len(targets["forces"]) == 3


def test_a_stress_of_zeros_in_a_molecule_is_none():
    frames = [*waters(stress=np.zeros(6)), labelled()]
    virials = extract_targets(frames)[1]["virials"]
    assert np.isnan(virials[:3]).all()
    assert np.isfinite(virials[3]).all()
    frames[1].info["stress"] = np.eye(3)
    with pytest.raises(ValueError, match=r"frames\[1\] has a stress but no three-dimensional cell"):
        extract_targets(frames)


class TestNames:
    @pytest.mark.parametrize(
        "keys",
        [{"forces_key": "REF_forces"}, {"virial_key": "v"}, {"stress_key": "s"},
         {"energy_key": "E"}, {"energy_key": "E", "energies": "auto"}],
    )
    def test_a_name_that_no_structure_knows_is_an_error(self, keys):
        name, key = next(iter(keys.items()))
        frames = [labelled(), labelled()]
        with pytest.raises(ValueError, match=f"under '{key}'.*it has|{name} is '{key}', but no"):
            extract_targets(frames, **keys)

    def test_a_name_that_some_structures_know(self):
        frames = waters()
        frames[1].arrays["REF_forces"] = np.ones((3, 3))
        frames[1].info["REF_virial"] = np.ones(6)
        frames[2].info["virial"] = np.ones(6)
        targets = extract_targets(frames, forces_key="REF_forces", virial_key="REF_virial",
                                  stress_key=None)[1]
        assert [block is None for block in targets["forces"]] == [True, False, True]
        assert list(np.isnan(targets["virials"][:, 0, 0])) == [True, False, True]

    def test_both_names_of_tensors_may_be_given(self):
        frames = [labelled(), labelled()]
        for atoms in frames:
            atoms.info.update(v=np.ones(6), s=-np.ones(6) / atoms.get_volume())
        targets = extract_targets(frames, virial_key="v", stress_key="s")[1]
        assert (targets["virials"][0, 0, 0]) == 1.0

    def test_energies_without_a_name(self):
        with pytest.raises(ValueError, match="energies is True, but energy_key is None"):
            extract_targets([labelled()], energy_key=None)

    def test_names_are_names(self):
        with pytest.raises(TypeError, match="forces_key is 3, but must be a name or None"):
            extract_targets(waters(), forces_key=3)

    @pytest.mark.parametrize(
        ("name", "value", "quantity"),
        [
            ("dft_forces", np.ones((3, 3)), "forces"),
            ("REF_forces", np.ones((3, 3)), "forces"),
            ("MACE_forces", np.ones((3, 3)), "forces"),
            ("force", np.ones((3, 3)), "forces"),
            ("virials", np.ones(9), "virials"),
            ("REF_stress", np.ones(6), "virials"),
            ("dft_virial", np.ones((1, 9)).reshape(9), "virials"),
        ],
    )
    def test_look_alikes_are_named(self, name, value, quantity):
        frames = waters(**{name: value})
        with pytest.warns(SuspiciousTargetsWarning, match=f"{quantity}: 3 of 3 .*'{name}'"):
            assert quantity not in extract_targets(frames)[1]
        argument = {"forces": "forces_key", "virials": "virial_key"}[quantity]
        extract_targets(frames, **{quantity: False})
        targets = extract_targets(waters(), **{quantity: False})[1]
        assert targets == {}
        if "stress" not in name:
            assert quantity in extract_targets(frames, **{argument: name})[1]

    @pytest.mark.parametrize("name", ["REF_energy", "dft_energy", "MACE_energy", "E", "TotEnergy"])
    def test_look_alikes_of_energies(self, name):
        frames = waters()
        for atoms in frames:
            atoms.info[name] = atoms.info.pop("energy")
        with pytest.raises(ValueError, match=f"no energy under 'energy'.*{name!r} looks like it"):
            extract_targets(frames)
        with pytest.warns(SuspiciousTargetsWarning, match=f"energies: 3 of 3 .*'{name}'"):
            extract_targets(frames, energies="auto")
        assert list(extract_targets(frames, energy_key=name)[0]) == [0.0, 1.0, 2.0]

    def test_companions_are_no_look_alikes(self):
        frames = waters()
        for atoms in frames:
            atoms.info.update(
                energy_sigma=0.1, force_sigma=0.1, virial_sigma=0.3, config_stress_weight=1.0,
                config_virial_weight=np.ones(6), stress_weight=np.ones(6),
            )
            atoms.arrays["forces_weight"] = np.ones((3, 3))
            atoms.arrays["magnetic_moments"] = np.ones((3, 3))
            atoms.set_momenta(np.ones((3, 3)))
        assert set(extract_targets(frames)[1]) == {"sigmas"}
        assert np.isnan(extract_targets([molecule("H2")], energies="auto")[0]).all()


def changed(change):
    """Structures with results, whose second is changed afterwards."""
    frames = [labelled(), labelled()]
    for atoms in frames:
        atoms.info["E"] = 1.0
    change(frames[1])
    return frames


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda atoms: (atoms.positions.__isub__(1.0), atoms.wrap()), "positions"),
        (lambda atoms: atoms.set_pbc(False), "pbc"),
        (lambda atoms: atoms.set_initial_charges([1.0, 0, 0, -1]), "initial_charges"),
        (lambda atoms: atoms.set_initial_magnetic_moments([1.0] * 4), "initial_magmoms"),
        (lambda atoms: atoms.rattle(0.1), "positions"),
        (lambda atoms: atoms.set_cell(atoms.cell * 1.1), "cell"),
        (lambda atoms: atoms.set_atomic_numbers([29, 29, 29, 79]), "numbers"),
    ],
)
def test_results_of_other_states_are_counted(change, what):
    frames = changed(change)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        targets = extract_targets(frames, energy_key="E")[1]
    texts = [str(warning.message) for warning in caught]
    assert [text.split(":")[0] for text in texts] == ["forces", "virials"]
    for text in texts:
        assert f"1 structure has been changed ({what})" in text
        assert "frames[1]" in text
    assert targets["forces"][1] is None
    with pytest.raises(ValueError, match=r"forces were asked for, but frames\[1\].*changed"):
        extract_targets(frames, energy_key="E", forces=True)
    with pytest.raises(ValueError, match=r"frames\[1\] has no energy.*changed"):
        extract_targets(frames)


def test_a_calculator_that_went_on():
    """One calculator for all structures has results for the last of them only."""
    calc, frames = EMT(), [bulk("Cu") for _ in range(3)]
    for index, atoms in enumerate(frames):
        atoms.rattle(0.1, seed=index)
        atoms.calc = calc
        atoms.get_potential_energy()
    with pytest.raises(ValueError, match="share a calculator that went on"):
        extract_targets(frames)
    # what was kept by hand counts
    for atoms in frames:
        atoms.info["energy"] = 1.0
    assert (extract_targets(frames, forces=False, virials=False)[0][:2] == 1.0).all()


def test_forces_without_energies():
    frames = waters(forces=np.ones((3, 3)))
    del frames[0].info["energy"]
    frames[2].info["energy"] = np.nan
    with pytest.raises(ValueError, match=r"frames\[0\] has no energy.*2 of 3.*energies='auto'"):
        extract_targets(frames)
    y, targets = extract_targets(frames, energies="auto")
    np.testing.assert_array_equal(y, [np.nan, 1.0, np.nan])
    assert len(targets["forces"]) == 3


@pytest.mark.parametrize(
    ("where", "name", "value"),
    [
        ("info", "energy", "-3.5 eV"), ("info", "energy", [1.0, 2.0]), ("info", "energy", 1j),
        ("info", "energy", True),
        ("info", "energy", np.inf), ("arrays", "forces", np.full((3, 3), "x")),
        ("arrays", "forces", np.ones((3, 3), complex)), ("arrays", "forces", np.ones(3)),
        ("arrays", "forces", [[0, 0, -np.inf]] * 3), ("info", "virial", np.full(6, np.inf)),
        ("info", "virial", "a b"), ("info", "stress", np.ones(7)),
    ],
)
def test_bad_values_name_the_structure(where, name, value):
    frames = waters()
    getattr(frames[1], where)[name] = value if where == "info" else np.asarray(value)
    with pytest.raises(ValueError, match=r"frames\[1\] has"):
        extract_targets(frames)


def test_nan_is_missing():
    frames = waters(forces=np.full((3, 3), np.nan))
    assert extract_targets(frames)[1] == {}
    frames[0].arrays["forces"][0] = 1.0
    blocks = extract_targets(frames)[1]["forces"]
    assert blocks[0][0, 0] == 1.0
    assert blocks[1] is None
    with pytest.raises(ValueError, match="2 of 3 structures lack them"):
        extract_targets(frames, forces=True)


class TestVirialAndStress:
    @pytest.mark.parametrize(("factor", "shown"), [(-1.0, "-1"), (160.2, "160"), (0.0, "0")])
    def test_contradictory_ones_are_named(self, factor, shown):
        frames = [labelled(), labelled(), labelled()]
        for atoms in frames:
            atoms.info["virial"] = -atoms.get_volume() * atoms.get_stress(voigt=False)
        frames[1].calc.results["stress"] = factor * frames[1].calc.results["stress"]
        with pytest.warns(SuspiciousTargetsWarning, match=rf"1 of 3 .* is {shown} times.*\[1\]"):
            targets = extract_targets(frames)[1]
        np.testing.assert_array_equal(targets["virials"][1], frames[1].info["virial"])

    def test_equal_ones_are_not(self):
        atoms = labelled()
        volume, stress = atoms.get_volume(), atoms.get_stress(voigt=False)
        atoms.info["virial"] = np.round(-volume * stress, 1)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            extract_targets([atoms])

    def test_a_stress_stands_in_for_a_virial_that_is_nan(self):
        atoms = labelled()
        atoms.info["virial"] = np.full((3, 3), np.nan)
        virials = extract_targets([atoms])[1]["virials"]
        np.testing.assert_allclose(virials[0, 0, 0], -atoms.get_volume())


def test_single_atoms():
    atom = Atoms("H")
    atom.info["energy"] = -13.6
    assert extract_targets([atom])[0][0] == -13.6


class TestSigmas:
    """Noise that gap_fit reads from its files."""

    def test_noise_of_energies_and_virials_is_that_of_the_structure(self):
        frames = waters(forces=np.ones((3, 3)))
        frames[0].info.update(energy_sigma=0.03, force_sigma=0.2)
        frames[2].info.update(virial_sigma=np.array([0.6]))
        sigmas = extract_targets(frames)[1]["sigmas"]
        expected = np.full((3, 3), np.nan)
        expected[0, :2] = 0.03 / np.sqrt(3), 0.2
        expected[2, 2] = 0.6 / np.sqrt(3)
        np.testing.assert_allclose(sigmas, expected)
        assert "sigmas" not in extract_targets(frames, sigmas=False)[1]
        assert "sigmas" not in extract_targets(waters())[1]
        with pytest.raises(ValueError, match="sigmas were asked for"):
            extract_targets(waters(), sigmas=True)
        with pytest.raises(ValueError, match=r"sigmas is 1\.0"):
            extract_targets(waters(), sigmas=1.0)

    @pytest.mark.parametrize("value", [0.0, -1.0, np.inf, "small", True, [0.1, 0.2]])
    def test_bad_noise_names_the_structure(self, value):
        frames = waters()
        frames[1].info["force_sigma"] = value
        with pytest.raises(ValueError, match=r"frames\[1\] has force_sigma="):
            extract_targets(frames)
        extract_targets(frames, sigmas=False)

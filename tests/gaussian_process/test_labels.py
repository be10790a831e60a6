"""What a fit says about labels that look wrong, and that it keeps silent on right ones."""

import re
import warnings

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.morse import MorsePotential
from sklearn.pipeline import make_pipeline

from skdesc import GAPRegressor, SOAPTransformer, extract_targets
from skdesc.exceptions import SuspiciousTargetsWarning
from skdesc.io import load, save
from skdesc.least_squares import Labels, compare, thin_out

SOAP = {"cutoff": 4.0, "n_max": 4, "l_max": 3, "cutoff_width": 1.0}


def make_copper(n_frames):
    """Strained and rattled copper, of two sizes."""
    frames = []
    for k in range(n_frames):
        rng = np.random.default_rng(k)
        atoms = bulk("Cu", cubic=True) * ((2, 1, 1) if k % 3 else (1, 1, 1))
        strain = np.eye(3) + 0.03 * rng.normal(size=(3, 3))
        atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
        atoms.rattle(0.12, rng=rng)
        atoms.calc = EMT()
        atoms.get_stress()
        frames.append(atoms)
    return frames


@pytest.fixture(scope="module")
def copper():
    """Descriptors of 30 structures, with energies, forces and virials."""
    frames = make_copper(30)
    features = SOAPTransformer(**SOAP).fit_transform(frames)
    return features, *extract_targets(frames)


@pytest.fixture(scope="module")
def many():
    """Descriptors of 60 structures, with energies, forces and virials."""
    frames = make_copper(60)
    return SOAPTransformer(**SOAP).fit_transform(frames), *extract_targets(frames)


def gap(**params):
    return GAPRegressor(**{"n_sparse": 60, "sigma_forces": 0.02, "sigma_virials": 0.02, **params})


def silent(fit, *args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # ASE 3.29 with NumPy 2.5
        warnings.filterwarnings("ignore", "Setting the shape on a NumPy", DeprecationWarning)
        return fit(*args, **kwargs)


def test_right_labels(copper):
    X, y, targets = copper
    silent(gap().fit, X, y, **targets)
    silent(gap().fit, X, y, forces=targets["forces"])
    silent(gap().fit, X, y, virials=targets["virials"])
    some = [block if index < 3 else None for index, block in enumerate(targets["forces"])]
    silent(gap().fit, X, y, forces=some)
    for size in (1, 2, 5, 12):
        part = slice(0, size)
        silent(gap().fit, X[part], y[part], forces=targets["forces"][:size],
               virials=targets["virials"][part])


WRONG_FORCES = {
    "sign": (-1.0, "about -.* gradients in place of forces"),
    "Ha/bohr": (1 / 51.42207, "hartree/bohr in place of eV/angstrom"),
    "kcal/mol": (23.06, "kcal/mol/angstrom in place of eV/angstrom"),
    "zero": (0.0, "forces are all zero, although energies.* imply"),
}


@pytest.mark.parametrize("case", WRONG_FORCES)
@pytest.mark.parametrize("virials", [True, False])
def test_wrong_forces(copper, case, virials):
    X, y, targets = copper
    factor, match = WRONG_FORCES[case]
    forces = [factor * block for block in targets["forces"]]
    more = {"virials": targets["virials"]} if virials else {}
    with pytest.warns(SuspiciousTargetsWarning) as caught:
        gap().fit(X, y, forces=forces, **more)
    texts = [str(warning.message) for warning in caught]
    assert any(re.search(match, text) for text in texts)
    assert not any("virials are about" in text for text in texts)


@pytest.mark.parametrize(
    ("factor", "match"),
    [(-1.0, "is the sign another"), (160.218, "a stress in GPa"), (1602.18, "a stress in kbar")],
)
def test_wrong_virials(copper, factor, match):
    X, y, targets = copper
    with pytest.warns(SuspiciousTargetsWarning, match=f"virials are about .*{match}"):
        gap().fit(X, y, forces=targets["forces"], virials=factor * targets["virials"])


def test_energies_per_atom(copper):
    X, y, _ = copper
    y = (y - 400.0 * X.n_atoms) / X.n_atoms
    with pytest.warns(SuspiciousTargetsWarning, match="y looks like energies per atom"):
        gap().fit(X, y)


def test_energies_per_atom_of_one_size(copper):
    """Forces tell, where numbers of atoms do not."""
    X, y, targets = copper
    same = np.flatnonzero(X.n_atoms == 8)
    forces = [targets["forces"][index] for index in same]
    with pytest.warns(SuspiciousTargetsWarning, match="energies per atom in place of totals"):
        gap().fit(X[same], y[same] / 8, forces=forces)


def test_energies_per_atom_where_few_sizes_differ(copper):
    X, y, _ = copper
    many = np.flatnonzero(X.n_atoms == 8)
    part = np.append(many, np.flatnonzero(X.n_atoms == 4)[:1])
    y = y[part] / X.n_atoms[part] - 400.0
    with pytest.warns(SuspiciousTargetsWarning, match="y looks like energies per atom"):
        gap().fit(X[part], y)


def test_forces_in_electronvolt_per_bohr(copper):
    """A factor of two is told of where there is no doubt."""
    X, y, targets = copper
    forces = [0.529177 * block for block in targets["forces"]]
    with pytest.warns(SuspiciousTargetsWarning, match="forces are about .*eV/bohr in place of"):
        gap().fit(X, y, forces=forces, virials=targets["virials"])


def test_forces_of_another_method(copper):
    X, y, targets = copper
    rng = np.random.default_rng(0)
    other = gap().fit(X, y * 4 + rng.normal(scale=0.1, size=30), virials=4 * targets["virials"])
    forces = other.predict(X, return_forces=True)[1]
    with pytest.warns(SuspiciousTargetsWarning, match=r"forces are about .* imply"):
        gap().fit(X, y, forces=forces, virials=targets["virials"])


def test_forces_that_correlate_little():
    """The other method is a pair potential on top, whose forces have about the same size."""
    frames = make_copper(70)
    y, targets = extract_targets(frames, virials=False)
    X = SOAPTransformer(**SOAP).fit_transform(frames)
    silent(gap().fit, X, y, forces=targets["forces"])
    pairs = MorsePotential(epsilon=2.0, r0=2.0, rho0=6.0, rcut1=1.9, rcut2=2.0)
    forces = [
        block + pairs.get_forces(atoms)
        for block, atoms in zip(targets["forces"], frames, strict=True)
    ]
    with pytest.warns(SuspiciousTargetsWarning, match="energies correlate by only 0.6.* forces"):
        gap().fit(X, y, forces=forces)


class TestAnotherOrder:
    @pytest.mark.parametrize("virials", [True, False])
    def test_energies(self, many, virials):
        X, y, targets = many
        more = {"virials": targets["virials"]} if virials else {}
        silent(gap().fit, X, y, forces=targets["forces"], **more)
        per_atom = np.random.default_rng(0).permutation(y / X.n_atoms)
        with pytest.warns(SuspiciousTargetsWarning, match="energies have a correlation of .*order"):
            gap().fit(X, per_atom * X.n_atoms, forces=targets["forces"], **more)

    def test_energies_of_two_methods(self, many):
        X, y, targets = many
        y = y + np.where(np.arange(60) < 20, 2.0, 0.0) * X.n_atoms
        with pytest.warns(SuspiciousTargetsWarning, match="correlation of .*several methods"):
            gap().fit(X, y, forces=targets["forces"])

    def test_forces_of_other_structures(self, many):
        X, y, targets = many
        forces = list(targets["forces"])
        for size in (4, 8):
            of_size = np.flatnonzero(X.n_atoms == size)
            for index, other in zip(of_size, np.roll(of_size, 1), strict=True):
                forces[index] = targets["forces"][other]
        with pytest.warns(SuspiciousTargetsWarning, match="% of the variance of the forces, but"):
            gap().fit(X, y, forces=forces)


class TestPlaceholders:
    def test_zero_virials_of_all(self, copper):
        X, y, targets = copper
        with pytest.warns(SuspiciousTargetsWarning, match="virials") as caught:
            gap().fit(X, y, virials=0 * targets["virials"])
        assert any("virials of 30 of 30 structures" in str(w.message) for w in caught)

    def test_zeros_of_some(self, copper):
        X, y, targets = copper
        forces = [block * (index not in (4, 9)) for index, block in enumerate(targets["forces"])]
        with pytest.warns(SuspiciousTargetsWarning, match=r"forces of 2 of 30 structures \(4, 9\)"):
            gap().fit(X, y, forces=forces)

    def test_constants(self, copper):
        X, y, targets = copper
        forces = list(targets["forces"])
        forces[3] = np.full_like(forces[3], -1.0)
        with pytest.warns(SuspiciousTargetsWarning, match=r"forces of 1 structures \(3\) have the"):
            gap().fit(X, y, forces=forces)
        virials = targets["virials"].copy()
        virials[10:20] = 0.1 * np.eye(3)
        with pytest.warns(SuspiciousTargetsWarning, match=r"virials of 10 structures \(10, 11"):
            gap().fit(X, y, virials=virials)

    def test_labels_are_looked_at_and_not_what_a_baseline_leaves(self, copper):
        X, y, targets = copper
        # energies that the baseline lacks, so that the fit has something to learn
        y, exact = y + 0.1 * np.cos(np.arange(len(y))), {"forces": targets["forces"]}
        silent(gap(baseline=EMT()).fit, X, y, **exact)
        zeros = [0 * block for block in targets["forces"]]
        with pytest.warns(SuspiciousTargetsWarning, match="forces of 30 of 30 structures") as seen:
            gap(baseline=EMT()).fit(X, y, forces=zeros)
        assert seen

    def test_forces_that_are_zero_by_symmetry(self):
        """The equation of state of a crystal, an atom, and a repeated structure."""
        frames = [bulk("Cu", cubic=True, a=a) for a in np.linspace(3.4, 3.9, 12)]
        frames += [bulk("Cu", cubic=True), bulk("Cu", cubic=True), Atoms("Cu")]
        for atoms in frames:
            atoms.calc = EMT()
            atoms.get_forces()
            atoms.calc.results["forces"][:] = 0.0
        y, targets = extract_targets(frames, virials=False)
        X = SOAPTransformer(**SOAP).fit_transform(frames)
        silent(gap().fit, X, y, **targets)


class TestOutliers:
    def test_one_wrong_energy(self, copper):
        X, y, targets = copper
        y = y.copy()
        y[7] += 3.0
        kinds = ["solid"] * 29 + ["other"]
        with pytest.warns(SuspiciousTargetsWarning, match=r"of 1 of .* 7, config_type solid: 0\.3"):
            gap().fit(X, y, forces=targets["forces"], config_types=kinds)

    def test_rounding_is_no_outlier(self, copper):
        """Energies of single atoms explain everything, but for the last digits."""
        X = copper[0]
        y = -4200.0 * np.diff(X.structures.offsets)
        for size in (0.0, 1e-9, 1e-6):
            y[7] += size
            silent(gap().fit, X, y)

    def test_rare_structures_are_no_outliers(self, copper):
        frames = [*copper[0].structures, Atoms("Cu2", [[0, 0, 0], [0, 0, 1.9]])]
        for atoms in frames:
            atoms.calc = EMT()
        y = np.array([atoms.get_potential_energy() for atoms in frames])
        X = SOAPTransformer(**SOAP).fit_transform(frames)
        silent(gap().fit, X, y)


class TestEnergiesOfAtoms:
    def test_sources(self, copper):
        X, y, _ = copper
        assert gap().fit(X, y).e0_source_ == {"Cu": "least squares"}
        assert gap(e0=None).fit(X, y).e0_source_ == {"Cu": "zero"}
        assert gap(e0={"Cu": 0.1}).fit(X, y).e0_source_ == {"Cu": "given"}
        frames = [molecule("H2O"), molecule("H2O"), Atoms("O")]
        model = make_pipeline(SOAPTransformer(**SOAP), GAPRegressor())
        model.fit(frames, [-14.0, -14.1, -1.0])
        assert model[-1].e0_source_ == {"H": "least squares", "O": "isolated atom"}
        assert model[-1].e0_open_.shape == (0, 2)

    def test_other_compositions_than_those_learned(self, tmp_path):
        frames = [molecule("CH3CH2OH") for _ in range(6)]
        for seed, atoms in enumerate(frames):
            atoms.rattle(0.05, seed=seed)
        model = make_pipeline(SOAPTransformer(**SOAP), GAPRegressor())
        silent(model.fit, frames, np.arange(6) * 0.1 - 4200.0)
        assert set(model[-1].e0_source_.values()) == {"minimum norm"}
        assert model[-1].e0_open_.shape == (2, 3)
        silent(model.predict, [*frames, frames[0] + frames[1]])  # two molecules are no trouble
        save(model, tmp_path / "m.skd")
        for fitted in (model, load(tmp_path / "m.skd")):
            with pytest.warns(SuspiciousTargetsWarning, match=r"1 of 2 .* \(X\[1\]\).*H, C, O"):
                fitted.predict([frames[0], molecule("CH4")])

    @pytest.mark.parametrize(
        ("e0", "match"),
        [({"Cu": -50.0}, "hardly any structure is bound"), ({"Cu": 1e4}, "bound by 1e.04 eV"),
         ({"Cu": 16.0}, "bound by 15.* eV per atom, more than")],
    )
    def test_given_energies_that_do_not_fit(self, copper, e0, match):
        with pytest.warns(SuspiciousTargetsWarning, match=f"e0 does not fit.*{match}.*was given"):
            gap(e0=e0).fit(*copper[:2])

    def test_an_atom_of_another_method(self, copper):
        frames = [*copper[0].structures, Atoms("Cu")]
        X = SOAPTransformer(**SOAP).fit_transform(frames)
        with pytest.warns(SuspiciousTargetsWarning, match="that of isolated atoms"):
            gap().fit(X, [*copper[1], -45000.0])
        silent(gap().fit, X, [*copper[1], 3.5])

    def test_totals_without_energies_of_atoms(self, copper):
        X, y, _ = copper
        total = y - 1000.0 * X.n_atoms
        with pytest.warns(SuspiciousTargetsWarning, match="e0 is None, but energies are -"):
            gap(e0=None).fit(X, total)
        silent(gap().fit, X, total)


class TestDescriptors:
    def test_no_neighbors(self):
        frames = [Atoms("Cu2", [[0, 0, 0], [0, 0, d]]) for d in (5.0, 6.0)]
        model = make_pipeline(SOAPTransformer(**SOAP), GAPRegressor())
        with pytest.warns(SuspiciousTargetsWarning, match=r"within the cutoff of 4 .* any of 2"):
            model.fit(frames, [0.0, 0.1])
        silent(model.fit, [*frames, Atoms("Cu2", [[0, 0, 0], [0, 0, 2.0]])], [0.0, 0.1, 1.0])
        silent(model.fit, [Atoms("Cu")], [1.0])
        silent(model.fit, [bulk("Cu")], [1.0])

    def test_a_step_cutoff(self, copper):
        frames, y, targets = list(copper[0].structures), *copper[1:]
        X = SOAPTransformer(**SOAP | {"cutoff_width": 0.0}).fit_transform(frames)
        with pytest.warns(SuspiciousTargetsWarning, match="cutoff_width is 0, so that energies"):
            gap().fit(X, y, forces=targets["forces"])
        silent(gap().fit, X, y)

    def test_far_more_features_than_atoms(self):
        frames = [Atoms([z, z + 19], [[0, 0, 0], [0, 0, 2.0]]) for z in range(1, 20)]
        X = SOAPTransformer(cutoff=3.0, n_max=6, l_max=1).fit_transform(frames)
        with pytest.warns(SuspiciousTargetsWarning, match="TensorReducedTransformer"):
            GAPRegressor(n_sparse=2).fit(X, np.arange(19.0))


def test_comparison_in_the_dense_limit():
    """The metric of inner products is that of the covariance matrix itself."""
    rng = np.random.default_rng(1)
    n, noise = 7, {"energy": 0.3, "forces": 0.2, "virials": 0.5}
    w = rng.normal(size=n)
    rows = {name: rng.normal(size=(m, n)) for name, m in zip(noise, (30, 40, 20), strict=True)}
    values = {name: X @ w + noise[name] * rng.normal(size=len(X)) for name, X in rows.items()}
    labels = {
        name: Labels.of(rows[name].copy(), values[name], len(values[name]), sigma, [np.eye(n)])
        for name, sigma in noise.items()
    }
    found = compare(labels, [np.arange(n)])
    scale = max(
        np.linalg.norm(values[name]) / np.linalg.norm(rows[name]) for name in ("energy", "forces")
    )
    rows = {name: X * scale for name, X in rows.items()}
    used = {}
    for name, X in rows.items():
        y, sigma = values[name], noise[name]
        left = y - X @ np.linalg.solve(sigma**2 * np.eye(n) + X.T @ X, X.T @ y)
        assert found[name].explained == pytest.approx(1 - left @ left / (y @ y))
        used[name] = max(sigma, np.linalg.norm(left) / np.sqrt(len(X)))
    for name, X in rows.items():
        others = [other for other in rows if other != name]
        A = np.eye(n) + sum(rows[o].T @ rows[o] / used[o] ** 2 for o in others)
        b = sum(rows[o].T @ values[o] / used[o] ** 2 for o in others)
        C = used[name] ** 2 * np.eye(len(X)) + X @ np.linalg.solve(A, X.T)
        both = np.column_stack([values[name], X @ np.linalg.solve(A, b)])
        inner = both.T @ np.linalg.solve(C, both)
        lengths = np.sqrt(np.diag(inner))
        assert found[name].cosine == pytest.approx(inner[0, 1] / lengths.prod())
        assert found[name].ratio == pytest.approx(lengths[0] / lengths[1])
        assert found[name].cosine > 0.9


def test_points_are_thinned_out():
    rng = np.random.default_rng(0)
    sizes = [700, 430]
    factors = [np.linalg.cholesky(A @ A.T + np.eye(len(A)))
               for A in (rng.normal(size=(m, m)) for m in sizes)]
    groups = [slice(0, 700), slice(700, 1130)]
    index, chosen = thin_out(groups, factors)
    assert len(index) <= 500
    start = 0
    for group, L, part in zip(groups, factors, chosen, strict=True):
        inside = index[start : start + len(part)] - group.start
        start += len(part)
        np.testing.assert_allclose(part @ part.T, (L @ L.T)[np.ix_(inside, inside)])
        assert not np.triu(part, 1).any()

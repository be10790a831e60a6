"""Potentials written for QUIP, which run there, and files of gap_fit."""

import re

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.emt import EMT
from ase.stress import full_3x3_to_voigt_6_stress
from helpers.potentials import crystals, everything, fit_potential
from helpers.quip import evaluate, gap_fit, needs_quippy
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline, make_union

from skdesc import (
    CachedDescriptor,
    FeatureCache,
    GAPRegressor,
    SOAPTransformer,
    TensorReducedTransformer,
    TwoBodyTransformer,
    extract_targets,
)
from skdesc.calculator import ZBLCalculator
from skdesc.io import read_quip_xml, write_quip_xml


def assert_agrees(model, path, frames, folder, init=""):
    """Energies and forces to 1e-8 eV and 1e-7 eV/A, a hundredth of what is promised."""
    energies, forces, stresses = evaluate(path, frames, folder, init)
    found, own_forces, virials = model.predict(frames, return_forces=True, return_virials=True)
    np.testing.assert_allclose(energies, found, rtol=0, atol=1e-8)
    np.testing.assert_allclose(np.concatenate(forces), np.concatenate(own_forces), atol=1e-7)
    for atoms, stress, virial in zip(frames, stresses, virials, strict=True):
        if atoms.cell.rank == 3:
            own = full_3x3_to_voigt_6_stress(-virial / atoms.get_volume())
            np.testing.assert_allclose(stress, own, atol=1e-8)
    assert np.ptp(energies) > 1e-3


@needs_quippy
@pytest.mark.filterwarnings("ignore:cutoff_width is 0:skdesc.exceptions.SuspiciousTargetsWarning")
@pytest.mark.parametrize(
    "soap",
    [
        {"radial_basis": "equispaced"},
        {"radial_basis": "equispaced", "normalize": False, "center_weight": 0.5, "n_max": 3,
         "radial_scaling": (2.0, 2.5, 3)},
        {"radial_basis": "quip_gto", "cutoff_width": 0.0},
        {"radial_basis": "quip_polynomial", "normalize": False},
    ],
)
def test_exported_potentials_run_in_quip(soap, tmp_path):
    model = fit_potential(**soap)
    path = tmp_path / "potential.xml"
    write_quip_xml(model, path, label="CuAu_1")
    assert max(map(len, path.read_text().splitlines())) < 1000
    frames = [*crystals(2, seed=90), Atoms("CuAu2", [[0, 0, 0], [2.4, 0.1, 0], [0.3, 2.6, 0.2]])]
    assert_agrees(model, path, frames, tmp_path, init="xml_label=CuAu_1")
    again = read_quip_xml(path)
    np.testing.assert_allclose(again.predict(frames), model.predict(frames), rtol=0, atol=1e-9)


@needs_quippy
def test_exported_unions_run_in_quip(tmp_path):
    """Two ranges, three elements, exponents that differ and one that is no integer."""
    frames = []
    for seed in range(6):
        for name in ("CH3OH", "H2O", "CO2"):
            atoms = molecule(name)
            atoms.rattle(0.05, seed=seed)
            atoms.calc = EMT()
            atoms.get_forces()
            frames.append(atoms)
    y, targets = extract_targets(frames)
    near = SOAPTransformer(
        cutoff=2.5, n_max=4, l_max=2, atom_sigma=0.3, radial_basis="equispaced"
    )
    far = SOAPTransformer(cutoff=5.0, n_max=3, l_max=1, radial_basis="equispaced")
    model = make_pipeline(
        make_union(CachedDescriptor(near, FeatureCache()), far),
        GAPRegressor(
            zeta=[4, 2.5], n_sparse=10, jitter=1e-8, sigma_forces=0.05, baseline=None
        ),
    ).fit(frames, y, gapregressor__forces=targets["forces"])
    path = tmp_path / "potential.xml"
    write_quip_xml(model, path)
    assert_agrees(model, path, frames[:4], tmp_path)
    again = read_quip_xml(path)
    np.testing.assert_allclose(again.predict(frames), model.predict(frames), rtol=0, atol=1e-9)


@needs_quippy
@pytest.mark.parametrize(
    ("symbols", "line"),
    [
        (("Cu", "Au"), "zeta=2 delta=0.5 n_sparse=15 add_species"),
        (("Cu",), "zeta=1 delta=100 n_sparse=10 Z=29 n_species=1 species_Z={29} "
                  "radial_basis=GTO normalise=F"),
        (("Cu",), "zeta=3.5 delta=0.3 n_sparse=10 radial_basis=POLY add_species central_weight=2 "
                  "cutoff_dexp=2 cutoff_scale=3"),
    ],
)
def test_files_of_gap_fit(symbols, line, tmp_path):
    line += (" cutoff=4.2 cutoff_transition_width=1.0 n_max=4 l_max=3 atom_sigma=0.5 "
             "covariance_type=dot_product sparse_method=cur_points")
    path = gap_fit(crystals(6, symbols=symbols), tmp_path, line)
    model = read_quip_xml(path)
    frames = crystals(3, seed=60, symbols=symbols)
    assert_agrees(model, path, frames, tmp_path)
    # and back again
    write_quip_xml(model, tmp_path / "again.xml")
    again = read_quip_xml(tmp_path / "again.xml")
    np.testing.assert_allclose(again.predict(frames), model.predict(frames), rtol=0, atol=1e-9)


def radial_table():
    x = np.linspace(0.0, 5.0, 60)
    return np.stack([x, (1 - x / 5) ** 3, (1 - x / 5) ** 4])


def refused_pipelines():
    frames = crystals(3)
    y = extract_targets(frames)[0]

    def fitted(first, gap=None):
        return make_pipeline(first, gap or GAPRegressor(n_sparse=2)).fit(frames, y)

    def soap(**parameters):
        return SOAPTransformer(n_max=2, l_max=1, **{"radial_basis": "equispaced"} | parameters)

    return {
        "radial_basis='gto'": fitted(soap(radial_basis="gto")),
        "soaptransformer.dtype='float32'": fitted(soap(dtype="float32")),
        "soaptransformer.pooling='mean'": fitted(soap(pooling="mean")),
        "radial_scaling=(1.0, 2.0, 2.5)": fitted(soap(radial_scaling=(1.0, 2.0, 2.5))),
        "'function': 'poly'": fitted(soap(radial_scaling={"function": "poly", "r0": 6, "m": 1})),
        "not a basis of QUIP": fitted(soap(radial_basis=radial_table())),
        "is TensorReducedTransformer": fitted(TensorReducedTransformer(n_channels=4)),
        "center_weight=0": fitted(soap(center_weight=0.0)),
        "baseline=ZBLCalculator": fitted(soap(), GAPRegressor(baseline=ZBLCalculator())),
        "soaptransformer.compression='mu2'": fitted(soap(compression="mu2")),
        "twobodytransformer is TwoBodyTransformer": fitted(TwoBodyTransformer()),
        "featureunion.twobodytransformer": fitted(make_union(soap(), TwoBodyTransformer())),
        "must be a GAPRegressor": fitted(soap(pooling="sum"), Ridge()),
        "a Pipeline of SOAPTransformer, PCA, Ridge": make_pipeline(
            soap(pooling="sum"), PCA(1), Ridge()
        ).fit(frames, y),
        "pipeline is GAPRegressor": GAPRegressor(),
    }


def test_what_cannot_be_written_is_refused_by_name(tmp_path):
    for message, pipeline in refused_pipelines().items():
        with pytest.raises(ValueError, match=re.escape(message)):
            write_quip_xml(pipeline, tmp_path / "p.xml")
    model = fit_potential(crystals(3), n_sparse=2, n_max=2, l_max=1, radial_basis="equispaced")
    for label in ("a b", "", "1a", "a-b", None):
        with pytest.raises(ValueError, match="label="):
            write_quip_xml(model, tmp_path / "p.xml", label=label)
    assert not list(tmp_path.iterdir())


def test_the_fitted_parameters_count(tmp_path):
    """What is set after the fit belongs to the next one."""
    model = fit_potential(crystals(3), n_sparse=2, n_max=2, l_max=1, radial_basis="equispaced")
    write_quip_xml(model, tmp_path / "a.xml")
    model.set_params(soaptransformer__cutoff=9.0, gapregressor__zeta=1)
    write_quip_xml(model, tmp_path / "b.xml")
    assert (tmp_path / "a.xml").read_bytes() == (tmp_path / "b.xml").read_bytes()
    assert len(everything(model, crystals(1))) == 4

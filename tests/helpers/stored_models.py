"""One small fitted model per kind of estimator, stored with its predictions.

Files are written once and kept, so that every later version has to read them. Run this module to
write those that do not exist yet; others stay as they are.
"""

import tempfile
from functools import cache
from pathlib import Path

import numpy as np
from ase import Atoms
from sklearn.compose import TransformedTargetRegressor
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from skdesc import (
    AtomicFeatures,
    CachedDescriptor,
    FeatureCache,
    GAPRegressor,
    SOAPTransformer,
    TensorReducedTransformer,
    TwoBodyTransformer,
)
from skdesc.calculator import ZBLCalculator
from skdesc.io import read_quip_xml, write_quip_xml

FOLDER = Path(__file__).parents[1] / "io" / "data" / "stored"


@cache
def structures(count=6):
    """Molecules and a crystal of H, C and O, from numbers that no other package decides on."""
    frames = []
    for k in range(count):
        symbols = ["OH2", "CH4", "CO2", "OCH2", "C2H2", "C4"][k % 6]
        n = len(Atoms(symbols))
        grid = np.stack(np.unravel_index(np.arange(n), (2, 2, 2)), axis=1) * 1.25
        positions = grid + 0.12 * np.cos(np.arange(3 * n) * (k + 1.0)).reshape(n, 3)
        atoms = Atoms(symbols, positions=positions)
        if symbols == "C4":
            atoms.set_cell([3.1, 3.3, 3.6])
            atoms.pbc = True
        frames.append(atoms)
    return frames


def targets(frames):
    """Energies, forces and virials of a smooth pair potential."""
    energies, forces, virials = [], [], []
    for atoms in frames:
        r = atoms.positions[:, None] - atoms.positions
        square = (r**2).sum(-1)
        pair = np.exp(-square / 2.0) - np.eye(len(atoms))
        force = (pair[..., None] * r).sum(axis=1) * 2.0
        energies.append(2.0 * pair.sum() - 3.0 * atoms.numbers.sum())
        forces.append(2.0 * force)
        virials.append(np.einsum("ijk,ijl,ij->kl", r, r, pair) * 2.0)
    return np.array(energies), forces, np.array(virials)


def _soap(**parameters):
    return SOAPTransformer(**{"n_max": 3, "l_max": 2, "cutoff": 3.5} | parameters)


def _reduced(**parameters):
    small = {"n_max": 3, "l_max": 2, "n_channels": 4, "cutoff": 3.5, "random_state": 3}
    return TensorReducedTransformer(**small | parameters)


def _gap(**parameters):
    return GAPRegressor(**{"n_sparse": 4, "sigma_energy": 0.01, "jitter": 1e-8} | parameters)


def _fit_potential(pipeline, *, part=slice(None)):
    frames = structures()[part]
    y, forces, virials = targets(frames)
    name = pipeline.steps[-1][0]
    return pipeline.fit(frames, y, **{f"{name}__forces": forces, f"{name}__virials": virials})


def _fit_by_parts():
    frames = structures()
    soap = _soap(species=["H", "C", "O"]).fit(frames)
    gap = _gap(e0={"H": -3.0, "C": -18.0, "O": -24.0}, zeta=2)
    for part in (slice(0, 4), slice(4, 6)):
        y, forces, _ = targets(frames[part])
        gap.partial_fit(soap.transform(frames[part]), y, forces=forces)
    return make_pipeline(soap, gap)


_RADII = np.linspace(0.0, 4.0, 25)
_TABLE = np.stack([_RADII, np.exp(-(_RADII**2)), _RADII * np.exp(-(_RADII**2))])
_DESCRIPTORS = {
    "soap": _soap(),
    "soap_mean": _soap(compression="mu1nu1", pooling="mean", dtype="float32",
                       radial_scaling={"function": "exp", "r0": 2.0, "d": 0.5}),
    "soap_inner": _soap(compression="crossover", pooling="inner", radial_basis="polynomial"),
    "soap_table": _soap(compression="mu2", n_max=2, radial_basis=_TABLE, centers=["C"]),
    "reduced_sketch": _reduced(),
    "reduced_decomposition": _reduced(scheme="decomposition", correlation_order=3,
                                      weights="rademacher", handle_unknown="draw"),
    "reduced_per_l": _reduced(weights_per_l=True, weights="orthogonal", correlation_order=4),
    "reduced_radial": _reduced(reduce="radial"),
    "reduced_species": _reduced(reduce="species", pooling="sum"),
    "reduced_learned": _reduced(weights="learned", learning={"max_iter": 3, "n_embedding": 2}),
    "two_body": TwoBodyTransformer(n_gaussians=5, cutoff=3.5),
    "two_body_mean": TwoBodyTransformer(["H", "C", "O"], n_gaussians=5, pooling="mean"),
    "cached": CachedDescriptor(_soap(species=["H", "C", "O"]), FeatureCache(2**20)),
    "union": make_union(_soap(), TwoBodyTransformer(n_gaussians=5, cutoff=3.5)),
}
_POTENTIALS = {
    "gap": make_pipeline(_soap(), _gap(random_state=0, sparse_method="kmeans")),
    "gap_baseline": make_pipeline(_reduced(), _gap(baseline=ZBLCalculator(0.9), zeta=1.5)),
    "gap_joined": make_pipeline(
        make_union(TwoBodyTransformer(n_gaussians=5, cutoff=3.5), _soap(n_max=2)),
        _gap(zeta=[1, 3], energy_scale=["auto", 0.5], optimize="marginal_likelihood"),
    ),
}
_WITH_SKLEARN = {
    "ridge": make_pipeline(_soap(pooling="sum"), StandardScaler(), Ridge(0.1)),
    "kernel_ridge": TransformedTargetRegressor(
        make_pipeline(_soap(pooling="mean"), KernelRidge(0.1, kernel="rbf")),
        transformer=StandardScaler(),
    ),
    "svr": make_pipeline(_soap(pooling="mean"), SVR(C=10.0)),
}


def _fit_table():
    angle = np.linspace(0.0, 1.5, 12)
    X = np.column_stack([np.cos(angle), np.sin(angle)])
    return GAPRegressor(zeta=2, n_sparse=6).fit(X, np.cos(2 * angle))


def _fit_weights_alone():
    """A potential as another program leaves it: weights without the covariances behind them."""
    soap = _soap(species=["H", "C", "O"], radial_basis="equispaced")
    pipeline = _fit_potential(make_pipeline(soap, _gap(zeta=2)))
    with tempfile.TemporaryDirectory() as folder:
        write_quip_xml(pipeline, Path(folder, "potential.xml"))
        return read_quip_xml(Path(folder, "potential.xml"))


def makers():
    """Functions that fit the models, by name."""
    y = targets(structures())[0]
    result = {}
    for name, model in (_DESCRIPTORS | _WITH_SKLEARN).items():
        result[name] = lambda model=model: model.fit(structures(), y)
    for name, model in _POTENTIALS.items():
        result[name] = lambda model=model: _fit_potential(model)
    return result | {
        "gap_partial": _fit_by_parts, "gap_table": _fit_table, "gap_weights": _fit_weights_alone
    }


def predictions(model):
    """All that a model says of the structures, as a list of arrays.

    Parameters
    ----------
    model : estimator
        A fitted model.

    Returns
    -------
    list of ndarray
        Features and a product with their derivatives, or energies, standard deviations,
        forces, their standard deviations, and virials.
    """
    frames = structures()
    if isinstance(model, GAPRegressor):
        angle = np.linspace(0.1, 1.4, 5)
        return list(model.predict(np.column_stack([np.cos(angle), np.sin(angle)]), return_std=True))
    if hasattr(model, "steps") and isinstance(model[-1], GAPRegressor):
        if not hasattr(model[-1], "jitter_"):  # weights alone know no uncertainty
            energies, forces, virials = model.predict(
                frames, return_forces=True, return_virials=True
            )
            return [energies, np.concatenate(forces), virials]
        energies, std, forces, virials = model.predict(
            frames, return_std=True, return_forces=True, return_virials=True
        )
        forces_std = model[-1].predict_forces_std(model[:-1].transform(frames))
        return [energies, std, np.concatenate(forces), virials, np.concatenate(forces_std)]
    if hasattr(model, "predict"):
        return [model.predict(frames)]
    features = model.transform(frames)
    if not isinstance(features, AtomicFeatures):
        return [np.asarray(features)]
    g = np.cos(np.arange(features.values.size)).reshape(features.values.shape)
    return [features.values, *features.vjp(g)]


if __name__ == "__main__":
    from skdesc.io import save

    FOLDER.mkdir(exist_ok=True)
    for name, make in makers().items():
        if not (FOLDER / f"{name}.skd").exists():
            model = make()
            save(model, FOLDER / f"{name}.skd")
            arrays = predictions(model)
            # what a test compares needs no more digits than it asks for
            np.savez_compressed(FOLDER / f"{name}.npz", *[np.float32(array) for array in arrays])
            print(name, [array.shape for array in arrays])

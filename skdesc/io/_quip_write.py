"""Write potentials in QUIP's format, for QUIP, quippy and LAMMPS."""

from __future__ import annotations

import inspect
import re
import warnings

import numpy as np
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.utils.validation import check_is_fitted

from ..density._radial_scaling import RationalScaling, make_radial_scaling
from ..descriptors import CachedDescriptor, SOAPTransformer
from ..gaussian_process import GAPRegressor
from ..gaussian_process._serialization import pack
from ..repulsion import RepulsionCalculator
from ..utils.files import replace_file
from ..utils.typing import PathName
from ..utils.validation import is_choice
from ._quip_packing import BASES, FACTOR, VERSIONS, n_elements, places

_VALUES_PER_LINE = 30  # QUIP misreads lines longer than 1000 characters
# parameters that the descriptor line holds, or that do not affect a fitted descriptor
_REPRESENTED = {
    "species", "cutoff", "cutoff_width", "n_max", "l_max", "atom_sigma", "radial_basis",
    "radial_scaling", "center_weight", "normalize", "handle_unknown", "n_jobs",
}


def write_quip_xml(pipeline: Pipeline, path: PathName, *, label: str = "skdesc") -> None:
    """Write a potential as an XML file that QUIP, quippy and LAMMPS' ``pair_style quip`` read.

    Energies, forces and stresses are the same there; uncertainties are not part of the format,
    and neither is the repulsion of ``GAPRegressor(baseline="auto")``, which acts at distances
    shorter than those in the data; a warning tells of it.

    Parameters
    ----------
    pipeline : Pipeline
        Fitted: a `SOAPTransformer`, or a `FeatureUnion` of several, then a `GAPRegressor`. The
        radial basis has to be one of QUIP's: ``radial_basis="equispaced"``, or "quip_gto" or
        "quip_polynomial", with which agreement is limited by rounding (better than 1e-9 up to
        ``n_max=8`` for the former only).
    path : str or path-like
        The file, which is replaced atomically.
    label : str, default="skdesc"
        Name of the potential in the file: letters, digits and underscores.

    Raises
    ------
    ValueError
        If the potential has a part that the format cannot express. The message names it.

    See Also
    --------
    read_quip_xml : Potentials that other programs have fitted.

    Notes
    -----
    Python reads the file by ``quippy.potential.Potential("", param_filename="potential.xml")``, and
    LAMMPS, with one atomic number for each of its atom types, by::

        units metal
        pair_style quip
        pair_coeff * * potential.xml "Potential xml_label=skdesc" 29 79

    A structure with an isolated atom gets NaN there if this atom's element is not among
    ``species``. Elements that the potential lacks contribute no energy there, without an error.
    """
    members, gap = _check_pipeline(pipeline)
    if not (isinstance(label, str) and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", label)):
        raise ValueError(f"label={label!r} must be a name of letters, digits and underscores")
    for name, soap in members:
        _check_descriptor(name, soap)
    state = pack(gap._model, None)
    with replace_file(path) as file:
        for line in _lines(members, gap, state, label):
            file.write(line.encode("ascii") + b"\n")


def _check_pipeline(pipeline):
    """Transformers with their names, and the regressor."""
    if not isinstance(pipeline, Pipeline) or len(pipeline.steps) != 2:
        found = type(pipeline).__name__
        if isinstance(pipeline, Pipeline):
            found = f"a Pipeline of {', '.join(type(step).__name__ for _, step in pipeline.steps)}"
        raise ValueError(
            f"pipeline is {found}, but must be a Pipeline of a SOAPTransformer (or a union of "
            "such) and a GAPRegressor; of a search, pass best_estimator_"
        )
    (name, first), (_, gap) = pipeline.steps
    members = _transformers(name, first)
    if not isinstance(gap, GAPRegressor):
        raise ValueError(f"the last step is {type(gap).__name__}, but must be a GAPRegressor")
    check_is_fitted(gap, "weights_")
    for zeta in gap._model.zetas:
        if not isinstance(zeta, float):
            raise ValueError(
                f"zeta={zeta!r} is not a number, but QUIP's format has no other covariance; fit "
                "with a number"
            )
    if isinstance(gap.baseline_, RepulsionCalculator) and is_choice(gap.baseline, "auto"):
        warnings.warn(
            "QUIP's format has no repulsion, so the file lacks the part that keeps atoms apart "
            f"at distances below those of the data, {gap.baseline_.onsets} angstrom; "
            "add a repulsion in the other program, or fit with baseline=None",
            UserWarning, stacklevel=3,
        )
    elif gap.baseline_ is not None:
        raise ValueError(
            f"baseline={type(gap._baseline).__name__} is not part of QUIP's format; fit without "
            "it, or add it in the other program and export the pipeline with baseline=None"
        )
    return members, gap


def _transformers(name, first):
    """Names and transformers of a union, or the single transformer with its name."""
    members = [(name, first)]
    if isinstance(first, FeatureUnion):
        if first.transformer_weights is not None:
            raise ValueError(f"{name}.transformer_weights cannot be expressed in QUIP's format")
        members = [(f"{name}.{key}", step) for key, step in first.transformer_list
                   if not (isinstance(step, str) and step == "drop")]
    members = [(name, getattr(step, "transformer_", step) if isinstance(step, CachedDescriptor)
                else step) for name, step in members]
    for name, step in members:
        if type(step) is not SOAPTransformer:
            kind = step if isinstance(step, str) else type(step).__name__
            raise ValueError(f"{name} is {kind}, which cannot be expressed in QUIP's format; only "
                             "SOAPTransformer can")
        check_is_fitted(step)
    return members


def _check_descriptor(name, soap):
    fitted = soap._descriptor.parameters
    signature = inspect.signature(SOAPTransformer).parameters
    for key, value in soap.get_params(deep=False).items():
        value = fitted.get(key, value)
        if key not in _REPRESENTED and not _equal(value, signature[key].default):
            raise ValueError(
                f"{name}.{key}={value!r} cannot be expressed in QUIP's format; fit with "
                f"{key}={signature[key].default!r}"
            )
    basis = fitted["radial_basis"]
    if not isinstance(basis, str) or basis not in BASES:
        raise ValueError(
            f"{name}.radial_basis={basis!r} is not a basis of QUIP; fit "
            f"with one of {list(BASES)}, preferably the first one"
        )
    _decay(name, fitted["radial_scaling"])
    if fitted["center_weight"] == 0:
        raise ValueError(
            f"{name}.center_weight=0 gives atoms without neighbors a descriptor of zeros, which "
            "QUIP turns into NaN; fit with a positive one"
        )


def _decay(name, radial_scaling):
    """Keys for the weight of neighbors by distance."""
    weight = make_radial_scaling(radial_scaling)
    if weight is None:
        return {}
    rational = isinstance(weight, RationalScaling) and weight.numerator == weight.offset
    if not (rational and weight.exponent >= 1 and weight.exponent == int(weight.exponent)):
        raise ValueError(
            f"{name}.radial_scaling={radial_scaling!r} cannot be expressed in QUIP's format; fit "
            "with (rate, scale, exponent), where the exponent is an integer above 0, or None"
        )
    return {"cutoff_dexp": int(weight.exponent), "cutoff_scale": weight.scale,
            "cutoff_rate": weight.offset}


def _equal(value, default):
    return value is default or (isinstance(value, str) and value == default)


def _lines(members, gap, state, label):
    """Yield the lines of the file."""
    version = max(VERSIONS[soap._descriptor.parameters["radial_basis"]] for _, soap in members)
    blocks = list(_blocks(members, gap, state))
    yield f"<{label}>"
    yield f'<Potential label="{label}" init_args="IP GAP label={label}"/>'
    yield f'<GAP_params label="{label}" gap_version="{version}">'
    yield "<GAP_data>"
    for z, energy in zip(state["elements"], state["e0"], strict=True):
        yield f'<e0 Z="{z}" value="{float(energy)!r}"/>'
    yield "</GAP_data>"
    yield f'<gpSparse label="{label}" n_coordinate="{len(blocks)}" fitted="T">'
    for number, (descriptor, zeta, scale, points, weights) in enumerate(blocks, start=1):
        yield f'<gpCoordinates label="{label}{number}" dimensions="{points.shape[1]}"'
        yield f' signal_variance="{scale!r}" signal_mean="0.0" sparsified="T"'
        yield f' n_permutations="1" covariance_type="2" zeta="{zeta!r}" n_sparseX="{len(points)}">'
        yield f"<descriptor>{descriptor}</descriptor>"
        yield '<permutation i="1"> 1 </permutation>'
        for index, (point, weight) in enumerate(
            zip(points, weights.tolist(), strict=True), start=1
        ):
            yield f'<sparseX i="{index}" alpha="{weight!r}" sparseCutoff="1.0">'
            values = [repr(value) for value in point.tolist()]
            for start in range(0, len(values), _VALUES_PER_LINE):
                yield " ".join(values[start : start + _VALUES_PER_LINE])
            yield "</sparseX>"
        yield "</gpCoordinates>"
    yield "</gpSparse>"
    yield "</GAP_params>"
    yield f"</{label}>"


def _blocks(members, gap, state):
    """Yield the descriptor line, points and weights of each block of the file."""
    scales = np.broadcast_to(np.asarray(gap.energy_scale_, dtype=np.float64), len(members))
    for index, (_, soap) in enumerate(members):
        p, species = soap._descriptor.parameters, soap.species_.tolist()
        order = places(species, p["n_max"], p["l_max"])
        zeta, scale = state["zetas"][index], float(scales[index])
        of_block = state["block"] == index
        for z in np.unique(state["species"][of_block]).tolist():
            rows = np.flatnonzero(of_block & (state["species"] == z))
            ours = state["features"][rows, slice(*state["columns"][index])]
            points = np.zeros((len(rows), n_elements(len(species), p["n_max"], p["l_max"])))
            weights = state["weights"][rows] / scale**2
            if p["normalize"]:
                points[:, order] = ours
            else:
                points[:, order] = ours / FACTOR
                weights = weights * FACTOR ** (2 * zeta)
            yield _descriptor(p, species, z), zeta, scale, points, weights


def _descriptor(p, species, center):
    listed = str(species[0]) if len(species) == 1 else "{" + " ".join(map(str, species)) + "}"
    keys = {
        "cutoff": float(p["cutoff"]),
        "cutoff_transition_width": float(p["cutoff_width"]),
        **_decay("soap", p["radial_scaling"]),
        "n_max": int(p["n_max"]),
        "l_max": int(p["l_max"]),
        "atom_sigma": float(p["atom_sigma"]),
        "central_weight": float(p["center_weight"]),
        "central_reference_all_species": "F",
        "radial_basis": BASES[p["radial_basis"]],
        "normalise": "T" if p["normalize"] else "F",
        "covariance_sigma0": 0.0,
        "n_species": len(species),
        "species_Z": listed,
        "n_Z": 1,
        "Z": center,
    }
    return "soap " + "\n ".join(f"{key}={value}" for key, value in keys.items())

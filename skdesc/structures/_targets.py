"""Read energies, forces and virials from Atoms, wherever a file reader stored them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from ase import Atoms

from ..exceptions import SuspiciousTargetsWarning
from ..utils.validation import is_choice
from ._sigmas import read_sigmas
from ._stored_results import StoredResults, join_first, look_alikes
from ._structures import Structures
from ._target_checks import LARGEST
from ._validation import _as_list, _check_content

# a stress and a virial of one structure may differ by this fraction of the virial, or by this
# number of eV per atom if that is more: files round stresses
_SAME_TENSOR, _SMALL_VIRIAL = 0.1, 0.1
_DEFAULT_KEYS = {"energy": "energy", "forces": "forces", "virial": "virial", "stress": "stress"}


@dataclass(frozen=True)
class _Quantity:
    """A kind of target: its name, the keys it may have, and how it is parsed.

    Parameters
    ----------
    name : str
        Name of the argument that requests it.
    noun : str
        Name of one structure's value in messages.
    keys : dict of str to (str or None)
        From arguments to the names under which the value may be stored, preferred names first.
    store : {"info", "arrays"}
        Where values outside a calculator are stored.
    parse : callable
        Called with the value, the structure, the stem of the argument, and the structure's name
        in messages.
    """

    name: str
    noun: str
    keys: dict[str, str | None]
    store: str
    parse: Callable[[Any, Atoms, str, str], Any]

    @property
    def label(self) -> str:
        """Keys that are looked up, for messages."""
        return " or ".join(repr(key) for key in self.keys.values() if key is not None)


def extract_targets(
    frames: Sequence[Atoms],
    *,
    energies: bool | Literal["auto"] = True,
    forces: bool | Literal["auto"] = "auto",
    virials: bool | Literal["auto"] = "auto",
    sigmas: bool | Literal["auto"] = "auto",
    energy_key: str | None = "energy",
    forces_key: str | None = "forces",
    stress_key: str | None = "stress",
    virial_key: str | None = "virial",
) -> tuple[np.ndarray, dict[str, Any]]:
    """Read training targets from structures.

    Results of an attached calculator come first, then ``atoms.info`` and ``atoms.arrays``.
    Results that a calculator has for another state of the structure are ignored. Quantities that
    are switched off are not parsed.

    Parameters
    ----------
    frames : sequence of ase.Atoms
        Structures with reference data. `Structures` hold none and are refused.
    energies : {True, "auto", False}, default=True
        Whether to read energies. With True every structure must have one; with "auto" they
        are NaN where they are missing, as :meth:`GAPRegressor.fit` takes them.
    forces : {"auto", True, False}, default="auto"
        Whether to read forces. With "auto" they are read if any structure has them.
    virials : {"auto", True, False}, default="auto"
        Whether to read virials. With "auto" they are read if any structure has them.
    sigmas : {"auto", True, False}, default="auto"
        Whether to read noise of single structures that gap_fit writes: ``energy_sigma`` and
        ``virial_sigma``, in eV and of the whole structure, and ``force_sigma``, in
        eV/angstrom. With "auto" it is read if any structure has some.
    energy_key, forces_key, stress_key, virial_key : str or None
        Names under which the data are stored. The stress follows ASE: eV/angstrom^3, Voigt
        order xx yy zz yz xz xy or a 3 x 3 matrix. A virial, in eV, is preferred to a stress.
        None switches a key off.

    Returns
    -------
    y : ndarray of shape (n_structures,)
        Total energies, in eV.
    targets : dict
        May hold ``"forces"``, a list of arrays (n_atoms, 3) in eV/angstrom, and
        ``"virials"``, an array (n_structures, 3, 3) in eV, virial = -volume * stress. With
        "auto", values that a structure lacks are None or NaN. ``"sigmas"``, an array
        (n_structures, 3), is the noise that :class:`~skdesc.GAPRegressor` takes, with that of
        energies and virials divided by the square root of the number of atoms. Pass the dict on
        as ``fit(X, y, **targets)``.

    Raises
    ------
    ValueError
        If a requested quantity is missing, if no structure has data under a key that differs
        from the default, or if a value is not finite or of another shape.

    Warns
    -----
    SuspiciousTargetsWarning
        If structures were changed after their calculator ran, if they lack a quantity but have
        data that look like it under another name, or if the virial and the stress of a structure
        contradict each other.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase.calculators.emt import EMT
    >>> from skdesc import extract_targets
    >>> atoms = bulk("Cu")
    >>> atoms.calc = EMT()
    >>> energy = atoms.get_potential_energy()
    >>> y, targets = extract_targets([atoms], forces=False, virials=False)
    >>> bool(y[0] == energy)
    True
    """
    if isinstance(frames, Structures):
        raise TypeError("Structures hold no energies or forces; pass the list of Atoms they "
                        "were made from")
    frames = _as_list(frames, "frames")
    _check_content(Structures.from_atoms(frames), "frames")
    keys = {"energy": energy_key, "forces": forces_key, "virial": virial_key, "stress": stress_key}
    _check_keys(keys)
    wanted = {"energies": energies, "forces": forces, "virials": virials}
    targets = {}
    for quantity in _quantities(keys):
        values = _read(frames, quantity, wanted[quantity.name])
        if values is not None:
            targets[quantity.name] = values
    y = np.array([np.nan if value is None else value
                  for value in targets.pop("energies", [None] * len(frames))])
    if "virials" in targets:
        missing = np.full((3, 3), np.nan)
        targets["virials"] = np.array(
            [missing if value is None else value for value in targets["virials"]]
        )
    noise = read_sigmas(frames, sigmas)
    if noise is not None:
        targets["sigmas"] = noise
    return y, targets


def _check_keys(keys: dict[str, str | None]) -> None:
    for name, key in keys.items():
        if key is not None and not isinstance(key, str):
            raise TypeError(f"{name}_key is {key!r}, but must be a name or None")


def _quantities(keys: dict[str, str | None]) -> list[_Quantity]:
    tensors = {name: keys[name] for name in ("virial", "stress")}
    return [
        _Quantity("energies", "energy", {"energy": keys["energy"]}, "info", _energy),
        _Quantity("forces", "forces", {"forces": keys["forces"]}, "arrays", _forces),
        _Quantity("virials", "virial or stress", tensors, "info", _virial),
    ]


def _read(frames: list[Atoms], quantity: _Quantity, wanted: bool | str) -> list | None:
    """Read a quantity: a list with None for structures without it; None if not requested."""
    if isinstance(wanted, np.bool_):
        wanted = bool(wanted)
    _check_wanted(quantity, wanted)
    if wanted is False:
        return None
    stored = StoredResults()
    values, used = _read_all(frames, quantity, stored)
    lacking = [index for index, value in enumerate(values) if value is None]
    outdated = stored.outdated.keys() & set(lacking)
    reason = stored.explain(outdated) if outdated else ""
    hints = _hints(frames, quantity, lacking)
    if wanted is True and lacking:
        _refuse(frames, quantity, lacking, reason or hints)
    _check_named_keys(frames, quantity, used, reason)
    for text in filter(None, (reason, hints, _compare_tensors(frames, quantity, values))):
        warnings.warn(f"{quantity.name}: {text}", SuspiciousTargetsWarning, stacklevel=3)
    return values if len(lacking) < len(frames) else None


def _check_wanted(quantity: _Quantity, wanted: Any) -> None:
    name = quantity.name
    if not is_choice(wanted, "auto", True, False):
        raise ValueError(f"{name} is {wanted!r}, but must be 'auto', True or False")
    if wanted is True and not quantity.label:
        raise ValueError(
            f"{name} is True, but {next(iter(quantity.keys))}_key is None; name the key under "
            f"which structures have them, or pass {name}='auto'"
        )


def _read_all(
    frames: list[Atoms], quantity: _Quantity, stored: StoredResults
) -> tuple[list, set[str]]:
    """Return the value of each structure, or None, and the keys that had values."""
    values, used = [], set()
    for index, atoms in enumerate(frames):
        value = None
        for stem, key in quantity.keys.items():
            value = stored.get(atoms, index, key, quantity.store)
            if value is not None:
                used.add(stem)
                value = quantity.parse(value, atoms, stem, f"frames[{index}]")
            if value is not None:
                break
        values.append(value)
    return values, used


def _compare_tensors(frames: list[Atoms], quantity: _Quantity, virials: list) -> str:
    """Describe which structures have a stress that contradicts their virial."""
    if quantity.name != "virials":
        return ""
    stored, differing, factors = StoredResults(), [], []
    for index, (atoms, virial) in enumerate(zip(frames, virials, strict=True)):
        stress = stored.get(atoms, index, quantity.keys["stress"], quantity.store)
        if virial is None or stress is None or atoms.cell.rank < 3:
            continue
        other = _virial(stress, atoms, "stress", f"frames[{index}]")
        if other is None or np.isnan(virial).any():
            continue
        size = np.linalg.norm(virial)
        if np.linalg.norm(virial - other) > _SAME_TENSOR * max(size, len(atoms) * _SMALL_VIRIAL):
            differing.append(index)
            factors.append(np.sum(virial * other) / max(size**2, np.finfo(float).tiny))
    if not differing:
        return ""
    return (
        f"{len(differing)} of {len(frames)} structures have a virial and a stress that contradict "
        f"each other (-volume * stress is {np.median(factors):.3g} times the virial; "
        f"frames[{join_first(differing)}]); the virial is used: check sign and unit of both, or "
        "choose one by stress_key=None or virial_key=None"
    )


def _hints(frames: list[Atoms], quantity: _Quantity, lacking: list[int]) -> str:
    """Hint at data under other keys that look like a missing quantity."""
    if any(key != _DEFAULT_KEYS[stem] for stem, key in quantity.keys.items()):
        return ""
    known = set(quantity.keys.values()) | ({"free_energy"} if quantity.noun == "energy" else set())
    kind = "energy" if quantity.noun == "energy" else quantity.name
    names = look_alikes([frames[index] for index in lacking], kind, known)
    if not names:
        return ""
    stems = dict.fromkeys(
        "stress" if "stress" in name.lower() and "stress" in quantity.keys
        else next(iter(quantity.keys)) for name in names
    )
    arguments = " or ".join(f"{stem}_key" for stem in stems)
    return (
        f"{len(lacking)} of {len(frames)} structures have none under {quantity.label}, but "
        f"{join_first(map(repr, names))} looks like it; name the key by {arguments}=, or "
        f"set {quantity.name}=False to leave the quantity out"
    )


def _refuse(frames: list[Atoms], quantity: _Quantity, lacking: list[int], reason: str) -> None:
    first, n_lacking = lacking[0], f"{len(lacking)} of {len(frames)} structures lack"
    argument = f"{next(iter(quantity.keys))}_key"
    if quantity.name == "energies":
        known = StoredResults().get(frames[first], first, quantity.keys["energy"], quantity.store)
        if known is not None:
            raise ValueError(f"frames[{first}] has the energy {_shown(known)}, but one finite "
                             "number in eV is needed; leave the structure out, or pass "
                             "energies='auto' to learn its forces and virials")
        raise ValueError(
            f"frames[{first}] has no energy under {quantity.label} (it has "
            f"{_names(frames[first])}; {n_lacking} one); "
            + (reason or f"attach a calculator's results, name the key by {argument}=, or pass "
               "energies='auto' to learn only forces and virials where there is no energy")
        )
    raise ValueError(
        f"{quantity.name} were asked for, but frames[{first}] has none under {quantity.label} "
        f"({n_lacking} them); "
        + (reason or f"name the key by {argument}=, or pass {quantity.name}='auto' to leave them "
           "out")
    )


def _check_named_keys(
    frames: list[Atoms], quantity: _Quantity, used: set[str], reason: str
) -> None:
    """Refuse a key from the user that no structure has."""
    for stem, key in quantity.keys.items():
        if key in (None, _DEFAULT_KEYS[stem]) or stem in used:
            continue
        reader = StoredResults()
        if any(reader.get(atoms, index, key, quantity.store) is not None
               for index, atoms in enumerate(frames)):
            continue
        raise ValueError(
            f"{stem}_key is {key!r}, but no structure has data under this name (frames[0] has "
            f"{_names(frames[0])}); "
            + (reason or f"correct the name, or leave it out by {quantity.name}=False")
        )


def _names(atoms: Atoms) -> list[str]:
    usual = {"numbers", "positions"}
    results = getattr(atoms.calc, "results", {})
    return sorted(map(str, {*results, *atoms.info, *atoms.arrays} - usual))


def _as_numbers(value: Any, where: str, noun: str) -> np.ndarray | None:
    """Convert to an array of finite numbers and NaN; None if all are NaN."""
    try:
        if np.iscomplexobj(value) or np.asarray(value).dtype == bool:
            raise ValueError(f"it is {np.asarray(value).dtype}")
        value = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where} has {noun} {_shown(value)}, but numbers are needed ({error}); "
                         "mend or remove it") from error
    if (np.abs(value) > LARGEST).any():
        raise ValueError(f"{where} has {noun} {_shown(value)}, but finite numbers of at most "
                         f"{LARGEST:g} are needed; mend it, or use NaN for what is missing")
    return None if value.size and np.isnan(value).all() else value


def _shown(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) < 60 else text[:57] + "..."


def _energy(value: Any, atoms: Atoms, stem: str, where: str) -> float | None:
    number = _as_numbers(value, where, "the energy")
    if number is not None and number.size != 1:
        raise ValueError(f"{where} has the energy {_shown(value)}, but one finite number in eV "
                         "is needed")
    return None if number is None else float(number.reshape(()))


def _forces(value: Any, atoms: Atoms, stem: str, where: str) -> np.ndarray | None:
    shape = (len(atoms), 3)
    if np.shape(value) == () and value != value:
        return None
    block = _as_numbers(value, where, "forces")
    if block is not None and block.shape != shape:
        raise ValueError(f"{where} has forces of shape {block.shape}, but {shape} is needed")
    return block


def _virial(value: Any, atoms: Atoms, stem: str, where: str) -> np.ndarray | None:
    tensor = _as_numbers(value, where, f"the {stem}")
    if tensor is None:
        return None
    tensor = _matrix(tensor, where, stem)
    if stem == "virial":
        return tensor
    if atoms.cell.rank == 3:
        return -atoms.get_volume() * tensor
    # files with a stress for every structure have zeros for molecules, which mean nothing
    if not tensor.any():
        return None
    raise ValueError(f"{where} has a stress but no three-dimensional cell; give the virial "
                     "instead, or leave stresses out by virials=False")


def _matrix(tensor: np.ndarray, where: str, stem: str) -> np.ndarray:
    if tensor.shape == (6,):
        xx, yy, zz, yz, xz, xy = tensor
        return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    if tensor.size == 9:
        return tensor.reshape(3, 3)
    raise ValueError(f"{where} has a {stem} of shape {tensor.shape}; 6 Voigt components or a "
                     "3 x 3 matrix are needed")

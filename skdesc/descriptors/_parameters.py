"""Checks of the parameters that descriptors of densities share."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
from ase.data import atomic_numbers, chemical_symbols

from ..density import RADIAL_BASES, make_radial_scaling
from ..utils.threads import check_n_jobs
from ._auto_parameters import AUTO_PARAMETERS, is_auto


def check_real(name, value, low, closed):
    """Refuse anything but a finite number above `low`, or at least `low` if `closed`."""
    good = isinstance(value, Real) and not isinstance(value, bool) and np.isfinite(value)
    if not (good and (value >= low if closed else value > low)):
        rule = "at least" if closed else "above"
        raise ValueError(f"{name} must be a finite number {rule} {low:g}, got {value!r}")


def check_real_or_auto(name, value, low, closed):
    """Refuse anything but "auto" or a finite number above `low`, or at least `low` if `closed`."""
    if isinstance(value, str) and not is_auto(value):
        raise ValueError(f"{name} must be a number or 'auto', got {value!r}")
    if not is_auto(value):
        check_real(name, value, low, closed)


def check_integer(name, value, low, high):
    """Refuse anything but an integer from `low` to `high`."""
    good = isinstance(value, Integral) and not isinstance(value, bool)
    if not (good and low <= value <= high):
        raise ValueError(f"{name} must be an integer from {low} to {high}, got {value!r}")


def check_choice(name, value, allowed):
    """Refuse anything but one of the names, None or numbers allowed."""
    if not any(value is one or (isinstance(value, str) and value == one) for one in allowed):
        raise ValueError(f"{name} must be one of {list(allowed)}, got {value!r}")


def check_flag(name, value):
    """Refuse anything but True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{name} must be True or False, got {value!r}")


def check_density_parameters(estimator):
    """Check what describes the density and its expansion, before any computing.

    Parameters
    ----------
    estimator : object
        Has the parameters as attributes.

    Raises
    ------
    ValueError
        If one is out of range.
    """
    check_real("center_weight", estimator.center_weight, 0.0, True)
    check_integer("n_max", estimator.n_max, 1, 64)
    check_integer("l_max", estimator.l_max, 0, 30)
    check_lengths({name: getattr(estimator, name) for name in AUTO_PARAMETERS})
    basis = estimator.radial_basis
    if not (callable(basis) or isinstance(basis, (np.ndarray, list, tuple))):
        check_choice("radial_basis", basis, tuple(RADIAL_BASES))
    check_n_jobs(estimator.n_jobs)


def check_lengths(parameters):
    """Check the lengths of a density, each of which may be "auto".

    Parameters
    ----------
    parameters : dict
        Has `AUTO_PARAMETERS`.

    Raises
    ------
    ValueError
        If one is out of range, or two do not go together.
    """
    for name, closed in (("cutoff", False), ("cutoff_width", True), ("atom_sigma", False)):
        check_real_or_auto(name, parameters[name], 0.0, closed)
    cutoff, width, atom_sigma, radial_scaling = (parameters[name] for name in AUTO_PARAMETERS)
    if not (is_auto(cutoff) or is_auto(width)) and width > cutoff:
        raise ValueError(f"cutoff_width={width} must not exceed cutoff={cutoff}")
    if not (is_auto(cutoff) or is_auto(atom_sigma)) and not 0.005 <= atom_sigma / cutoff <= 10:
        raise ValueError(f"atom_sigma={atom_sigma} must be between 0.005 and 10 times "
                         f"cutoff={cutoff}; both are in angstrom")
    if not is_auto(radial_scaling):
        make_radial_scaling(radial_scaling)


def check_species(species, unique=True):
    """Atomic numbers from symbols or numbers.

    Parameters
    ----------
    species : sequence of int or str
        The elements.
    unique : bool, default=True
        Whether each may be named only once; then the numbers are sorted.

    Returns
    -------
    ndarray of intp
        Atomic numbers.
    """
    if isinstance(species, (str, Integral)) or not hasattr(species, "__iter__"):
        raise ValueError(f"species must be a sequence of elements, got {species!r}; "
                         "use for example ['C', 'H']")
    numbers = []
    for element in species:
        if isinstance(element, str) and element in atomic_numbers:
            numbers.append(atomic_numbers[element])
        elif isinstance(element, Integral) and 0 <= element < len(chemical_symbols):
            numbers.append(int(element))
        else:
            raise ValueError(f"species holds {element!r}, which is neither a chemical symbol nor "
                             f"an atomic number from 0 to {len(chemical_symbols) - 1}")
    if not numbers:
        raise ValueError("species is empty; name at least one element, or use species=None")
    numbers = np.array(numbers, dtype=np.intp)
    if unique and len(np.unique(numbers)) < len(numbers):
        raise ValueError(f"species={list(species)!r} names an element twice; name each once")
    return np.sort(numbers) if unique else numbers


def element_names(numbers):
    """Chemical symbols, or the numbers themselves where there are none."""
    return [chemical_symbols[z] if z < len(chemical_symbols) else str(z) for z in numbers]

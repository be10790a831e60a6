"""QUIP's descriptor line and its notation of numbers."""

from __future__ import annotations

import re

import numpy as np

from ..structures._target_checks import LARGEST
from ._quip_packing import BASES

# from these versions on, l is weighted as it is now, and the center belongs to its species only
_HIGHEST = 118
_WEIGHTED_L, _OWN_SPECIES = 1423143769, 1426512068
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([EeDd][+-]?[0-9]{1,4})?")
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_OF_NUMBERS = frozenset("0123456789+-.EeDd \t\r\n")
_LISTS = re.compile(r"""([A-Za-z_]\w*)\s*=\s*(\{[^}]*\}|"[^"]*"|'[^']*'|[^\s{}"']+)""")


def parse_descriptor(text, label):
    """Parse a descriptor line into a dict; of repeated keys, the last one counts."""
    words = text.split()
    if not words or words[0] != "soap":
        raise ValueError(
            f"{label} has the descriptor {words[0] if words else ''!r}, but only soap is supported"
        )
    rest = text.strip()[len("soap") :]
    left = _LISTS.sub("", rest).strip()
    if left:
        raise ValueError(f"{label} has {left.split()[0]!r} in its descriptor, which is not "
                         "key=value")
    return {key: value.strip("{}\"'").strip() for key, value in _LISTS.findall(rest)}


def interpret(keys, label, version):
    """Parameters of the transformer, species in the order of the channels, centers."""
    _refuse_unsupported(keys, label)
    basis = keys.get("radial_basis", "EQUISPACED_GAUSS")
    names = {theirs: ours for ours, theirs in BASES.items()}
    if basis not in names:
        raise ValueError(f"{label} has radial_basis={basis}, which is not supported")
    order, centers = _interpret_elements(keys, label)
    _refuse_other_versions(keys, len(order), label, version)
    soap = {
        "species": tuple(sorted(order)),
        "cutoff": number(keys["cutoff"]),
        "cutoff_width": number(keys.get("cutoff_transition_width", "0.5")),
        "radial_scaling": _decay(keys, label),
        "n_max": integer(keys["n_max"]),
        "l_max": integer(keys["l_max"]),
        "atom_sigma": number(keys.get("atom_sigma") or keys["atom_gaussian_width"]),
        "radial_basis": names[basis],
        "center_weight": number(keys.get("central_weight", "1")),
        "normalize": logical(keys.get("normalise", keys.get("normalize", "T")), "normalise"),
    }
    return tuple(soap.items()), order, centers


def _interpret_elements(keys, label):
    """Atomic numbers of the channels in their order, and of the centers."""
    order = [integer(z) for z in keys.get("species_Z", "0").split()]
    if integer(keys.get("n_species", "1")) != len(order) or len(set(order)) != len(order):
        raise ValueError(f"{label} has n_species={keys.get('n_species', '1')}, but "
                         f"species_Z={keys.get('species_Z', '0')}")
    centers = [integer(z) for z in keys.get("Z", "0").split()]
    if not all(_are_atomic_numbers(numbers) for numbers in (order, centers)):
        raise ValueError(f"{label} has Z={centers} and species_Z={order}, but they must be atomic "
                         f"numbers up to {_HIGHEST}, each once")
    if order == [0]:
        # one channel for all elements: with a single kind of center, the channel of that element
        if len(centers) > 1 or centers == [0]:
            raise ValueError(f"{label} has species_Z=0, one channel for all elements, which is "
                             "supported only with one element as Z")
        order = centers
    if centers == [0]:
        centers = order
    outside = sorted(set(centers) - set(order))
    if outside:
        raise ValueError(f"{label} has Z={outside} that are not in species_Z={order}, which is not "
                         "supported")
    return order, centers


def _are_atomic_numbers(numbers):
    """Whether numbers are those of elements, or 0 for any element, and none occurs twice."""
    are_different = len(set(numbers)) == len(numbers) > 0
    return are_different and all(0 <= number <= _HIGHEST for number in numbers)


def _refuse_other_versions(keys, n_species, label, version):
    """Refuse files of earlier versions, which defined the descriptor in another way."""
    everywhere = keys.get("central_reference_all_species", "T" if n_species == 1 else "F")
    everywhere = logical(everywhere, "central_reference_all_species") or version < _OWN_SPECIES
    if version < _WEIGHTED_L:
        raise ValueError(f"{label} was fitted with gap_version={version}, which did not weight "
                         "degrees l as later versions do; this is not supported")
    if everywhere and n_species > 1:
        raise ValueError(f"{label} has central_reference_all_species=T (or is from a version that "
                         "implies it), which is not supported with several species")


def _decay(keys, label):
    """Read ``radial_scaling``; None if neighbors are not weighted by distance."""
    exponent = integer(keys.get("cutoff_dexp", "0"))
    rate = number(keys.get("cutoff_rate", "1"))
    if exponent == 0:
        return None
    if exponent < 0 or rate <= 0:
        raise ValueError(f"{label} has cutoff_dexp={exponent} with cutoff_rate={rate:g}, but only "
                         "positive ones are supported")
    return rate, number(keys.get("cutoff_scale", "1")), exponent


def _refuse_unsupported(keys, label):
    values = {"covariance_sigma0": 0, "basis_error_exponent": 10, "nu_R": 2,
              "nu_S": 2}
    logicals = {"average": False, "diagonal_radial": False, "coupling": True, "R_mix": False,
                "Z_mix": False, "sym_mix": False, "Z_map": None, "K": None, "mix_shift": None}
    for key, wanted in values.items():
        if key in keys and number(keys[key]) != wanted:
            raise ValueError(f"{label} has {key}={keys[key]}, but only {wanted} is supported")
    for key, wanted in logicals.items():
        if key not in keys:
            continue
        if wanted is None:
            if keys[key] not in ("", "0"):
                raise ValueError(f"{label} has {key}={keys[key]}, which is not supported")
        elif logical(keys[key], key) != wanted:
            raise ValueError(f"{label} has {key}={keys[key]}, which is not supported")


def number(text):
    """A finite number, in Fortran's notation or the common one."""
    if not _NUMBER.fullmatch(text.strip()):
        raise ValueError(f"it has {text[:40]!r} in place of a number")
    value = float(text.strip().replace("D", "E").replace("d", "e"))
    if not abs(value) <= LARGEST:
        raise ValueError(f"it has the number {text[:40]}, but numbers must be at most {LARGEST:g}")
    return value


def integer(text):
    """An integer."""
    if not _INTEGER.fullmatch(text.strip()):
        raise ValueError(f"it has {text[:40]!r} in place of an integer")
    return int(text)


def numbers(text):
    """Array of the finite numbers in a text."""
    wrong = set(text) - _OF_NUMBERS
    if wrong:
        raise ValueError(f"it has {''.join(sorted(wrong))[:40]!r} where numbers must be")
    values = np.array(text.replace("D", "E").replace("d", "e").split(), dtype=np.float64)
    if not (np.abs(values) <= LARGEST).all():
        raise ValueError(f"it has numbers larger than {LARGEST:g}")
    return values


def logical(text, key):
    """A Fortran logical."""
    value = text.strip().lower()
    if value not in ("t", "f", "true", "false"):
        raise ValueError(f"{key}={text} is neither T nor F")
    return value in ("t", "true")

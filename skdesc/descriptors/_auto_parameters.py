"""Descriptor lengths that are "auto": chosen from the distances between atoms.

All lengths are multiples of the typical distance of nearest neighbors, which is a median over
atoms, so that isolated atoms, dimers and compressed cells among the structures hardly matter.
Targets have no influence.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from ase.data import covalent_radii

from ..neighbors import nearest_distances

AUTO = "auto"
AUTO_PARAMETERS = ("cutoff", "cutoff_width", "atom_sigma", "radial_scaling")
"""Parameters that may be "auto"."""

HYDROGEN = 1

# multiples of the typical distance
CUTOFF, ATOM_SIGMA, SCALE = 2.2, 0.18, 1.0
# part of the cutoff over which the weight of a neighbor falls to zero
CUTOFF_WIDTH = 0.6
RATE, EXPONENT = 1.0, 2
# a bond to hydrogen has the same length everywhere, and other atoms are two bonds away: angstrom
CUTOFFS_WITH_HYDROGEN = (4.0, 5.0)
ATOM_SIGMA_WITH_HYDROGEN, SCALE_WITH_HYDROGEN = 0.3, 1.8
# with so many elements few environments of an element have the same neighbors; where all
# neighbors count alike, more can be learned of one environment from others
MANY_ELEMENTS, CUTOFF_OF_MANY, WIDTH_OF_MANY = 10, 2.0, 0.2
# part of the structures that have to contain hydrogen for it to count
HYDROGEN_SHARE = 0.1
# pairs of atoms are a curve to be followed as far as it goes: parts of the cutoff, and a multiple
LONGEST_PAIR, WIDTH_OF_PAIRS = 0.8, 0.1
SIGMA_OF_PAIRS = 0.25
# part of the cutoff; narrower densities need more radial functions than any descriptor has
SMALLEST_ATOM_SIGMA = 0.01


@dataclass(frozen=True)
class LengthScales:
    """Typical distances of nearest neighbors.

    Parameters
    ----------
    typical : float
        Median over all atoms, in angstrom; with hydrogen, over all other atoms, of the distance
        to another such atom.
    has_hydrogen : bool
        Whether a tenth of the structures or more has hydrogen, beside other elements.
    has_many_elements : bool
        Whether there are ten elements or more.
    longest_pair : float or None
        Largest distance if no structure has more than two atoms and none is periodic.
    """

    typical: float
    has_hydrogen: bool = False
    has_many_elements: bool = False
    longest_pair: float | None = None

    @classmethod
    def of(cls, structures, species=None):
        """Measure structures.

        Parameters
        ----------
        structures : Structures
            The structures.
        species : ndarray of int, default=None
            Elements that count, all by default.

        Returns
        -------
        LengthScales
            As they are.
        """
        numbers = structures.numbers
        counts = np.ones(len(numbers), dtype=bool) if species is None else np.isin(numbers, species)
        heavy = counts & (numbers != HYDROGEN)
        with_hydrogen = np.unique(structures.structure_index[counts & ~heavy])
        has_hydrogen = bool(
            heavy.any() and len(with_hydrogen) >= HYDROGEN_SHARE * len(structures)
        )
        counts = heavy if has_hydrogen else counts
        distances = nearest_distances(structures, counts)
        near = distances[np.isfinite(distances)]
        pairs_only = len(near) and structures.n_atoms.max() <= 2 and not structures.pbc.any()
        longest_pair = float(near.max()) if pairs_only else None
        if len(near) == 0:  # isolated atoms
            near = 2.0 * covalent_radii[numbers[counts]]
        typical = float(np.median(near)) if len(near) else 1.0
        has_many_elements = len(np.unique(numbers[counts])) >= MANY_ELEMENTS
        return cls(typical, has_hydrogen, has_many_elements, longest_pair)

    def rounded(self):
        """Lengths to a few per cent, so that parts of a data set agree with the whole."""
        longest = self.longest_pair and _coarse(self.longest_pair)
        return replace(self, typical=_coarse(self.typical), longest_pair=longest)

    def parameters(self):
        """Parameters of a descriptor that suit these lengths.

        Returns
        -------
        dict of str to object
            By the names in `AUTO_PARAMETERS`.
        """
        cutoff, width = CUTOFF * self.typical, CUTOFF_WIDTH
        atom_sigma = ATOM_SIGMA * self.typical
        radial_scaling = (RATE, _digits(SCALE * self.typical), EXPONENT)
        if self.has_hydrogen:
            cutoff = float(np.clip(cutoff, *CUTOFFS_WITH_HYDROGEN))
            atom_sigma = ATOM_SIGMA_WITH_HYDROGEN
            radial_scaling = (RATE, SCALE_WITH_HYDROGEN, EXPONENT)
        elif self.has_many_elements:
            cutoff, width = CUTOFF_OF_MANY * self.typical, WIDTH_OF_MANY
            radial_scaling = None
        if self.longest_pair is not None:
            cutoff, width = max(cutoff, self.longest_pair / LONGEST_PAIR), WIDTH_OF_PAIRS
            atom_sigma, radial_scaling = SIGMA_OF_PAIRS * self.typical, None
        values = (_digits(cutoff), _digits(width * cutoff), _digits(atom_sigma), radial_scaling)
        return dict(zip(AUTO_PARAMETERS, values, strict=True))


def resolve(parameters, structures, species):
    """Replace "auto" among the parameters of a descriptor.

    Parameters
    ----------
    parameters : dict
        Checked; any of `AUTO_PARAMETERS` may be "auto", and only "cutoff" need be there.
    structures : Structures
        What the descriptor is fitted to.
    species : ndarray of int
        Elements that the descriptor knows.

    Returns
    -------
    dict
        The same with numbers. What is given is kept, and what is found goes with it.
    """
    wanted = [name for name in AUTO_PARAMETERS if is_auto(parameters.get(name))]
    if not wanted:
        return parameters
    suited = LengthScales.of(structures, species).rounded().parameters()
    found = {**parameters, **{name: suited[name] for name in wanted}}
    if "cutoff" in wanted and "cutoff_width" not in wanted:
        found["cutoff"] = max(found["cutoff"], found["cutoff_width"])
    elif "cutoff_width" in wanted and found["cutoff"] < suited["cutoff"]:
        ratio = suited["cutoff_width"] / suited["cutoff"]
        found["cutoff_width"] = _digits(ratio * found["cutoff"])
    if "atom_sigma" in wanted:
        found["atom_sigma"] = max(found["atom_sigma"], SMALLEST_ATOM_SIGMA * found["cutoff"])
    return found


def resolved_attributes(parameters):
    """Fitted attributes that show the values used in place of "auto"."""
    return {f"{name}_": parameters[name] for name in AUTO_PARAMETERS}


def is_auto(value):
    """Whether a parameter is left to `fit`."""
    return isinstance(value, str) and value == AUTO


def _coarse(value):
    """Round to a step of two to five per cent."""
    power = 10.0 ** np.floor(np.log10(value))
    first = value / power
    step = power * (0.05 if first < 2.0 else 0.1 if first < 5.0 else 0.2)
    return _digits(round(value / step) * step)


def _digits(value):
    """Four digits, which are easier to read than sixteen."""
    return float(f"{value:.4g}")

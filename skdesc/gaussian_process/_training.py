"""The pass over the data: batches of rows into triangles, and the memory it takes."""

from __future__ import annotations

from copy import copy, deepcopy
from sys import getsizeof

import numpy as np
from ase.data import chemical_symbols

from ..utils.blas import one_thread
from ..utils.validation import is_choice
from ._diagnostics import warn_of_rounding, warn_of_virials
from ._e0 import AtomEnergies
from ._evidence import maximize_evidence
from ._posterior import KINDS, Data, Posterior, Prior, moment_energy_scales
from ._rows import all_rows, batches, bytes_per_structure, energy_rows
from ._sparse_points import expected_counts, one_per_block, select_points, selecting_bytes
from ._streaming_qr import CHUNK

# memory for the rows of a batch where no limit is given
_DEFAULT_BATCH_BYTES = 2**26
# part of a limit that is left to what nobody counts
_UNCOUNTED = 0.05
# Square arrays of the size of a triangle that exist at once, beside the triangle of each kind:
# - while the data pass by: the prior; for the errors of what is left out, the result, triangles
#   of energies with and without e0;
# - when the triangles are combined: copies of each kind's with the last rows apart, energies with
#   e0 subtracted, factors of the prior, the result, a copy on its way.
_SQUARES_WHILE_PASSING, _SQUARES_WHILE_SOLVING = 4, 4


def fixed_bytes(n_points, n_elements, n_features, n_kinds):
    """Memory of a fit that does not depend on the number of structures.

    Parameters
    ----------
    n_points, n_elements, n_features, n_kinds : int
        Numbers of sparse points, of elements, of features, of kinds of targets.

    Returns
    -------
    passing, solving : int
        In bytes: beside the rows while the data pass by, and after that.
    """
    side = n_points + n_elements + 1
    others = n_points * n_features + n_kinds * CHUNK * side
    passing = (n_kinds + _SQUARES_WHILE_PASSING) * side**2 + others
    solving = (2 * n_kinds + _SQUARES_WHILE_SOLVING) * side**2 + others
    return 8 * passing, 8 * solving


def _bytes_beside_rows(environments, n_points, n_elements, n_kinds):
    """What :func:`fixed_bytes` gives, and the copy that plain arrays need."""
    fixed = fixed_bytes(n_points, n_elements, environments.values.shape[1], n_kinds)
    return tuple(environments.copied_bytes() + n_bytes for n_bytes in fixed)


def _workspace_bytes(environments, n_rows):
    """Memory that a descriptor takes beside so many rows while it makes them, in bytes."""
    descriptor = environments.features.descriptor
    if not hasattr(descriptor, "workspace_bytes"):
        return 0
    return int(descriptor.workspace_bytes(environments.structures, n_rows))


def batch_bytes(memory_limit, fixed, costs):
    """Memory left for the rows of a batch.

    Parameters
    ----------
    memory_limit : int or None
        Limit for the whole fit.
    fixed : pair of int
        What does not depend on the structures, see :func:`fixed_bytes`.
    costs : ndarray of shape (n_structures,)
        Memory for the rows of each structure.

    Returns
    -------
    int
        In bytes.
    """
    if memory_limit is None:
        return _DEFAULT_BATCH_BYTES
    passing, solving = fixed
    left = (1.0 - _UNCOUNTED) * memory_limit - passing
    if left < costs.max() or memory_limit < solving:
        raise ValueError(
            f"memory_limit is {memory_limit} bytes, but the solver needs {solving}, and passing "
            f"the data {passing} and for the largest structure {int(costs.max())} more; raise it "
            "or lower n_sparse"
        )
    return left


def estimate_bytes(environments, regressor, forces, virials):
    """Estimate the peak memory of a fit.

    Parameters
    ----------
    environments : Environments
        The structures.
    regressor : GAPRegressor
        Parameters.
    forces, virials : bool
        Whether the fit is to these as well.

    Returns
    -------
    int
        In bytes.
    """
    derivatives = environments.features is not None and (forces or virials)
    n_kinds = 1 + derivatives * (bool(forces) + bool(virials))
    zetas = one_per_block("zeta", regressor.zeta, len(environments.blocks))
    choice = environments, regressor.sparse_method, regressor.n_sparse, zetas
    selecting = _bytes_for_selecting(regressor.memory_limit, *choice)
    sizes = expected_counts(*choice)
    n_elements = len(environments.elements())
    passing, solving = _bytes_beside_rows(environments, sizes[0], n_elements, n_kinds)
    if derivatives:
        passing += _workspace_bytes(environments, sizes[1])
    costs = bytes_per_structure(environments, sizes, derivatives, virials)
    limit = batch_bytes(regressor.memory_limit, (passing, solving), costs)
    rows = max(costs[part].sum() for part in batches(costs, limit))
    return int(max(selecting, solving, passing + rows))


def _bytes_for_selecting(memory_limit, environments, method, *counts):
    """Memory for choosing sparse points, if there is as much."""
    needed = environments.copied_bytes() + selecting_bytes(environments, method, *counts)
    if memory_limit is not None and needed > memory_limit:
        if not isinstance(method, str):
            raise ValueError(
                f"memory_limit is {memory_limit} bytes, but features of unit length alone need "
                f"{needed}; raise it or fit to fewer structures at a time by partial_fit"
            )
        thrifty = "cur" if method in ("fps", "kmeans") else "random"
        raise ValueError(
            f"memory_limit is {memory_limit} bytes, but sparse_method={method!r} needs {needed} to "
            f"choose sparse points; raise it, lower n_sparse or choose them by {thrifty!r}"
        )
    return needed


class Training:
    """What a fit knows of the data it has seen; it can see more.

    The linear algebra that weights come from runs on one thread. More would change the order
    of sums, and so digits, which ill-conditioned covariances magnify; and they would gain
    little with panels of this size, and lose much where another process has a core in use.

    Parameters
    ----------
    environments : Environments
        The first structures: they decide on the sparse points, if these are not given, and
        on the elements.
    regressor : GAPRegressor
        Parameters.
    config_types : sequence or None
        Kinds of the structures.
    select : callable, default=select_points
        Chooses the sparse points.

    Attributes
    ----------
    elements : ndarray of shape (n_elements,)
        Atomic numbers, ascending.
    points : SparsePoints
        The sparse points.
    prior : Prior
        Covariances among them.
    data : Data
        Triangles of the data.
    atom_energies : AtomEnergies
        What determines the energies of single atoms.
    batch_bytes : int
        Memory for the rows of a batch.
    """

    def __init__(self, environments, regressor, config_types, select=select_points):
        zetas = one_per_block("zeta", regressor.zeta, len(environments.blocks))
        zetas = [float(zeta) for zeta in zetas]
        if regressor.memory_limit is not None:
            _bytes_for_selecting(
                regressor.memory_limit, environments, regressor.sparse_method, regressor.n_sparse,
                zetas,
            )  # fmt: skip
        with one_thread:
            self.points = select(
                environments,
                regressor.sparse_method,
                regressor.n_sparse,
                zetas=zetas,
                config_types=config_types,
                random_state=regressor.random_state,
            )
            self.prior = Prior(self.points, zetas, regressor.jitter)
        # points that were given may be of elements that come later
        self.elements = np.union1d(environments.elements(), self.points.species)
        self.atom_energies = AtomEnergies(self.elements, regressor.e0)
        self.data = Data(len(self.points), len(self.elements))

    def absorb(self, environments, targets, defaults, memory_limit):
        """Fold the rows of structures into the triangles of their kinds.

        Parameters
        ----------
        environments : Environments
            The structures.
        targets : Targets
            Their energies, forces, virials.
        defaults : dict of str to float
            Noise of each kind.
        memory_limit : int or None
            For the whole fit, in bytes.
        """
        check_elements(environments, self.elements)
        wanted = targets.has_derivatives()
        n_kinds = 1 + (targets.forces is not None) + (targets.virials is not None)
        passing, solving = _bytes_beside_rows(
            environments, len(self.points), len(self.elements), n_kinds
        )
        if memory_limit is not None and wanted.any():
            passing += _workspace_bytes(environments, self.points.sizes()[1])
        costs = bytes_per_structure(
            environments, self.points, wanted, targets.virials is not None
        )
        self.batch_bytes = limit = batch_bytes(memory_limit, (passing, solving), costs)
        composition = environments.composition(self.elements)
        self.atom_energies.add(targets.energies, composition, environments.isolated())
        noise = targets.sigmas / np.array([defaults[kind] for kind in KINDS])
        noise[:, [0, 2]] *= np.sqrt(environments.n_atoms)[:, np.newaxis]
        columns = np.column_stack([composition, targets.energies])
        with one_thread:  # products of single environments are too small to be shared out
            for part in batches(costs, limit):
                self._absorb_batch(part, environments, targets, wanted, columns, noise)

    def _absorb_batch(self, part, environments, targets, wanted, columns, noise):
        """Fold in the rows of a slice of structures."""
        index = np.arange(part.start, part.stop)[wanted[part]]
        batch = environments[part]
        if len(index) < len(batch):
            energies = energy_rows(batch, self.points, self.prior.zetas)
            if len(index):
                self._absorb_derivatives(batch.take(index - part.start), targets.take(index),
                                         noise[index])
        else:
            energies = self._absorb_derivatives(batch, targets.take(index), noise[index])
        self.data.add("energy", energies, columns[part], noise[part, 0])

    def __sizeof__(self):
        kept = self.points.features.nbytes + sum(L.nbytes for _, L in self.prior.factors)
        return object.__sizeof__(self) + kept + getsizeof(self.data)

    def snapshot(self):
        """Return a copy that can see more data, while this one stays as it is."""
        other = copy(self)
        other.atom_energies, other.data = deepcopy(self.atom_energies), deepcopy(self.data)
        return other

    def empty(self):
        """Return a pass with the same sparse points and elements that has seen no data."""
        other = copy(self)
        other.atom_energies = AtomEnergies(self.elements, self.atom_energies.rule)
        other.data = Data(len(self.points), len(self.elements))
        return other

    def merge(self, other):
        """Take in all that another pass with the same sparse points has seen.

        Parameters
        ----------
        other : Training
            It stays as it is.
        """
        self.atom_energies.merge(other.atom_energies)
        self.data.merge(other.data)

    def _absorb_derivatives(self, environments, targets, noise):
        """Fold in rows of forces and virials; return those of energies, which cost nothing."""
        wants_virials = targets.virials is not None
        energies, forces, virials = all_rows(
            environments, self.points, self.prior.zetas, virials=wants_virials
        )
        if targets.forces is not None:
            n_rows = 3 * environments.n_atoms
            values = targets.flat_forces(environments.n_atoms)[:, np.newaxis]
            self.data.add("forces", forces, values, np.repeat(noise[:, 1], n_rows))
        if wants_virials:
            virials = virials.reshape(-1, virials.shape[-1])
            values = targets.virials.reshape(-1, 1)
            self.data.add("virials", virials, values, np.repeat(noise[:, 2], 6))
        return energies

    def solve(self, energy_scale, sigmas, *, optimize=False, check_virials=True):
        """Solve for the weights.

        Parameters
        ----------
        energy_scale : float, "auto", or list of these
            Scale of the covariances, or that of each block.
        sigmas : dict of str to float
            Noise of each kind.
        optimize : bool, default=False
            Whether to refine both.
        check_virials : bool, default=True
            Whether to compare virials with what else there is, as dear as to solve.

        Returns
        -------
        e0 : ndarray of shape (n_elements,)
            Energies of single atoms.
        posterior : Posterior
            All else.
        """
        prior, data = self.prior, self.data
        if "energy" not in data.triangles:
            raise ValueError("y is NaN for all structures, but at least one energy must be known: "
                             "forces and virials leave a constant open")
        with one_thread:
            e0 = self.atom_energies.solve()
            triangles = data.reduced(e0)
            scales = one_per_block("energy_scale", energy_scale, len(prior.blocks))
            if any(is_choice(scale, "auto") for scale in scales):
                moments = moment_energy_scales(prior, data, triangles, sigmas["energy"])
                scales = [
                    moment if is_choice(scale, "auto") else scale
                    for scale, moment in zip(scales, moments, strict=True)
                ]
            if optimize:
                scales, sigmas = maximize_evidence(prior, data, triangles, scales, sigmas)
            posterior = Posterior(prior, data, triangles, scales, sigmas)
            warn_of_rounding(posterior)
            if check_virials:
                warn_of_virials(posterior, data, triangles)
        return e0, posterior


def check_elements(environments, known):
    """Refuse elements that a fit has not seen.

    Parameters
    ----------
    environments : Environments
        New structures.
    known : ndarray
        Atomic numbers.
    """
    unknown = np.setdiff1d(environments.elements(), known)
    if unknown.size:
        raise ValueError(
            f"X has atoms of {', '.join(chemical_symbols[z] for z in unknown)}, but the first fit "
            f"saw {', '.join(chemical_symbols[z] for z in known)} only; fit to structures with "
            "all elements"
        )

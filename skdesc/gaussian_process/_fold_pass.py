"""One pass over the data for all folds: cells that no fold divides, and sparse points.

Sparse points see no targets, and choosing them is part of the price: all folds share those that
are chosen from all structures. Only where data are few, so that it costs next to nothing, each
training part chooses its own, and its model is that of a fit to this part.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np

from ..least_squares import Cells, HeldOut, Training, moment_scales_of_parts
from ..utils.blas import one_thread
from ..utils.folds import can_share_a_pass, check_folds, split_blocks, take
from ._accumulation import Accumulator, choose_points, make_covariances, resolve_scales
from ._baseline import subtract_baseline
from ._inputs import check_environments
from ._memory import N_FOLDS, check_fold_bytes, fold_bytes
from ._sparse_points import SparsePoints, merge_choices
from ._targets import QUANTITIES, check_targets

_SOLVE_ONLY_PARAMETERS = (
    "energy_scale", "optimize", "calibrate", "n_jobs",
    *(f"sigma_{quantity}" for quantity in QUANTITIES),
)
# multiplications of a pass below which each training part chooses its own sparse points: of the
# order of ten milliseconds
OWN_POINTS_BELOW = 10**8
# blocks of consecutive structures dealt to each fold of a fit that tunes its noise
_BLOCKS_PER_FOLD = 4
# passes that a session keeps at most, but for the last, in bytes
_KEPT_BYTES = 2**29


@dataclass(frozen=True)
class Fold:
    """A training part: its structures, cells, sparse points and elements.

    Parameters
    ----------
    training, test : list of int
        Indices of the cells of both parts.
    elements : ndarray
        Those of the training part.
    points : SparsePoints
        Those of its model.
    columns : ndarray or None
        Their places among the points of the pass; None for all.
    prior : Prior
        Covariances among them.
    """

    training: list
    test: list
    elements: np.ndarray
    points: SparsePoints
    columns: np.ndarray | None
    prior: Any


@dataclass(frozen=True)
class Pass:
    """Result of one pass over the data.

    Parameters
    ----------
    params : dict
        Parameters of the pass, kept so that they are not mistaken for others.
    folds : list of Fold
        The folds.
    accumulators : list of Accumulator
        Each has seen the structures of a cell.
    cells : Cells
        Their observations.
    """

    params: dict
    folds: list
    accumulators: list
    cells: Cells

    def accumulate(self, fold, cells):
        """Accumulator of several cells together, with the sparse points of a fold."""
        result = self.accumulators[0].empty()
        for cell in cells:
            result.merge(self.accumulators[cell])
        result.points, result.prior = fold.points, fold.prior
        if fold.columns is not None:
            result.observations = result.observations.select_columns(fold.columns)
        return result


    def training(self, regressor, fold):
        """Energies of single atoms, normal equations and energy scales of a training part."""
        energies = self.accumulators[0].empty().atom_energies
        for cell in fold.training:
            energies.merge(self.accumulators[cell].atom_energies)
        e0 = energies.solve()
        equations = self.cells.sum_equations(fold.prior, fold.training, fold.columns)
        if QUANTITIES[0] not in equations:
            self.accumulators[0].empty().require_energies()
        training = Training(self.cells.sizes(fold.prior, fold.columns), e0, equations)
        parts = [self.cells.observations(cell, fold.columns) for cell in fold.training]
        compared = [quantity for quantity in equations if quantity != "virials"]
        scales, automatic = resolve_scales(
            regressor.energy_scale, len(fold.prior.terms),
            lambda: moment_scales_of_parts(fold.prior, training, parts, compared),
        )
        return training, scales, [QUANTITIES[0] if auto else None for auto in automatic]

    def held_out(self, regressor):
        """Training and test part of each fold, list of HeldOut."""
        result = []
        with one_thread:
            for fold in self.folds:
                training, scales, floors = self.training(regressor, fold)
                test = self.cells.sum_equations(fold.prior, fold.test, fold.columns)
                result.append(HeldOut(training, test, scales, floors))
        return result

    def held_out_of(self, quantity, held_out):
        """The same for one quantity alone, of the folds that hold it back.

        Few rows have few coordinates, so that this costs much less than all quantities.
        """
        cells, result = self.cells.of_quantity(quantity), []
        with one_thread:
            for fold, part in zip(self.folds, held_out, strict=True):
                training, test = (
                    cells.sum_equations(fold.prior, side, fold.columns)
                    for side in (fold.training, fold.test)
                )
                if quantity in test:
                    sizes = cells.sizes(fold.prior, fold.columns)
                    training = Training(sizes, part.training.mean, training)
                    result.append(HeldOut(training, test, part.scales, part.floors))
        return result


class FoldData:
    """Structures, targets and folds, and the passes over them so far.

    Parameters
    ----------
    regressor : GAPRegressor
        Gets the number of features.
    X, y, splits, metadata : object
        As for :class:`GapFoldSession`.
    """

    def __init__(self, regressor, X, y, splits, metadata):
        self.environments = check_environments(X, regressor, reset=True)
        self.y, self.metadata = y, dict(metadata)
        self.splits = check_folds(splits, len(self.environments))
        if not can_share_a_pass(self.splits):
            raise ValueError(
                "splits has an empty part, or one with a sample more than once, but one pass over "
                "the data sees each sample once; fit to each training part by itself"
            )
        self.members = split_blocks(
            [part for split in self.splits for part in split], len(self.environments)
        )
        self._passes, self._choices, self._last_targets = OrderedDict(), {}, (None, None)
        self.n_passes = 0
        self.targets(regressor)  # faults of the data are reported at once

    def targets(self, regressor):
        """Targets without those of the baseline, checked once for equal parameters."""
        noise = regressor._noise()
        own = self.metadata.get("sigmas") is not None
        key = tuple(noise.values()) if own else None, id(regressor.baseline)
        if self._last_targets[0] != key:
            targets = check_targets(self.environments, self.y, noise=noise, **self.metadata)
            targets = subtract_baseline(regressor.baseline, self.environments, targets)
            self._last_targets = key, targets
        return self._last_targets[1]

    def pass_for(self, regressor):
        """Pass with the parameters of a regressor, which may have been made before."""
        params = regressor.get_params(deep=False)
        if self.metadata.get("sigmas") is None:
            params = {k: v for k, v in params.items() if k not in _SOLVE_ONLY_PARAMETERS}
        key = tuple(sorted((name, _identity(value)) for name, value in params.items()))
        if key not in self._passes:
            self._passes[key] = self._make_pass(regressor, params)
        self._passes.move_to_end(key)
        sizes = list(accumulate(p.cells.n_bytes() for p in reversed(self._passes.values())))
        for size in reversed(sizes[1:]):
            if size > _KEPT_BYTES:
                self._passes.popitem(last=False)
        return self._passes[key]

    def _make_pass(self, regressor, params):
        environments, targets = self.environments, self.targets(regressor)
        with one_thread:
            folds, points = self._make_folds(regressor)
            base = Accumulator.with_points(environments, regressor, points)
            self._check_memory(regressor, base, targets)
            cells = [base.empty() for _ in self.members]
            for cell, index in zip(cells, self.members, strict=True):
                some = environments.take(index)
                cell.add(some, targets.take(index), regressor.memory_limit, regressor.n_jobs)
        self.n_passes += 1
        observations = Cells([cell.observations for cell in cells])
        return Pass(params, folds, cells, observations)

    def _check_memory(self, regressor, base, targets):
        n_quantities = 1 + (targets.forces is not None) + (targets.virials is not None)
        n_bytes = fold_bytes(
            len(base.points), len(base.elements), n_quantities, len(self.members),
            len(self.splits),
        )
        check_fold_bytes(regressor.memory_limit, n_bytes)

    def _make_folds(self, regressor):
        """Folds with their sparse points, and the points of the pass."""
        environments, firsts = self.environments, [index[0] for index in self.members]
        kinds = self.metadata.get("config_types")
        covariances = make_covariances(regressor, environments)
        points = self._shared_points(regressor, kinds)
        choices, columns = [points] * len(self.splits), [None] * len(self.splits)
        if self._is_small(regressor, len(points)):
            choices = [
                choose_points(environments.take(train), regressor, take(kinds, train))
                for train, _ in self.splits
            ]
            points, columns = merge_choices(choices)
        priors = {}
        for choice in choices:
            if id(choice) not in priors:
                with one_thread:
                    priors[id(choice)] = choice.prior(covariances, regressor.jitter)
        folds = [
            Fold(
                *(np.flatnonzero(np.isin(firsts, part)).tolist() for part in split),
                np.union1d(
                    environments.take(split[0]).elements(),
                    choice.species if isinstance(regressor.sparse_method, Mapping) else [],
                ).astype(np.intp),
                choice, places, priors[id(choice)],
            )
            for split, choice, places in zip(self.splits, choices, columns, strict=True)
        ]
        return folds, points

    def _shared_points(self, regressor, kinds):
        """Sparse points chosen from all structures, once for all exponents but 1."""
        linear = [c.is_linear for c in make_covariances(regressor, self.environments)]
        names = ("n_sparse", "sparse_method", "random_state")
        values = [getattr(regressor, name) for name in names]
        key = tuple(linear), tuple(map(_identity, values))
        if key not in self._choices:
            chosen = choose_points(self.environments, regressor, kinds)
            self._choices = {key: (chosen, values)}
        return self._choices[key][0]

    def _is_small(self, regressor, n_points):
        """Whether the pass takes so little that choosing points for each fold does not matter."""
        n_centers, n_features = self.environments.values.shape
        n_rows, products = len(self.environments), n_centers * n_features
        if any(self.metadata.get(name) is not None for name in ("forces", "virials")):
            n_rows += 3 * int(self.environments.n_atoms.sum())
            products *= 4
        work = n_points * (n_rows * n_points + products)
        return regressor.memory_limit is None and work <= OWN_POINTS_BELOW


def deal_folds(n_structures: int, config_types: Sequence[Any] | None = None) -> list[tuple]:
    """Folds of a fit that tunes its noise.

    Neighbors in a file are often alike, as those in a trajectory are, and files are often sorted.
    So consecutive structures of a kind are held back together, and each fold has some from all
    over the file.

    Parameters
    ----------
    n_structures : int
        Number of structures, at least 2.
    config_types : sequence of length n_structures, default=None
        Kinds of the structures.

    Returns
    -------
    list of (train, test)
        Index arrays.
    """
    n_folds = min(N_FOLDS, n_structures)
    order = np.arange(n_structures)
    if config_types is not None:
        order = np.argsort([str(kind) for kind in config_types], kind="stable")
    owner = np.empty(n_structures, dtype=np.intp)
    blocks = np.array_split(order, min(n_structures, n_folds * _BLOCKS_PER_FOLD))
    for number, block in enumerate(blocks):
        owner[block] = number % n_folds
    return [(np.flatnonzero(owner != k), np.flatnonzero(owner == k)) for k in range(n_folds)]


def _identity(value):
    """Key that identifies parameters, without comparing arrays."""
    if isinstance(value, (list, tuple)):
        return "sequence", tuple(map(_identity, value))
    if value is None or isinstance(value, (str, bool, int, float, np.generic)):
        return type(value).__name__, str(value)
    return "object", str(id(value))

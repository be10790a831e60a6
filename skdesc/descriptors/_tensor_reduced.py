"""``TensorReducedTransformer``: descriptors whose size is independent of the elements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any, Literal, Self

import numpy as np
from sklearn.utils import check_random_state

from ..invariants import TensorReducedDescriptor
from ..mixing import MixingProblem, _learning, _random_weights
from ..structures import check_structures
from ..utils.atomic import atomic
from ..utils.blas import one_thread
from ..utils.typing import (
    Auto,
    Centers,
    Elements,
    PerStructure,
    Pooling,
    RadialBasis,
    RadialScaling,
    RandomState,
    Samples,
)
from ._density_transformer import DensityTransformer
from ._loading import check_numbers, same
from ._mixing_parameters import check_mixing


class TensorReducedTransformer(DensityTransformer):
    r"""Tensor-reduced density representation: its size does not depend on the elements.

    The density coefficients of :class:`SOAPTransformer` are mixed into `n_channels` channels,
    and only coefficients of the same channel are multiplied ([1]_, eq. 6):

    .. math::

        A^{t}_{klm} &= \sum_{sn} W^t_{k,sn}\, c_{snlm}, \qquad t = 1 \dots \nu \\
        B_{k, l_1 \dots l_\nu} &= \frac{\pi \sqrt 8}{\sqrt K} \sum_{m_1 \dots m_\nu}
            C^{l_1 \dots l_\nu}_{m_1 \dots m_\nu} \prod_t A^t_{k l_t m_t}

    with generalized Clebsch-Gordan coefficients C of unit norm, :math:`\nu` the correlation
    order. At order 2 this is :math:`\sum_m A^1_{klm} A^2_{klm}` times the prefactor of SOAP and
    :math:`K^{-1/2}`: K (l_max + 1) features, for one element or a hundred.

    With independent weights of zero mean and unit variance for every factor
    (``scheme="sketch"``), the scalar product of two unnormalized vectors is an unbiased estimate
    of that of the full ones, with an error that falls as :math:`K^{-1/2}`. With one set of
    weights (``scheme="decomposition"``) it is a model in the form of a symmetric canonical
    decomposition: half the cost, no such estimate, yet `K >= D (D + 1) / 2` channels, D the
    number of elements times `n_max`, hold the full spectrum.

    Parameters
    ----------
    species : sequence of int or str, default=None
        Elements the features account for, as symbols or atomic numbers. By default those that
        `fit` finds.
    cutoff, cutoff_width : "auto" or float, default="auto"
        As for :class:`SOAPTransformer`.
    n_max, l_max : int, default=8 and 6
        As for :class:`SOAPTransformer`.
    atom_sigma : "auto" or float, default="auto"
        As for :class:`SOAPTransformer`.
    radial_basis : str, callable or array, default="gto"
        As for :class:`SOAPTransformer`.
    radial_scaling : "auto", None, tuple or dict, default="auto"
        As for :class:`SOAPTransformer`.
    center_weight : float, default=1.0
        As for :class:`SOAPTransformer`.
    n_channels : int, default=64
        Number K of channels.
    correlation_order : int, default=2
        Number of factors, from 1 to 4; order 2 sees angles between two neighbors, as SOAP does,
        higher orders see more neighbors at once.
    orders : sequence of int, default=None
        Which orders to include, up to `correlation_order`. By default all from 2 on (1 where
        `correlation_order` is 1): what order 1 knows is part of order 2.
    scheme : {"sketch", "decomposition"}, default="sketch"
        Weights of every factor for itself, or the same for all.
    reduce : sequence of str, default=("species", "radial")
        What is mixed. Indices that are not mixed keep the full product: with ``("species",)``
        the features of order 2 are (k, n, n', l), with ``("radial",)`` (k, s, s', l).
    weights : {"normal", "rademacher", "orthogonal", "learned"} or array, default="normal"
        Distribution of the weights: standard normal; signs; normal, but with orthogonal rows in
        every run of `n_max` channels of an element; learned from `y`, see the notes. Or the
        weights themselves, of the shape of `mixing_weights_`.
    weights_per_l : bool, default=False
        Whether every l has weights of its own.
    learning : dict, default=None
        Options of ``weights="learned"``: "n_embedding" (8), numbers that describe an element;
        "alpha" (None), ridge parameter relative to the features' mean square, by default the
        best for the validation structures; "max_iter" (100); "validation_fraction" (0.15) of
        the structures, on which to judge when to stop; "patience" (10), iterations without
        improvement until then; "forces_weight" (1.0), how much forces count, see the notes.
    random_state : int, RandomState instance or None, default=None
        Seed of the weights. They depend on it and on the element alone: neither more elements
        nor more channels change those that are there. Give an int for reproducible features.
    normalize : bool, default=True
        As for :class:`SOAPTransformer`.
    pooling : {None, "mean", "sum", "inner"}, default=None
        As for :class:`SOAPTransformer`.
    centers : None, list of str or int, str, or list of list of int, default=None
        As for :class:`SOAPTransformer`.
    handle_unknown : {"error", "ignore", "draw"}, default="error"
        What to do with elements that are not among the species: refuse them; leave these atoms
        out, as neighbors and as a center's own density; or draw the weights that they would
        have had.
    dtype : {"float64", "float32"}, default="float64"
        As for :class:`SOAPTransformer`.
    n_jobs : int, default=None
        As for :class:`SOAPTransformer`.

    Attributes
    ----------
    species_ : ndarray of shape (n_species,)
        Atomic numbers, ascending.
    mixing_weights_ : ndarray
        Weights, of shape (n_factors, l_max + 1, n_species, n_max, n_channels) without the axes
        that are not mixed or, for l, shared. Elements are in the order of `species_`.
    seed_ : int
        Seed that they were drawn from.
    element_embedding_ : ndarray of shape (n_species, n_embedding)
        With ``weights="learned"``: vectors of the elements along their principal axes. Scalar
        products are those of the elements' weights.
    learning_history_ : dict
        With ``weights="learned"``: root mean square errors per atom, "train" and "validation",
        of every iteration; where forces are learned, their errors, "train_forces" and
        "validation_forces".
    cutoff_, cutoff_width_, atom_sigma_, radial_scaling_ : object
        As for :class:`SOAPTransformer`.
    n_features_out_ : int
        Number of features.

    Raises
    ------
    ValueError
        If a parameter is out of range, an element is unknown, positions or cells are not
        finite, atoms coincide, or the output would not fit into memory.
    TypeError
        If `X` is no sequence of Atoms.

    See Also
    --------
    SOAPTransformer : The full power spectrum.

    Notes
    -----
    ``weights="learned"`` needs ``fit(X, y)`` with one number per structure, such as total
    energies. Beside a term for the composition, y is modeled by a ridge regression on the mean
    features of each structure, and its loss is minimized over the weights by L-BFGS, with the
    exact gradient that the descriptor's adjoint gives. The weights are those of the iteration
    with the least error for structures held back. All elements share the same functions of
    `n_embedding` numbers each, which are learned with them. They are learned from all atoms,
    whatever `centers` are.

    Where y are energies and `fit` gets forces, the ridge regression is one of both, and the loss
    has their squared errors relative to the mean squares of the energies, per atom and beside
    the composition, and of the forces; "forces_weight" multiplies the second.

    References
    ----------
    .. [1] J. P. Darby, D. P. Kovács, I. Batatia, M. A. Caro, G. L. W. Hart, C. Ortner,
       G. Csányi, Phys. Rev. Lett. 131, 028001 (2023).

    Examples
    --------
    >>> from ase.build import molecule
    >>> from skdesc import TensorReducedTransformer
    >>> reduced = TensorReducedTransformer(n_max=4, l_max=3, n_channels=16, random_state=0)
    >>> reduced.fit_transform([molecule("H2O"), molecule("CH3OH")])
    AtomicFeatures(2 structures, 9 centers, 64 features)
    """

    __metadata_request__fit = {"forces": True}

    _unknown_choices = ("error", "ignore", "draw")

    _descriptor_type = TensorReducedDescriptor

    _memory_remedy = "lower n_channels, correlation_order or l_max"

    def __init__(
        self,
        species: Elements | None = None,
        *,
        cutoff: float | Auto = "auto",
        cutoff_width: float | Auto = "auto",
        n_max: int = 8,
        l_max: int = 6,
        atom_sigma: float | Auto = "auto",
        radial_basis: RadialBasis = "gto",
        radial_scaling: RadialScaling = "auto",
        center_weight: float = 1.0,
        n_channels: int = 64,
        correlation_order: int = 2,
        orders: Sequence[int] | None = None,
        scheme: Literal["sketch", "decomposition"] = "sketch",
        reduce: Literal["species", "radial"] | Sequence[str] = ("species", "radial"),
        weights: Literal["normal", "rademacher", "orthogonal", "learned"] | PerStructure = "normal",
        weights_per_l: bool = False,
        learning: Mapping[str, Any] | None = None,
        random_state: RandomState = None,
        normalize: bool = True,
        pooling: Pooling = None,
        centers: Centers = None,
        handle_unknown: Literal["error", "ignore", "draw"] = "error",
        dtype: Literal["float64", "float32"] = "float64",
        n_jobs: int | None = None,
    ) -> None:
        self.species = species
        self.cutoff = cutoff
        self.cutoff_width = cutoff_width
        self.n_max = n_max
        self.l_max = l_max
        self.atom_sigma = atom_sigma
        self.radial_basis = radial_basis
        self.radial_scaling = radial_scaling
        self.center_weight = center_weight
        self.n_channels = n_channels
        self.correlation_order = correlation_order
        self.orders = orders
        self.scheme = scheme
        self.reduce = reduce
        self.weights = weights
        self.weights_per_l = weights_per_l
        self.learning = learning
        self.random_state = random_state
        self.normalize = normalize
        self.pooling = pooling
        self.centers = centers
        self.handle_unknown = handle_unknown
        self.dtype = dtype
        self.n_jobs = n_jobs

    @property
    def _stateless_given_parameters(self):
        """Whether every fit gives the same features, so that a search may apply it once."""
        if isinstance(self.weights, str):
            return self.weights != "learned" and isinstance(self.random_state, Integral)
        return True

    @atomic
    def fit(
        self,
        X: Samples,
        y: PerStructure | None = None,
        *,
        forces: PerStructure | None = None,
    ) -> Self:
        """Learn the elements, draw or learn the weights, and build the tables.

        Parameters
        ----------
        X : sequence of ase.Atoms
            The structures.
        y : array-like of shape (n_structures,), default=None
            Target from which weights are learned; ignored unless ``weights="learned"``.
        forces : sequence of array-like of shape (n_atoms, 3), default=None
            Negative gradients of `y` by the positions, from which weights are learned as well;
            None or NaN where they are not known. Metadata routing passes them unasked.

        Returns
        -------
        TensorReducedTransformer
            The fitted transformer.
        """
        if not isinstance(self.weights, str) or self.weights != "learned":
            self._fit(X)
            return self
        options = _learning.check_options(self.learning)
        structures = check_structures(X, extra_arrays=self._extra_arrays)
        y, forces = _learning.check_targets(y, forces, structures)
        self._fit(structures)
        with one_thread:  # of BLAS, whose products are small
            self._learn(structures, y, forces, options)
        return self

    def _learn(self, structures, y, forces, options):
        """Replace the weights by learned ones."""
        rng = np.random.default_rng([self.seed_, 1])
        validation = np.zeros(len(y), dtype=bool)
        n_validation = max(1, round(options["validation_fraction"] * len(y)))
        validation[rng.permutation(len(y))[:n_validation]] = True
        parameters = self._descriptor.parameters
        first = self._descriptor.layout.with_all_axes(
            self.mixing_weights_, parameters["weights_per_l"]
        )
        problem = MixingProblem(
            self._descriptor, structures, y, forces, shape=first.shape, validation=validation,
            **{name: options[name] for name in ("n_embedding", "alpha", "forces_weight")},
        )
        weights, self.learning_history_ = _learning.learn(
            problem, rng, max_iter=options["max_iter"], patience=options["patience"]
        )
        self.element_embedding_ = _learning.element_embedding(
            weights, problem.n_embedding
        )
        self.mixing_weights_ = np.ascontiguousarray(weights.reshape(self.mixing_weights_.shape))
        self._descriptor = TensorReducedDescriptor(
            self.species_, {**parameters, "mixing_weights": self.mixing_weights_}
        )

    def _make_descriptor(self, parameters):
        """Draw or check the weights, and build the tables."""
        parameters = {**parameters, "mixing_weights": self._make_weights(parameters)}
        return TensorReducedDescriptor(self.species_, parameters)

    def _sizes(self, parameters):
        """Sizes of the array of weights."""
        sizes = {name: parameters[name] for name in ("n_max", "l_max", "n_channels", "reduce")}
        sizes["n_factors"] = max(parameters["orders"]) if parameters["scheme"] == "sketch" else 1
        return {**sizes, "per_l": parameters["weights_per_l"]}

    def _make_weights(self, parameters):
        sizes = self._sizes(parameters)
        if not isinstance(self.weights, str):
            shape = _random_weights.axes(len(self.species_), **sizes)
            return _random_weights.check(self.weights, self.species_, shape)
        generator = check_random_state(self.random_state)
        given = isinstance(self.random_state, Integral)
        self.seed_ = int(self.random_state) if given else int(generator.randint(2**31))
        kind = "normal" if self.weights == "learned" else self.weights
        return _random_weights.draw(kind, self.seed_, self.species_, **sizes)

    def _check_fitted(self, species, parameters):
        """Species, parameters and weights of a fit."""
        species, checked = super()._check_fitted(species, parameters)
        shape = _random_weights.axes(len(species), **self._sizes(checked))
        weights = check_numbers(
            "mixing_weights_", parameters.get("mixing_weights"), tuple(shape.values())
        )
        checked["mixing_weights"] = np.ascontiguousarray(weights, dtype=np.float64)
        if not isinstance(self.weights, str):
            if not same(_random_weights.check(self.weights, species, shape), weights):
                raise ValueError("weights differ from mixing_weights_, with which "
                                 "TensorReducedTransformer was fitted; fit it again")
        else:
            self._check_drawn(species)
        return species, checked

    def _check_drawn(self, species):
        """Seed, and what was learned."""
        check_random_state(self.random_state)
        seed = vars(self).get("seed_")
        given = self.random_state if isinstance(self.random_state, Integral) else seed
        if not isinstance(seed, Integral) or not 0 <= seed < 2**63 or seed != given:
            raise ValueError(f"seed_ is {seed!r}, but must be the non-negative seed of the "
                             "weights; fit again, with an integer as random_state")
        if self.weights != "learned":
            return
        self.element_embedding_ = check_numbers(
            "element_embedding_", vars(self).get("element_embedding_"), (len(species), None)
        )
        history = vars(self).get("learning_history_")
        if not isinstance(history, dict):
            raise ValueError(f"learning_history_ is {history!s:.200}, but must be a dict; fit anew")
        for name, errors in history.items():
            check_numbers(f"learning_history_[{name!r}]", errors, (None,))

    def _take_from_descriptor(self):
        super()._take_from_descriptor()
        self.mixing_weights_ = self._descriptor.parameters["mixing_weights"]

    def _descriptor_for(self, structures):
        unseen = np.setdiff1d(structures.numbers, self.species_)
        if self.handle_unknown != "draw" or unseen.size == 0:
            return super()._descriptor_for(structures)
        parameters = self._descriptor.parameters
        sizes = {name: parameters[name] for name in ("n_max", "l_max", "n_channels", "reduce")}
        drawn = _random_weights.draw(
            self.weights, self.seed_, unseen, n_factors=len(self.mixing_weights_),
            per_l=parameters["weights_per_l"], **sizes,
        )
        species = np.concatenate([self.species_, unseen])
        order = np.argsort(species)
        axis = 2 if parameters["weights_per_l"] else 1
        joined = np.concatenate([self.mixing_weights_, drawn], axis=axis).take(order, axis=axis)
        return TensorReducedDescriptor(species[order], {**parameters, "mixing_weights": joined})

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = isinstance(self.weights, str) and self.weights == "learned"
        return tags

    def _check_parameters(self):
        return {**super()._check_parameters(), **check_mixing(self)}

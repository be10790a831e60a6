"""``GAPRegressor``: Gaussian approximation potentials as a scikit-learn regressor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from ..labels import (
    warn_of_data,
    warn_of_more_data,
)
from ..least_squares import Covariance
from ..metrics._search_hooks import SearchHooks
from ..utils.atomic import atomic
from ..utils.html import FittedCaption
from ..utils.typing import (
    Auto,
    Counts,
    Features,
    Noise,
    PerStructure,
    RandomState,
    SparseMethod,
)
from ..utils.validation import is_choice
from ._checks import check_parameters
from ._fitted import Fitted
from ._fitting import Fitting
from ._fold_session import FoldFits
from ._inputs import check_environments
from ._memory import estimate_bytes


class GAPRegressor(
    Fitting, FoldFits, Fitted, FittedCaption, SearchHooks, RegressorMixin, BaseEstimator
):
    r"""Sparse Gaussian process for energies, forces and virials.

    The energy of a structure is a sum over its environments i,

    .. math::
        E = \sum_i \epsilon(p_i) + \sum_i e_0(z_i), \qquad
        \langle \epsilon(p) \epsilon(p') \rangle = \delta^2 (p \cdot p')^\zeta

    for centers of the same species, and zero covariance otherwise. Forces and virials are
    derivatives of E, and are learned and predicted as such. The process is represented by
    `n_sparse` environments per species (the subset of regressors); the least-squares problem
    is solved by a QR decomposition that sees the data batch by batch. Where several descriptors
    are joined, by ``sklearn.pipeline.make_union`` or ``np.hstack``, the covariance is a sum of
    such terms, each with its own exponent, scale and sparse points: a pair term and many-body
    descriptors of different range, say.

    Parameters
    ----------
    zeta : float, Covariance, or list of these, default=4
        Exponent of the covariance, at least 1; a list has that of each descriptor. With other
        than integer exponents, negative dot products count as zero. A
        :class:`~skdesc.Covariance` is a function of the dot product of your own.
    energy_scale : "auto", float, or list of these, default="auto"
        Scale :math:`\delta` of the energy of an environment, in eV; a list has that of each
        descriptor. "auto" takes the least scale, from `sigma_energy` upwards, at which the
        prior's root mean square, as the sparse points represent it, is not below that of the
        targets: for energies without `e0`, for energies without their best function of the
        composition (both per square root of the number of atoms), and for forces.
    n_sparse : int, dict, or list of these, default=500
        Number of sparse points per species of the centers, or as many different environments
        as there are. A dict has symbols or atomic numbers as keys, a list has that of each
        descriptor. With an exponent of 1, unit vectors are complete, and are taken if they are
        no more.
    sparse_method : str, array-like or dict, default="cur"
        "cur" takes the environments of highest leverage, each given those before; "fps" the
        farthest from one another; "kmeans" the nearest to the mean of each cluster; "random"
        any; "config", by leverage, equally many of each kind of structure, see `config_types`
        in :meth:`fit`. An array, or a dict of one per species, holds the points themselves.
    sigma_energy : float, default=0.001
        Noise of energies in eV: that of the energy of n atoms is ``sigma_energy * sqrt(n)``.
    sigma_forces : float, default=0.1
        Noise of force components, in eV/angstrom.
    sigma_virials : float, default=0.1
        Noise of components of virials in eV, for n atoms ``sigma_virials * sqrt(n)``.
    e0 : "auto", dict or None, default="auto"
        Energies of single atoms, in eV. "auto" takes those of isolated atoms among the
        structures, the lowest if there are several, and for elements without one a
        least-squares fit of energies per atom, of minimum norm where the compositions leave
        it open. None stands for zero.
    jitter : "auto" or float, default="auto"
        Added to the diagonal of the covariances among sparse points, relative to its mean.
        "auto" takes the least sufficient, mostly none.
    optimize : {None, "marginal_likelihood", "held_out"}, default=None
        Whether to refine noise, starting from the values given, without a further pass over the
        data. "marginal_likelihood" makes the data most probable, by the energy scale too; each
        stays within a factor of 100. "held_out" makes errors small in structures that are held
        back, by five folds: the product of those of energies, forces and virials, such that
        energies are as good as without the others; noise stays within a factor of 1000. It
        takes all data at once, by :meth:`fit`, and memory for the folds.
    baseline : "auto", ase.calculators.calculator.Calculator or None, default="auto"
        Added to predictions, and subtracted from targets in fit. "auto" is a repulsion of atoms
        that are nearer than any of the data, :class:`skdesc.repulsion.RepulsionCalculator`, if
        forces or virials of structures are learned: it changes nothing at distances that the data
        have, and keeps molecular dynamics from falling into wells where there are none. None, or
        a calculator such as :class:`skdesc.calculator.ZBLCalculator`, stand for themselves. A
        calculator is not for plain arrays.
    calibrate : bool, default=True
        Whether standard deviations are calibrated, see `calibration_`.
    memory_limit : int or None, default=None
        Bytes that a fit may take beside `X`, the choice of sparse points included. None stands
        for what choice or solver need, or the solver and 64 MiB for rows. What cannot be done
        within the limit is an error.
    n_jobs : int or None, default=None
        Threads of fits and predictions, -1 for all cores, None for one unless
        ``joblib.parallel_config`` says otherwise. Results do not depend on it. A fit takes memory
        for the rows of each thread; within `memory_limit` it uses as many threads as fit in.
    random_state : int, RandomState or None, default=None
        Seed for the methods "kmeans" and "random".

    Attributes
    ----------
    weights_ : ndarray of shape (n_points,)
        Weights of the covariances with the sparse points, in 1/eV.
    sparse_features_ : ndarray of shape (n_points, n_features)
        The sparse points; of several descriptors, each point is zero outside of its own.
    sparse_species_ : ndarray of shape (n_points,)
        Atomic numbers of their centers, ascending for each descriptor; 0 for plain arrays.
    sparse_blocks_ : ndarray of shape (n_points,)
        Index of their descriptor, ascending; 0 where there is only one.
    e0_ : dict of str to float
        Energy of a single atom of each element, in eV.
    e0_source_ : dict of str to str
        Where `e0_` came from: "given", "zero" (for None), "isolated atom", "least squares", or
        "minimum norm" where the compositions leave it open. Energies of other compositions then
        hold an unknown constant, of which predictions of these warn.
    e0_open_ : ndarray of shape (n_directions, n_elements)
        Directions of compositions that the training data leave open; none without "minimum norm".
    energy_scale_ : float or ndarray of shape (n_descriptors,)
        Scale of the energy of an environment, in eV; one each if there are several descriptors.
    sigma_energy_, sigma_forces_, sigma_virials_ : float
        Noise, refined if asked for.
    log_marginal_likelihood_ : float
        Logarithm of the probability density of the targets.
    loo_ : ndarray of shape (n_structures,)
        Energy minus the prediction of the model that was not given this energy, in eV, in
        closed form; NaN where there is none. The structure's forces and virials, the sparse
        points, `e0_`, scale and noise stay as they are. Not available after :meth:`partial_fit`.
    calibration_ : dict of str to ndarray
        Factors of the parts of variances of "energy" and "forces": of what the data leave open
        within the span of the sparse points, and of what lies outside; for forces, also a constant
        variance in (eV/angstrom)^2. They make the errors of up to 64 structures most probable, each
        left out of the fit in closed form, with all its targets and sparse points. They are found
        when first needed, which takes a fifth to a half of the time of most fits, and are 1, 1
        and 0 with fewer than eight structures.
    condition_number_ : float
        Estimate of the condition number of the triangle that the weights are solved from.
        Rounding errors of weights grow with it; those of predictions far less.
    jitter_ : float
        The jitter that was used.
    baseline_ : ase.calculators.calculator.Calculator or None
        What is added to predictions.
    elements_ : ndarray
        Atomic numbers of the elements seen in fit.
    n_features_in_ : int
        Number of features.

    Notes
    -----
    `X` may also be a plain array, where each row is one environment of one structure, or a
    list of such arrays, one per structure. Their rows are scaled to unit length; a row of
    zeros has no covariance with any other and is predicted by `e0` alone. On averaged
    descriptors (``pooling="mean"``) this is the averaged kernel. If all environments are
    sparse points, predictions are those of the full process.

    References
    ----------
    .. [1] A. P. Bartok, M. C. Payne, R. Kondor, G. Csanyi, Phys. Rev. Lett. 104, 136403 (2010).
    .. [2] A. P. Bartok, G. Csanyi, Int. J. Quantum Chem. 115, 1051 (2015).
    .. [3] J. Quinonero-Candela, C. E. Rasmussen, J. Mach. Learn. Res. 6, 1939 (2005).
    .. [4] L. Foster et al., J. Mach. Learn. Res. 10, 857 (2009).

    Examples
    --------
    >>> import numpy as np
    >>> from skdesc import GAPRegressor
    >>> angle = np.linspace(0.0, 1.5, 20)
    >>> X = np.column_stack([np.cos(angle), np.sin(angle)])
    >>> gap = GAPRegressor(zeta=2).fit(X, np.cos(2 * angle))
    >>> bool(np.abs(gap.predict(X) - np.cos(2 * angle)).max() < 1e-3)
    True
    """

    __metadata_request__fit = dict.fromkeys(("forces", "virials", "sigmas", "config_types"), True)
    __metadata_request__partial_fit = __metadata_request__fit
    __metadata_request__predict = dict.fromkeys(
        ("return_std", "return_forces", "return_virials"), True
    )

    def __init__(
        self,
        *,
        zeta: float | Covariance | Sequence[float | Covariance] = 4,
        energy_scale: float | Auto | Sequence[float | Auto] = "auto",
        n_sparse: Counts | Sequence[Counts] = 500,
        sparse_method: SparseMethod = "cur",
        sigma_energy: float = 0.001,
        sigma_forces: float = 0.1,
        sigma_virials: float = 0.1,
        e0: Auto | Mapping[Any, float] | None = "auto",
        jitter: float | Auto = "auto",
        optimize: Literal["marginal_likelihood", "held_out"] | None = None,
        baseline: Any = "auto",
        calibrate: bool = True,
        memory_limit: float | None = None,
        n_jobs: int | None = None,
        random_state: RandomState = None,
    ) -> None:
        self.zeta = zeta
        self.energy_scale = energy_scale
        self.n_sparse = n_sparse
        self.sparse_method = sparse_method
        self.sigma_energy = sigma_energy
        self.sigma_forces = sigma_forces
        self.sigma_virials = sigma_virials
        self.e0 = e0
        self.jitter = jitter
        self.optimize = optimize
        self.baseline = baseline
        self.calibrate = calibrate
        self.memory_limit = memory_limit
        self.n_jobs = n_jobs
        self.random_state = random_state

    _before_they_existed = {"baseline": None, "calibrate": False}  # parameters that old files lack

    @property
    def baseline_(self) -> Any:
        """What is added to predictions."""
        check_is_fitted(self, "weights_")
        return self._baseline

    @property
    def calibration_(self) -> dict[str, np.ndarray]:
        """Factors of the parts of variances."""
        check_is_fitted(self, "weights_")
        return self._model.calibration

    @atomic
    def fit(
        self,
        X: Features,
        y: PerStructure,
        *,
        forces: PerStructure | None = None,
        virials: PerStructure | None = None,
        sigmas: Noise | None = None,
        config_types: Sequence[Any] | None = None,
    ) -> Self:
        """Fit to energies, forces and virials.

        Parameters
        ----------
        X : AtomicFeatures, array-like of shape (n_samples, n_features) or sequence of arrays
            Descriptors of the structures.
        y : array-like of shape (n_structures,)
            Total energies, in eV. NaN leaves one out with a warning, but is refused for plain
            arrays.
        forces : sequence of array-like of shape (n_atoms, 3), default=None
            Forces of each structure, in eV/angstrom. None or NaN for a structure, or NaN for
            a component, leaves them out.
        virials : array-like of shape (n_structures, 3, 3), default=None
            Virials -dE/d(strain) = -volume * stress, in eV. Symmetric, so that six components
            count. None or NaN leaves them out.
        sigmas : array-like of shape (n_structures, 3) or dict, default=None
            Noise of energy per atom, forces and virial of each structure, in place of the
            parameters; NaN, or None for a structure, where these stand. A dict has three numbers
            for each kind of structure, see `config_types`; kinds that are not in it have the
            default.
        config_types : sequence of length n_structures, default=None
            Kinds of the structures, for `sigmas` and ``sparse_method="config"``.

        Returns
        -------
        self : GAPRegressor
            The fitted regressor.
        """
        metadata = {
            "forces": forces, "virials": virials, "sigmas": sigmas, "config_types": config_types
        }
        noise = None
        if is_choice(self.optimize, "held_out"):
            seen, noise = self._accumulate_by_folds(X, y, metadata)
        else:
            seen = self._check_and_accumulate(None, X, y, **metadata)
        expected = self._finish(*seen, noise)
        warn_of_data(
            self, *seen, config_types, expected, seen[0].derivative_rows,
            lambda index: self._leave_one_out_without(index, *seen),
        )
        return self

    @atomic
    def partial_fit(
        self,
        X: Features,
        y: PerStructure,
        *,
        forces: PerStructure | None = None,
        virials: PerStructure | None = None,
        sigmas: Noise | None = None,
        config_types: Sequence[Any] | None = None,
    ) -> Self:
        """Fit to more data, without access to those before.

        The first call chooses the sparse points, and must have all elements (or sparse points
        of them); otherwise the result is that of one fit to all data.

        Parameters
        ----------
        X, y, forces, virials, sigmas, config_types : object
            As in :meth:`fit`.

        Returns
        -------
        self : GAPRegressor
            The fitted regressor.
        """
        accumulator = getattr(self, "_training", None)
        # data are added to a copy, so that an interrupted call has added nothing
        accumulator = None if accumulator is None else accumulator.copy()
        accumulator, *data = self._check_and_accumulate(
            accumulator, X, y, forces=forces, virials=virials, sigmas=sigmas,
            config_types=config_types,
        )
        self._solve(self._with_sample(accumulator, *data))
        warn_of_more_data(*data)
        vars(self).pop("loo_", None)
        return self

    @atomic
    def solve(self) -> Self:
        """Solve again for the data seen so far, with the current energy scale and noise.

        It takes no pass over the data: after ``set_params``, the result is that of a fit with
        these parameters, but for `loo_`, if no others have changed and no structure has noise of
        its own. Standard deviations of a potential from a file are not calibrated any more.

        Returns
        -------
        self : GAPRegressor
            The fitted regressor.
        """
        check_is_fitted(self, "weights_")
        check_parameters(self)
        if self._training is None:
            raise ValueError("this potential was loaded without what it has seen, so it cannot be "
                             "solved again; fit it anew")
        self._solve(self._training, check_labels=False)
        vars(self).pop("loo_", None)
        return self

    def memory_estimate(self, X: Features, *, forces: bool = True, virials: bool = True) -> int:
        """Estimate the peak memory of a fit, beside `X` and the targets.

        Parameters
        ----------
        X : AtomicFeatures, array-like of shape (n_samples, n_features) or sequence of arrays
            Descriptors of the structures.
        forces, virials : bool, default=True
            Whether the fit is to these as well. They don't count for plain arrays.

        Returns
        -------
        int
            In bytes.
        """
        check_parameters(self)
        environments = check_environments(X, GAPRegressor(), reset=True)
        return estimate_bytes(environments, self, forces, virials)

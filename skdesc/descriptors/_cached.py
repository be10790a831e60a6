"""Cache of features: structures that were described before are not computed again."""

from __future__ import annotations

import hashlib
import threading
import uuid
import weakref
from collections import OrderedDict
from collections.abc import Hashable
from numbers import Real
from typing import Any, Self

import joblib
import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ..features import AtomicFeatures
from ..structures import check_structures
from ..utils.atomic import atomic
from ..utils.typing import Samples
from ._base import TableIfPooled
from ._centers import kind_of
from ._loading import check_fitted_species, same

# Caches by their names. Those that came to this process inside an estimator are kept alive: a
# worker is sent a new copy of the estimator with every task, and must find what it knew before.
_LIVING = weakref.WeakValueDictionary()
_ARRIVED = []
# what does not change features
_IRRELEVANT = ("n_jobs",)


class FeatureCache:
    """Cache of features, shared by all estimators that receive it.

    Copies of an estimator, by :func:`sklearn.base.clone` too, share its cache. Another process
    has one of its own, empty at first, which it keeps until it ends.

    Parameters
    ----------
    max_bytes : int, default=2**30
        What the features may take, in each process. Those that have not been used for longest
        go first.

    Attributes
    ----------
    n_computed : int
        Structures that were described because they were not in the cache.
    n_found : int
        Structures that were found.
    """

    def __init__(self, max_bytes: float = 2**30) -> None:
        if not isinstance(max_bytes, Real) or isinstance(max_bytes, bool) or not max_bytes >= 0:
            raise ValueError(f"max_bytes is {max_bytes!r}, but must be a number of at least 0")
        self.max_bytes = max_bytes
        self.n_computed = self.n_found = 0
        self._name = uuid.uuid4().hex
        _LIVING[self._name] = self
        self._entries, self._n_bytes = OrderedDict(), 0
        # reentrant: an interrupt may leave it locked by this thread
        self._lock = threading.RLock()

    def __repr__(self):
        return f"FeatureCache(max_bytes={self.max_bytes})"

    def __deepcopy__(self, memo):
        return self

    def __reduce__(self):
        return _arrive, (self._name, self.max_bytes)

    def clear(self) -> None:
        """Forget all features."""
        with self._lock:
            self._entries.clear()
            self._n_bytes = 0

    def get(self, key: Hashable) -> Any:
        """Return the features stored under a key.

        Parameters
        ----------
        key : hashable
            What identifies a structure and how it is described.

        Returns
        -------
        entry : tuple of arrays or None
            None where nothing is kept under the key.
        """
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None:
                self._entries.move_to_end(key)
            return entry

    def put(self, key: Hashable, entry: Any) -> None:
        """Store the features of a structure if they fit.

        Parameters
        ----------
        key : hashable
            What identifies a structure and how it is described.
        entry : tuple of arrays
            What :meth:`get` shall find.
        """
        n_bytes = sum(array.nbytes for array in entry)
        if n_bytes > self.max_bytes:
            return
        with self._lock:
            if key in self._entries:
                return
            self._entries[key] = entry
            self._n_bytes += n_bytes
            while self._n_bytes > self.max_bytes:
                _, old = self._entries.popitem(last=False)
                self._n_bytes -= sum(array.nbytes for array in old)


def _arrive(name, max_bytes):
    cache = _LIVING.get(name)
    if cache is None:
        cache = FeatureCache(max_bytes)
        cache._name = name
        _LIVING[name] = cache
        _ARRIVED.append(cache)
    return cache


class CachedDescriptor(TableIfPooled, BaseEstimator):
    """Transformer that computes the features of each structure only once.

    Cross-validation and searches describe the same structures for every fold again. With a
    cache, every structure is described once per set of parameters: what is kept is looked up by
    the content of the structure, and by the parameters and elements of the transformer.

    Parameters
    ----------
    transformer : estimator
        A descriptor of this package, or another transformer of Atoms whose features of a
        structure depend on its parameters, its attribute ``species_`` and this structure alone
        (and that says so by an attribute ``_stateless_given_parameters`` that is True).
        Name its `species`: if it finds them in each fold, these may differ.
    cache : FeatureCache
        Where features are kept.

    Attributes
    ----------
    transformer_ : estimator
        The fitted transformer.

    See Also
    --------
    skdesc.TwoStagePSOSearchCV : Computes features once by itself.

    Examples
    --------
    >>> from ase.build import molecule
    >>> from skdesc import CachedDescriptor, FeatureCache, SOAPTransformer
    >>> cache = FeatureCache()
    >>> soap = CachedDescriptor(SOAPTransformer(["H", "C", "O"], n_max=3, l_max=2), cache)
    >>> soap.fit_transform([molecule("H2O"), molecule("CH4")])
    AtomicFeatures(2 structures, 8 centers, 135 features)
    >>> soap.transform([molecule("CH4"), molecule("CH3OH")])
    AtomicFeatures(2 structures, 11 centers, 135 features)
    >>> cache.n_computed
    3
    """

    _stateless_given_parameters = True

    def __init__(self, transformer: Any, cache: FeatureCache) -> None:
        self.transformer = transformer
        self.cache = cache

    @atomic
    def fit(self, X: Samples, y: Any = None) -> Self:
        """Fit the transformer.

        Parameters
        ----------
        X : sequence of ase.Atoms
            The structures.
        y : array-like, default=None
            Ignored.

        Returns
        -------
        CachedDescriptor
            The fitted transformer.
        """
        check_cached(self.transformer, self.cache)
        structures = check_structures(X, extra_arrays=self._extra_arrays)
        self.transformer_ = clone(self.transformer).fit(structures)
        # those of other elements are none of ours: see `transform`
        self._known = np.unique(getattr(self.transformer_, "species_", structures.numbers))
        self._take_from_transformer()
        return self

    def _take_from_transformer(self):
        """Set what follows from the fitted transformer."""
        self._prefix = _fingerprint(self.transformer_)
        # what features need for their derivatives, from the first structure that is described
        self._descriptor = None

    def _check_loaded(self):
        """Check the stored values and rebuild all others."""
        check_cached(self.transformer, self.cache)
        if "transformer_" not in vars(self):
            return
        self._check_saved()
        species = getattr(self.transformer_, "species_", None)
        known = vars(self).get("_known") if species is None else species
        self._known = check_fitted_species(known, None)
        self._take_from_transformer()

    def _check_saved(self):
        """Refuse parameters that were changed after the fit, before they are saved."""
        if hasattr(self, "transformer_") and not same(self.transformer, self.transformer_):
            raise ValueError(f"transformer is {self.transformer}, but must be {self.transformer_}, "
                             "which was fitted; fit again before saving")

    def transform(self, X: Samples) -> Any:
        """Compute features of structures, except for those in the cache.

        Parameters
        ----------
        X : sequence of ase.Atoms
            The structures.

        Returns
        -------
        AtomicFeatures or ndarray of shape (n_structures, n_features)
            What the transformer returns.
        """
        check_is_fitted(self)
        structures = check_structures(X, extra_arrays=self._extra_arrays)
        if np.setdiff1d(structures.numbers, self._known).size:
            return self.transformer_.transform(structures)  # refused, or at its discretion
        keys = [(self._prefix, digest) for digest in _digests(structures)]
        entries = {key: self.cache.get(key) for key in keys}
        missing = {key: index for index, key in enumerate(keys) if entries[key] is None}
        if missing:
            computed = self._describe(structures[np.array(list(missing.values()))])
            for key, entry in zip(missing, computed, strict=True):
                entries[key] = entry
                self.cache.put(key, entry)
        self.cache.n_computed += len(missing)
        self.cache.n_found += len(keys) - len(missing)
        return self._assemble(structures, [entries[key] for key in keys])

    @property
    def _extra_arrays(self):
        return getattr(self.transformer, "_extra_arrays", ())

    def _describe(self, structures):
        """Features of each structure, copied so that one does not keep the others in memory."""
        features = self.transformer_.transform(structures)
        if not isinstance(features, AtomicFeatures):
            return [(row.copy(),) for row in np.asarray(features)]
        self._descriptor = features.descriptor
        local = features.centers - np.repeat(
            features.structures.offsets[:-1], np.diff(features.offsets)
        )
        return [
            (features.values[start:stop].copy(), local[start:stop].copy())
            for start, stop in zip(features.offsets[:-1], features.offsets[1:], strict=True)
        ]

    def _assemble(self, structures, entries):
        if len(entries[0]) == 1:
            return np.stack([entry[0] for entry in entries])
        if self._descriptor is None:
            self._describe(structures[:1])
        values, local = (list(parts) for parts in zip(*entries, strict=True))
        offsets = np.concatenate([[0], np.cumsum([len(part) for part in local])])
        centers = np.concatenate(local) + np.repeat(structures.offsets[:-1], np.diff(offsets))
        return AtomicFeatures(
            np.concatenate(values), structures, centers, offsets, self._descriptor
        )

    @available_if(lambda self: hasattr(self.transformer, "get_feature_names_out"))
    def get_feature_names_out(self, input_features: None = None) -> np.ndarray:
        """Names of the features.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        ndarray of str objects
            Those of the transformer.
        """
        check_is_fitted(self)
        return self.transformer_.get_feature_names_out()

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self.transformer).input_tags
        tags.transformer_tags.preserves_dtype = []
        return tags


def check_cached(transformer, cache):
    """Check that the features of the transformer can be cached, and the type of the cache.

    Parameters
    ----------
    transformer : estimator
        Whose features shall be kept.
    cache : object
        Where.
    """
    if not isinstance(cache, FeatureCache):
        raise TypeError(f"cache is of type {type(cache).__name__}, but must be a "
                        "FeatureCache; one for all estimators: FeatureCache()")
    if not getattr(transformer, "_stateless_given_parameters", False):
        raise TypeError(
            f"the features of {type(transformer).__name__} may depend on the data it was "
            "fitted to, and cannot be cached; use a descriptor such as SOAPTransformer"
        )
    if kind_of(getattr(transformer, "centers", None)) == "indices":
        raise TypeError(
            "the transformer's centers are lists of indices for one set of structures, so "
            "features of a structure depend on its place; mark centers in a per-atom array "
            "(atoms.set_array) and pass its name"
        )


def _fingerprint(transformer):
    """Digest of what features depend on besides the structure, such as random weights."""
    params = transformer.get_params()
    for name in _IRRELEVANT:
        params.pop(name, None)
    fitted = {name: value for name, value in vars(transformer).items() if name.endswith("_")}
    kind = type(transformer)
    return joblib.hash((kind.__module__, kind.__qualname__, params, fitted))


def _digests(structures):
    """One digest per structure, of its complete content."""
    arrays = [structures.positions, structures.numbers, *structures.arrays.values()]
    arrays = [np.ascontiguousarray(array) for array in arrays]
    names = repr(sorted(structures.arrays)).encode()
    result = []
    for index in range(len(structures)):
        start, stop = structures.offsets[index], structures.offsets[index + 1]
        digest = hashlib.blake2b(names, digest_size=16)
        digest.update(structures.cells[index].tobytes())
        digest.update(structures.pbc[index].tobytes())
        for array in arrays:
            digest.update(array[start:stop])
        result.append(digest.digest())
    return result

"""Base class of descriptors of structures: a scikit-learn transformer."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.metaestimators import available_if

from ..utils.atomic import atomic
from ..utils.html import FittedCaption, listing
from ..utils.typing import Samples
from ._parameters import check_species, element_names


def is_pooled(transformer):
    """Whether the transformer returns one row per structure."""
    return transformer.pooling is not None


class TableIfPooled(TransformerMixin):
    """Mixin: `set_output` is offered only where the output columns have names."""

    @atomic
    def set_output(
        self, *, transform: Literal["default", "pandas", "polars"] | None = None
    ) -> Self:
        """Choose the container of pooled features; atomic features are not affected.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None
            As for every scikit-learn transformer.

        Returns
        -------
        self : estimator
            This transformer.
        """
        if hasattr(self, "get_feature_names_out"):
            super().set_output(transform=transform)
        return self


class StructureTransformer(FittedCaption, TableIfPooled, BaseEstimator):
    """Base class of descriptors with the parameters `species` and `pooling`.

    Subclasses have `_fit`, `transform` and `get_atomic_feature_names`.
    """

    _stateless_given_parameters = True  # a search may apply it once, before it splits the data

    @atomic
    def fit(self, X: Samples, y: Any = None) -> Self:
        """Learn the elements and build the tables.

        Parameters
        ----------
        X : sequence of ase.Atoms
            The structures.
        y : None
            Ignored.

        Returns
        -------
        self : estimator
            The fitted transformer.
        """
        self._fit(X)
        return self

    @available_if(is_pooled)
    def get_feature_names_out(self, input_features: None = None) -> np.ndarray:
        """Names of the pooled features.

        Without pooling, :meth:`get_atomic_feature_names` gives the same names; scikit-learn
        takes the output of whatever has this method for a plain array.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        ndarray of str objects
            One name per feature.
        """
        return self.get_atomic_feature_names()

    def _learn_species(self, structures):
        """Set `species_` from the parameter, or from the structures."""
        if self.species is None:
            self.species_ = np.unique(structures.numbers)
        else:
            self.species_ = check_species(self.species)
            self._check_species(structures)

    def _check_species(self, structures):
        if getattr(self, "handle_unknown", "error") == "ignore":
            return
        known = np.zeros(max(structures.numbers.max(), self.species_[-1]) + 1, dtype=bool)
        known[self.species_] = True
        if not known[structures.numbers].all():
            unknown = np.setdiff1d(structures.numbers, self.species_)
            remedy = ", or use handle_unknown='ignore'" if hasattr(self, "handle_unknown") else ""
            raise ValueError(
                f"X has the elements {element_names(unknown)}, which are not among species="
                f"{element_names(self.species_)}; fit on structures that have them, or name them "
                f"in species{remedy}"
            )

    def _caption(self):
        elements = listing(element_names(self.species_))
        return f"{elements}: {self.n_features_out_} features"

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        tags.transformer_tags.preserves_dtype = []
        return tags

"""Captions with results of a fit in scikit-learn's HTML diagrams."""

from __future__ import annotations

from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

# number of strings that are listed
_MOST = 6


class FittedCaption:
    """Mixin of estimators whose method ``_caption`` describes a fitted estimator."""

    def _sk_visual_block_(self):
        from ._sklearn_compat import visual_block

        try:
            check_is_fitted(self)
        except NotFittedError:
            return visual_block(self, None)
        return visual_block(self, self._caption())


def listing(parts):
    """Join the first few of a sequence of strings."""
    parts = list(parts)
    return ", ".join(parts[:_MOST]) + (f", ... ({len(parts)})" if len(parts) > _MOST else "")

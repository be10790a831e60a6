"""The one place that imports what scikit-learn does not promise to keep."""

from sklearn.model_selection._search import BaseSearchCV

__all__ = ["BaseSearchCV"]

"""Search of hyper-parameters; knows scikit-learn's estimators and no physics."""

from ._search import TwoStagePSOSearchCV

__all__ = ["TwoStagePSOSearchCV"]

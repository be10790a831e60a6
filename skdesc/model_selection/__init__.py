"""Searches for the hyper-parameters of pipelines."""

from ._comparison import TradeOffWarning
from ._search import TwoStagePSOSearchCV

__all__ = ["TradeOffWarning", "TwoStagePSOSearchCV"]

"""Search for the hyper-parameters of pipelines."""

from ._comparison import TradeOffWarning
from ._protocols import FoldSession, OffersFoldSession
from ._search import TwoStagePSOSearchCV

__all__ = ["FoldSession", "OffersFoldSession", "TradeOffWarning", "TwoStagePSOSearchCV"]

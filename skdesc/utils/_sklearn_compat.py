"""The one place that imports what scikit-learn does not promise to keep."""

from sklearn.model_selection._search import BaseSearchCV

try:
    from sklearn.utils._repr_html.estimator import _VisualBlock
except ImportError:  # before scikit-learn 1.7
    from sklearn.utils._estimator_html_repr import _VisualBlock

__all__ = ["BaseSearchCV", "visual_block"]


def visual_block(estimator, caption):
    """Box of an estimator in HTML diagrams.

    Parameters
    ----------
    estimator : estimator
        Without estimators inside.
    caption : str or None
        A line below the name.

    Returns
    -------
    object
        What scikit-learn expects of the method ``_sk_visual_block_``.
    """
    return _VisualBlock(
        "single", estimator, names=type(estimator).__name__, name_details=str(estimator),
        name_caption=caption,
    )  # fmt: skip

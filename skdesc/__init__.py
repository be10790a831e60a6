"""Atomistic machine learning inside scikit-learn.

The stages follow one another as the folders do::

    structures -> neighbors -> density -> invariants -> descriptors -> gaussian_process

``features`` holds what a descriptor hands to a regressor, ``model_selection`` tunes whole
pipelines and knows no physics. Public names are loaded on first use, so that importing the
package costs no more than importing what it stands on.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # for completion, and for checkers of types
    from .auto import AutoPotential as AutoPotential
    from .descriptors import CachedDescriptor as CachedDescriptor
    from .descriptors import FeatureCache as FeatureCache
    from .descriptors import SOAPTransformer as SOAPTransformer
    from .descriptors import TensorReducedTransformer as TensorReducedTransformer
    from .descriptors import TwoBodyTransformer as TwoBodyTransformer
    from .features import AtomicDescriptor as AtomicDescriptor
    from .features import AtomicFeatures as AtomicFeatures
    from .gaussian_process import GAPRegressor as GAPRegressor
    from .least_squares import Covariance as Covariance
    from .model_selection import TwoStagePSOSearchCV as TwoStagePSOSearchCV
    from .reading import read_structures as read_structures
    from .structures import Structures as Structures
    from .structures import as_column as as_column
    from .structures import check_structures as check_structures
    from .structures import extract_targets as extract_targets
    from .suggest import suggest_space as suggest_space
    from .utils.versions import show_versions as show_versions

__version__ = "0.1.0"

_PUBLIC = {
    "AtomicDescriptor": "skdesc.features",
    "AtomicFeatures": "skdesc.features",
    "AutoPotential": "skdesc.auto",
    "CachedDescriptor": "skdesc.descriptors",
    "Covariance": "skdesc.least_squares",
    "FeatureCache": "skdesc.descriptors",
    "GAPRegressor": "skdesc.gaussian_process",
    "SOAPTransformer": "skdesc.descriptors",
    "Structures": "skdesc.structures",
    "TwoBodyTransformer": "skdesc.descriptors",
    "TensorReducedTransformer": "skdesc.descriptors",
    "TwoStagePSOSearchCV": "skdesc.model_selection",
    "as_column": "skdesc.structures",
    "check_structures": "skdesc.structures",
    "extract_targets": "skdesc.structures",
    "read_structures": "skdesc.reading",
    "show_versions": "skdesc.utils.versions",
    "suggest_space": "skdesc.suggest",
}

__all__ = sorted(_PUBLIC)


if not TYPE_CHECKING:  # checkers would take any name for one of an object of any type

    def __getattr__(name):
        if name in _PUBLIC:
            return getattr(import_module(_PUBLIC[name]), name)
        raise AttributeError(f"module 'skdesc' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])

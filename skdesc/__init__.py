"""Atomistic machine learning inside scikit-learn.

The stages follow one another as the folders do::

    structures -> neighbors -> density -> invariants -> descriptors -> gaussian_process

``features`` holds what a descriptor hands to a regressor, ``model_selection`` tunes whole
pipelines and knows no physics. Public names are loaded on first use, so that importing the
package costs no more than importing what it stands on.
"""

from importlib import import_module

__version__ = "0.1.0"

_PUBLIC = {
    "AtomicDescriptor": "skdesc.features",
    "AtomicFeatures": "skdesc.features",
    "AutoPotential": "skdesc.auto",
    "CachedDescriptor": "skdesc.descriptors",
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
    "suggest_space": "skdesc.suggest",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name):
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'skdesc' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_PUBLIC])

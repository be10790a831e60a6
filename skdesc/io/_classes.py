"""Which classes a model file may name.

A file holds names of classes and their attributes, never code. Each name must be listed here: the
allowed classes of scikit-learn, the classes of this package that models consist of, and the
classes that the caller passes in ``trusted``. Nothing else is ever imported.
"""

from __future__ import annotations

import sys
from importlib import import_module

from sklearn.base import BaseEstimator

_SKLEARN = {
    "sklearn.compose": "ColumnTransformer TransformedTargetRegressor",
    "sklearn.decomposition": "FactorAnalysis FastICA IncrementalPCA KernelPCA NMF PCA TruncatedSVD",
    "sklearn.ensemble": "BaggingRegressor StackingRegressor VotingRegressor",
    "sklearn.feature_selection": "VarianceThreshold",
    "sklearn.gaussian_process": "GaussianProcessRegressor",
    "sklearn.gaussian_process.kernels":
        "CompoundKernel ConstantKernel DotProduct ExpSineSquared Exponentiation Hyperparameter "
        "Matern Product RBF RationalQuadratic Sum WhiteKernel",
    "sklearn.impute": "SimpleImputer",
    "sklearn.kernel_approximation": "Nystroem PolynomialCountSketch RBFSampler",
    "sklearn.kernel_ridge": "KernelRidge",
    "sklearn.linear_model":
        "ARDRegression BayesianRidge ElasticNet ElasticNetCV HuberRegressor Lars Lasso LassoCV "
        "LassoLars LinearRegression OrthogonalMatchingPursuit Ridge RidgeCV TheilSenRegressor",
    "sklearn.cross_decomposition": "PLSRegression",
    "sklearn.dummy": "DummyRegressor",
    "sklearn.pipeline": "FeatureUnion Pipeline",
    "sklearn.preprocessing":
        "FunctionTransformer KernelCenterer MaxAbsScaler MinMaxScaler Normalizer "
        "PolynomialFeatures PowerTransformer QuantileTransformer RobustScaler StandardScaler",
    "sklearn.random_projection": "GaussianRandomProjection",
    "sklearn.svm": "LinearSVR NuSVR SVR",
    "sklearn.utils": "Bunch",
    "sklearn.utils._metadata_requests": "MetadataRequest MethodMetadataRequest",
}

# parts of fitted models of this package
_PACKAGES = (
    "skdesc.descriptors.", "skdesc.gaussian_process.", "skdesc.invariants._descriptor.",
)

# New names of classes that older versions saved under another name. When a class that files can
# hold is moved or renamed, add a line from the old full name to the new one; never remove a line.
MOVED = {
    "skdesc.descriptors._engine.SOAPEngine":
        "skdesc.invariants._descriptor.PowerSpectrumDescriptor",
    "skdesc.descriptors._tensor_reduced.TensorReducedEngine":
        "skdesc.invariants._descriptor.TensorReducedDescriptor",
    "skdesc.descriptors._two_body.TwoBodyTransformer":
        "skdesc.descriptors._two_body_transformer.TwoBodyTransformer",
    "skdesc.calculator.ZBLCalculator": "skdesc.repulsion.ZBLCalculator",
}

# rebuilt from constructor arguments, which are attributes of the same names
BY_ARGUMENTS = {
    "skdesc.repulsion.RepulsionCalculator": ("onsets",),
    "skdesc.repulsion.ZBLCalculator": ("scale",),
    "skdesc.descriptors._cached.FeatureCache": ("max_bytes",),
}

_TYPES = {
    "builtins": "bool float int object str",
    "numpy": "bool float32 float64 int8 int16 int32 int64 intp longlong uint8 uint16 uint32 "
             "uint64 ulonglong complex64 complex128",
}


class Classes:
    """Mapping between allowed classes and their names in a file.

    Parameters
    ----------
    trusted : sequence of type
        Further classes that are allowed, such as the caller's own.
    """

    def __init__(self, trusted):
        self._trusted = {}
        for cls in trusted:
            if not isinstance(cls, type):
                raise TypeError(f"trusted holds {cls!r}, but its entries must be classes")
            self._trusted[f"{cls.__module__}.{cls.__qualname__}"] = cls

    def name(self, cls):
        """Name of a class in a file; None if it is not allowed."""
        full = f"{cls.__module__}.{cls.__qualname__}"
        if full in self._trusted:
            return full if self._trusted[full] is cls else None
        if (_is_own(cls.__module__ + ".") and _is_saved(cls)) or full in BY_ARGUMENTS:
            return full
        for module, names in _SKLEARN.items():
            # an existing object cannot be of a class whose module has not been imported
            found = getattr(sys.modules.get(module), cls.__name__, None)
            if found is cls and cls.__name__ in names.split():
                return f"{module}.{cls.__name__}"
        return None

    def find(self, name):
        """Class of a name in a file; None if it is not allowed."""
        if name in self._trusted:
            return self._trusted[name]
        name = MOVED.get(name, name)
        module, _, attribute = name.rpartition(".")
        if attribute in _SKLEARN.get(module, "").split():
            return getattr(import_module(module), attribute, None)
        if not _is_own(module + ".") and name not in BY_ARGUMENTS:
            return None
        try:
            found = getattr(import_module(module), attribute, None)
        except ImportError:
            return None
        # only classes defined in the module, not those it imports
        own = isinstance(found, type) and found.__module__ == module
        return found if own and (name in BY_ARGUMENTS or _is_saved(found)) else None


def type_name(cls):
    """Name of a plain type that may be a parameter; None if it is not allowed."""
    for module, names in _TYPES.items():
        for name in names.split():
            if getattr(sys.modules[module], name) is cls:
                return f"{module}.{name}"
    return None


def find_type(name):
    """Plain type of a name; None if it is not allowed."""
    module, _, attribute = name.rpartition(".")
    if attribute in _TYPES.get(module, "").split():
        return getattr(sys.modules[module], attribute)
    return None


def has_own_reduce(cls):
    """Whether objects of a class are rebuilt by calling it with its stored arguments."""
    return cls.__reduce__ is not object.__reduce__


def _is_saved(cls):
    """Whether a class of this package is an estimator or is marked as a part of a model."""
    return issubclass(cls, BaseEstimator) or getattr(cls, "_saved_with_estimator", False)


def _is_own(module):
    return module.startswith(_PACKAGES) and all(
        part.isidentifier() for part in module.split(".")[:-1]
    )

"""A transformer of Atoms in the clothes of one of arrays, for all of scikit-learn's checks."""

import numpy as np
from ase import Atoms
from sklearn.utils.validation import check_is_fitted, validate_data


def rows_to_atoms(X):
    """A chain of hydrogen per row, whose kinks are its numbers."""
    frames = []
    for row in X:
        angles = np.concatenate([[0.0], row])
        steps = np.column_stack([np.cos(angles), np.sin(angles), np.zeros(len(angles))])
        positions = 0.3 * steps
        positions[:, 2] = 1.2 * np.arange(len(angles))
        frames.append(Atoms(f"H{len(angles)}", positions=positions))
    return frames


def adapted(transformer):
    """Adapt a transformer with ``pooling`` to arrays.

    Parameters
    ----------
    transformer : estimator
        Its parameters are the defaults of the adapter.

    Returns
    -------
    estimator
        Of a new class, a subclass of the transformer's.
    """
    base, defaults = type(transformer), transformer.get_params()

    class Adapter(base):
        def fit(self, X, y=None):
            X = validate_data(self, X, dtype=np.float64)
            return super().fit(rows_to_atoms(X), y)

        def transform(self, X):
            check_is_fitted(self)
            X = validate_data(self, X, dtype=np.float64, reset=False)
            return super().transform(rows_to_atoms(X))

        def __sklearn_tags__(self):
            tags = super().__sklearn_tags__()
            tags.input_tags.two_d_array, tags.input_tags.one_d_array = True, False
            return tags

    signature = ", ".join(f"{name}=defaults[{name!r}]" for name in defaults)
    body = "; ".join(f"self.{name} = {name}" for name in defaults)
    scope = {"defaults": defaults}
    exec(f"def __init__(self, *, {signature}): {body}", scope)
    Adapter.__init__ = scope["__init__"]
    Adapter.__name__ = Adapter.__qualname__ = f"{base.__name__}OfArrays"
    globals()[Adapter.__name__] = Adapter  # where pickle looks for it
    return Adapter()

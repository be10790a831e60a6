"""Models in files that hold data only."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import sklearn

from .. import __version__
from ..utils.typing import PathName
from ._classes import Classes
from ._container import read_container, write_container
from ._decode import Decoder
from ._encode import Encoder


def save(model: Any, path: PathName, *, trusted: Sequence[type] = ()) -> None:
    """Save a fitted model to a file that holds data only, no code and no pickle.

    A file that exists is replaced at once when all is written: whatever happens before, it
    stays as it is.

    Parameters
    ----------
    model : estimator
        An estimator of this package, a pipeline or a union of such and of scikit-learn's usual
        companions (scalers, decompositions, linear and kernel models). Of a search, save
        ``best_estimator_``.
    path : str or path-like
        The file; the ending ``.skd`` is usual.
    trusted : sequence of type, default=()
        Further classes that the model may consist of, your own transformers for example.
        :func:`load` has to be given them again.

    Raises
    ------
    TypeError
        If a part of the model is not data, such as a function, or of a class that is not
        known. The message says where it is.

    See Also
    --------
    load : The way back.
    write_quip_xml : Potentials for other programs.

    Notes
    -----
    The file is a zip archive of a description in JSON and of arrays in NumPy's format, with a
    checksum. The loaded model gives bit-identical predictions and can be fitted further by
    ``partial_fit``.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from ase.build import molecule
    >>> from skdesc import SOAPTransformer
    >>> from skdesc.io import load, save
    >>> soap = SOAPTransformer(n_max=3, l_max=2).fit([molecule("H2O")])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(soap, Path(folder, "soap.skd"))
    ...     again = load(Path(folder, "soap.skd"))
    >>> again.transform([molecule("H2O")])
    AtomicFeatures(1 structures, 3 centers, 63 features)
    """
    if isinstance(model, type):
        raise TypeError(f"model is the class {model.__name__}, but must be a fitted instance")
    encoder = Encoder(Classes(trusted))
    root = encoder.encode(model, "model")
    if not isinstance(root, list) or root[0] != "object" or not hasattr(model, "fit"):
        raise TypeError(f"model is of type {type(model).__name__}, but must be an estimator")
    versions = {"skdesc": __version__, "scikit-learn": sklearn.__version__,
                "numpy": np.__version__}
    content = {"root": root, "objects": encoder.objects}
    write_container(path, content, encoder.arrays, versions)


def load(path: PathName, *, trusted: Sequence[type] = ()) -> Any:
    """Load a model that :func:`~skdesc.io.save` has written.

    Nothing in the file is executed, and only classes that models may consist of are imported.
    The checksum detects damage. It does not tell who made the model: load models from sources
    that you trust.

    Parameters
    ----------
    path : str or path-like
        The file.
    trusted : sequence of type, default=()
        Further classes that the model may consist of, as in :func:`~skdesc.io.save`.

    Returns
    -------
    estimator
        The fitted model.

    Raises
    ------
    ValueError
        If the file is damaged, was saved by a newer version, is of another kind (a pickle for
        example), or names classes that are not allowed.

    See Also
    --------
    save : Write such a file.
    """
    classes = Classes(trusted)
    content, arrays, versions = read_container(path)
    try:
        # a number that overflows is no warning here
        with np.errstate(over="raise", divide="raise", invalid="raise"):
            decoder = Decoder(classes, content["objects"], arrays)
            model = decoder.decode(content["root"])
        if isinstance(model, (partial, type)) or not hasattr(model, "fit"):
            raise ValueError("it holds no estimator")
        return model
    except Exception as error:  # constructors raise errors of several types for invalid arguments
        raise ValueError(
            f"{path} cannot be turned into a model: {error} (it was saved by skdesc "
            f"{versions.get('skdesc')} with scikit-learn {versions.get('scikit-learn')}, this is "
            f"skdesc {__version__} with scikit-learn {sklearn.__version__})"
        ) from error

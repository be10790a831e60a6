"""What a transformer returns: slices, names of features, data frames."""

from __future__ import annotations

import numpy as np
import sklearn
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline

from ..utils._sklearn_compat import safe_indexing
from ._tools import blocks, containers, is_pooled, require, require_same, scale_of


def check_length(transformer, structures):
    """One entry per structure, all of the same width, finite."""
    output = transformer.fit_transform(structures)
    require(len(structures) == getattr(output, "shape", [len(output)])[0],
            "the output has not one entry per structure")
    parts = blocks(output)
    require(len({part.shape[1] for part in parts}) == 1, "structures differ in their features")
    require(all(np.isfinite(part).all() for part in parts), "there are features that aren't finite")


def check_batches(transformer, structures):
    """Features of a structure do not depend on what else is transformed, or on the order."""
    output = transformer.fit(structures).transform(structures)
    tolerance = {"rtol": 1e-10, "atol": 1e-12 * scale_of(output)}
    single = [blocks(transformer.transform([atoms]))[0] for atoms in structures]
    require_same(single, output, "a structure alone has other features", **tolerance)
    backwards = transformer.transform(structures[::-1])
    require_same(blocks(backwards)[::-1], output, "the order changes features", **tolerance)


def check_slices(transformer, structures):
    """scikit-learn's indexing of the output is that of the input."""
    output = transformer.fit(structures).transform(structures)
    indices = np.array([3, 0, 2])
    expected = [blocks(output)[index] for index in indices]
    mask = np.zeros(len(structures), dtype=bool)
    mask[:2] = True
    require_same(safe_indexing(output, indices), expected, "an index array of the output differs")
    require_same(safe_indexing(output, indices.tolist()), expected, "a list of indices differs")
    require_same(safe_indexing(output, mask), blocks(output)[:2], "a mask of the output differs")
    require_same(safe_indexing(output, slice(1, 3)), blocks(output)[1:3], "a slice differs")


def check_feature_names(transformer, structures):
    """As many as there are features, and all different."""
    output = transformer.fit_transform(structures)
    if not hasattr(transformer, "get_feature_names_out"):
        require(not is_pooled(output), "there is no get_feature_names_out")
        return
    names = transformer.get_feature_names_out()
    require(isinstance(names, np.ndarray) and names.dtype == object,
            "names of features are no array of objects")
    require(all(isinstance(name, str) for name in names), "a name of a feature is no string")
    require(len(names) == blocks(output)[0].shape[1],
            f"there are {len(names)} names of {blocks(output)[0].shape[1]} features")
    require(len(set(names)) == len(names), "two features have the same name")


def check_set_output(transformer, structures):
    """Data frames by pandas and polars: names, index, and values."""
    plain = transformer.fit_transform(structures)
    for library in ("pandas", "polars"):
        try:
            __import__(library)
        except ImportError:
            continue
        pipeline = make_pipeline(transformer).set_output(transform=library)
        tables = {name: pipeline.fit_transform(X) for name, X in containers(structures).items()}
        with sklearn.config_context(transform_output=library):
            fresh = make_pipeline(sklearn.base.clone(transformer))
            tables["config_context"] = fresh.fit_transform(structures)
        for name, table in tables.items():
            require_same(table, plain, f"{library} changes features of {name}")
            if is_pooled(plain):
                require(type(table).__module__.startswith(library),
                        f"set_output({library!r}) gives {type(table).__name__} for {name}")
                require(list(table.columns) == list(transformer.get_feature_names_out()),
                        "the columns are not the names of the features")
        if library == "pandas" and is_pooled(plain):
            index = containers(structures)["DataFrame"].index
            require(tables["DataFrame"].index.equals(index), "the index of a DataFrame is lost")
        pipeline.set_output(transform="default")


def check_cross_validation(transformer, structures):
    """In front of a linear model, where there is one row per structure."""
    if not is_pooled(transformer.fit_transform(structures)):
        return
    y = np.array([len(atoms) for atoms in structures], dtype=float)
    pipeline = make_pipeline(transformer.fit(structures), Ridge())
    numbers = np.unique(np.concatenate([atoms.numbers for atoms in structures])).tolist()
    for name in transformer.get_params():
        if name.rpartition("__")[2] == "species":  # a fold may lack one
            pipeline[0].set_params(**{name: numbers})
    results = [
        cross_val_predict(pipeline, X, y, cv=KFold(2)) for X in containers(structures).values()
    ]
    for other in results[1:]:
        np.testing.assert_allclose(other, results[0], rtol=1e-8, atol=1e-8)

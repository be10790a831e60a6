"""The transformers of Atoms that the package has, found by their names."""

import skdesc

# small enough for hundreds of checks
SMALL = {"cutoff": 3.0, "n_max": 3, "l_max": 2, "n_channels": 8}


def transformers():
    """Every public transformer, for atoms and pooled, with parameters that make it fast.

    Returns
    -------
    list of estimator
        Not fitted.
    """
    result = []
    for name in skdesc.__all__:
        if not name.endswith("Transformer"):
            continue
        transformer = getattr(skdesc, name)()
        known = transformer.get_params()
        transformer.set_params(**{key: value for key, value in SMALL.items() if key in known})
        if "random_state" in known:
            transformer.set_params(random_state=0)
        result.append(transformer)
        if "pooling" in known:
            pooled = type(transformer)(**transformer.get_params())
            result.append(pooled.set_params(pooling="mean"))
    return result

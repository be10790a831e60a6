"""Parameters of the mixing of elements and radial functions."""

from numbers import Integral

import numpy as np

from ..mixing import _random_weights

MAX_ORDER = 4
_AXES = ("species", "radial")


def check_mixing(transformer):
    """Check the parameters that only :class:`TensorReducedTransformer` has.

    Parameters
    ----------
    transformer : TensorReducedTransformer
        Fitted or not.

    Returns
    -------
    dict
        The checked parameters, without weights.

    Raises
    ------
    ValueError
        If one has no valid value.
    """
    for name, low, high in (("n_channels", 1, 2**20), ("correlation_order", 1, MAX_ORDER)):
        value = getattr(transformer, name)
        if not (isinstance(value, Integral) and not isinstance(value, bool)
                and low <= value <= high):
            raise ValueError(f"{name} must be an integer from {low} to {high}, got {value!r}")
    scheme, per_l = transformer.scheme, transformer.weights_per_l
    if not isinstance(scheme, str) or scheme not in ("sketch", "decomposition"):
        raise ValueError(f"scheme must be one of ['sketch', 'decomposition'], got {scheme!r}")
    if not isinstance(per_l, (bool, np.bool_)):
        raise ValueError(f"weights_per_l must be True or False, got {per_l!r}")
    reduce = check_reduce(transformer.reduce)
    check_weights(transformer.weights, reduce, transformer.handle_unknown)
    return {
        "n_channels": int(transformer.n_channels), "scheme": scheme,
        "orders": check_orders(transformer.orders, int(transformer.correlation_order)),
        "reduce": reduce, "weights_per_l": bool(per_l),
    }


def check_orders(orders, highest):
    """Check the orders of the products.

    Parameters
    ----------
    orders : sequence of int or None
        As given by the user.
    highest : int
        The correlation order.

    Returns
    -------
    tuple of int
        Ascending; by default all from 2 on.

    Raises
    ------
    ValueError
        If they are not integers from 1 to the highest, each once, which is among them.
    """
    if orders is None:
        return tuple(range(min(2, highest), highest + 1))
    rule = f"must be a sequence of integers from 1 to correlation_order={highest}, each once"
    try:
        checked = tuple(sorted(int(order) for order in orders if order == int(order)))
    except (TypeError, ValueError) as error:
        raise ValueError(f"orders {rule}, got {orders!r}") from error
    if not checked or len(checked) < len(list(orders)) or len(set(checked)) < len(checked) \
            or checked[0] < 1 or checked[-1] != highest:
        raise ValueError(f"orders {rule} and with it among them, got {orders!r}")
    return checked


def check_reduce(reduce):
    """Check what is mixed.

    Parameters
    ----------
    reduce : str or sequence of str
        As given by the user.

    Returns
    -------
    tuple of str
        "species", "radial" or both.

    Raises
    ------
    ValueError
        If it holds anything else, or one of them twice.
    """
    given = [reduce] if isinstance(reduce, str) else reduce
    try:
        given = list(given)
    except TypeError:
        given = []
    if not given or any(name not in _AXES for name in given) or len(set(given)) < len(given):
        raise ValueError(f"reduce must hold 'species', 'radial' or both, each once, got {reduce!r}")
    return tuple(name for name in _AXES if name in given)


def check_weights(weights, reduce, handle_unknown):
    """Check that the weights are compatible with `reduce` and `handle_unknown`.

    Parameters
    ----------
    weights : str or array-like
        As given by the user; arrays are checked elsewhere.
    reduce : tuple of str
        What is mixed.
    handle_unknown : str
        As given by the user.

    Raises
    ------
    ValueError
        If there are no such weights.
    """
    drawn = isinstance(weights, str) and weights != "learned"
    if isinstance(weights, str):
        if weights not in _random_weights.KINDS:
            raise ValueError(
                f"weights must be one of {list(_random_weights.KINDS)} or an array, got {weights!r}"
            )
        if weights == "orthogonal" and "radial" not in reduce:
            raise ValueError(
                "weights='orthogonal' makes the weights of an element's radial functions "
                f"orthogonal, but reduce={reduce!r} does not mix them; use 'normal' or "
                "'rademacher'"
            )
        if weights == "learned" and len(reduce) < 2:
            raise ValueError(
                f"weights='learned' needs reduce=('species', 'radial'), got reduce={reduce!r}"
            )
    if handle_unknown == "draw" and not drawn:
        raise ValueError(
            "handle_unknown='draw' needs weights that can be drawn, such as weights='normal', got "
            f"weights={weights!r}"
        )
    if handle_unknown == "draw" and "species" not in reduce:
        raise ValueError(
            "handle_unknown='draw' needs 'species' in reduce: without mixing, another element "
            f"means more features; got reduce={reduce!r}"
        )

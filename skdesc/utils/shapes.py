"""Shape checks of arrays before they are passed to compiled code."""


def check_shape(name, array, shape):
    """Refuse an array whose shape differs from what compiled code expects.

    Parameters
    ----------
    name : str
        Name of the array.
    array : ndarray
        The array.
    shape : tuple of int
        Required shape.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if array.shape != shape:
        raise ValueError(f"{name} has the shape {array.shape}, but must have the shape {shape}, "
                         "that of the descriptor; pass features and the descriptor that made them")


def check_offsets(name, offsets, n_owners, n_rows):
    """Refuse offsets that do not divide rows into one run per owner.

    Parameters
    ----------
    name : str
        Name of the offsets.
    offsets : ndarray of int
        First row of each owner, and the total number of rows.
    n_owners, n_rows : int
        Numbers of owners and of rows.

    Raises
    ------
    ValueError
        If the offsets are not ascending from 0 to `n_rows` in `n_owners` steps.
    """
    good = offsets.shape == (n_owners + 1,) and offsets[0] == 0 and offsets[-1] == n_rows
    if not (good and (offsets[1:] >= offsets[:-1]).all()):
        raise ValueError(f"{name} is {offsets!s:.200}, but must ascend from 0 to {n_rows} in "
                         f"{n_owners} steps; pass the offsets of the same structures")


def check_indices(name, index, size):
    """Refuse indices outside of the array that compiled code reads.

    Parameters
    ----------
    name : str
        Name of the indices.
    index : ndarray of int
        The indices.
    size : int
        Length of the array.

    Raises
    ------
    ValueError
        If an index is out of range.
    """
    if index.size and not (index.min() >= 0 and index.max() < size):
        bad = index[(index < 0) | (index >= size)][0]
        raise ValueError(f"{name} has {bad}, but must have indices from 0 to {size - 1}; pass "
                         "those of the same structures")

"""Folds become index arrays once, whatever they were given as."""

import numpy as np
import pandas as pd
import pytest

from skdesc.utils.folds import can_share_a_pass, check_folds, split_blocks

MASK = np.array([True, False, True, True, False])


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (MASK, [0, 2, 3]),
        (MASK.tolist(), [0, 2, 3]),
        (pd.Series(MASK), [0, 2, 3]),
        (np.array([-1, 0]), [4, 0]),
        ([3, 1], [3, 1]),
        ((3, 1), [3, 1]),
        (range(1, 4), [1, 2, 3]),
        (np.array([2, 2, 0], dtype=np.uint8), [2, 2, 0]),
        ([], []),
        (np.array([], dtype=int), []),
        (np.zeros(5, dtype=bool), []),
    ],
)
def test_parts_select_what_scikit_learn_selects(part, expected):
    for fold in ((part, [0]), ([0], part)):
        ((train, test),) = check_folds([fold], 5)
        given = train if fold[0] is part else test
        assert given.tolist() == expected
        assert given.dtype == np.intp


def test_generators_and_arrays_of_folds():
    assert len(check_folds((([0], [1]) for _ in range(3)), 2)) == 3
    ((train, test),) = check_folds(np.array([[[0, 1], [2, 3]]]), 4)
    assert (train.tolist(), test.tolist()) == ([0, 1], [2, 3])


@pytest.mark.parametrize(
    ("fold", "error", "match"),
    [
        (([0], [5]), IndexError, "out of bounds for axis 0 with size 5"),
        (([-6], [0]), IndexError, "out of bounds"),
        ((MASK[:4], [0]), IndexError, "boolean index did not match"),
        (([0.0, 1.0], [2]), ValueError, "No valid specification"),
        ((["a"], [2]), ValueError, "String indexing"),
        (([0], 1), ValueError, "part of fold 0, but it must be one-dimensional"),
        (([0], None), ValueError, "part of fold 0, but it must be one-dimensional"),
        (([[0, 1]], [2]), ValueError, "part of fold 0, but it must be one-dimensional"),
        (([0], [1], [2]), ValueError, "as fold 0, but it must be a pair"),
        (5, ValueError, "as fold 0, but it must be a pair"),
        ("ab", ValueError, "as fold 0, but it must be a pair"),
    ],
)
def test_what_is_no_fold_is_refused(fold, error, match):
    with pytest.raises(error, match=match):
        check_folds([fold], 5)


def test_what_one_pass_can_represent():
    for split, able in [
        (([0, 1], [2]), True),
        (([0, 1], [1, 2]), True),
        (([0, 0], [1]), False),
        (([0], [1, 1]), False),
        (([], [1]), False),
        (([0], []), False),
    ]:
        assert can_share_a_pass(check_folds([split], 3)) is able


def test_blocks():
    blocks = split_blocks([np.array([0, 1]), np.array([1, 2])], 4)
    assert sorted(block.tolist() for block in blocks) == [[0], [1], [2]]

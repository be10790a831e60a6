"""Triangles of rows that come in pieces."""

import pickle

import numpy as np
import pytest

from skdesc.least_squares import Triangle, stack


@pytest.fixture
def rows():
    return np.random.RandomState(0).normal(size=(1300, 40))


def gram_error(R, rows):
    assert np.array_equal(R, np.triu(R))
    return np.abs(R.T @ R - rows.T @ rows).max() / np.abs(rows.T @ rows).max()


@pytest.mark.parametrize("n_last", [1, 4])
@pytest.mark.parametrize("batch", [1, 37, 600, 1300])
def test_any_batch_size_gives_the_same_triangle(rows, batch, n_last):
    triangle = Triangle(rows.shape[1])
    scale = np.linspace(0.5, 2.0, len(rows))
    for start in range(0, len(rows), batch):
        part = slice(start, start + batch)
        triangle.fold(rows[part, :-n_last], rows[part, -n_last:], scale[part])
    assert triangle.n_rows == len(rows)
    assert gram_error(triangle.R, rows * scale[:, None]) < 1e-14


def test_the_same_rows_give_the_same_digits(rows):
    """In whatever portions they come, and whether or not one has looked in between."""
    results = []
    for batch in (1300, 7, 512, 700):
        triangle = Triangle(rows.shape[1])
        for start in range(0, len(rows), batch):
            part = rows[start : start + batch]
            triangle.fold(part[:, :-1], part[:, -1:], np.ones(len(part)))
            assert triangle.R.shape == (40, 40)
        results.append(triangle.R)
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])


def test_fewer_rows_than_columns(rows):
    triangle = Triangle(rows.shape[1])
    triangle.fold(rows[:5, :-1], rows[:5, -1:], np.ones(5))
    assert gram_error(triangle.R, rows[:5]) < 1e-14


def test_rows_are_not_changed(rows):
    before = rows.copy()
    Triangle(rows.shape[1]).fold(rows[:, :-1], rows[:, -1:], np.ones(len(rows)))
    np.testing.assert_array_equal(rows, before)


def test_some_rows(rows):
    triangle, index = Triangle(rows.shape[1]), np.arange(1, 1300, 2)
    triangle.fold(rows[:, :-1], rows[:, -1:], np.ones(len(rows)), index)
    assert triangle.n_rows == 650
    assert gram_error(triangle.R, rows[index]) < 1e-14


def test_stacking(rows):
    triangles = [np.linalg.qr(part, mode="r") for part in np.split(rows, [400, 900])]
    stacked = stack(np.asfortranarray(R) for R in triangles)
    assert gram_error(stacked, rows) < 1e-14


def test_ill_conditioned_rows_keep_their_digits():
    """The normal equations would lose the small directions; the triangle must not."""
    rng = np.random.RandomState(1)
    columns = np.logspace(0, -11, 12)
    rows = np.linalg.qr(rng.normal(size=(200, 12)))[0] * columns
    target = rows @ np.ones(12)
    triangle = Triangle(13)
    for start in range(0, 200, 7):
        part = slice(start, start + 7)
        triangle.fold(rows[part], target[part, None], np.ones(len(rows[part])))
    solution = np.linalg.solve(triangle.R[:12, :12], triangle.R[:12, 12])
    np.testing.assert_allclose(solution, 1.0, rtol=1e-4)


@pytest.mark.parametrize("cut", [1, 512, 700])
def test_merging(rows, cut):
    """Whatever is waiting on either side; what is merged in stays as it is."""
    first, second = Triangle(40), Triangle(40)
    first.fold(rows[:cut, :-1], rows[:cut, -1:], np.ones(cut))
    second.fold(rows[cut:, :-1], rows[cut:, -1:], np.ones(len(rows) - cut))
    before = second.R.copy()
    first.merge(second)
    assert first.n_rows == len(rows)
    assert gram_error(first.R, rows) < 1e-14
    np.testing.assert_array_equal(second.R, before)
    first.fold(rows[:9, :-1], rows[:9, -1:], np.ones(9))
    assert gram_error(first.R, np.concatenate([rows, rows[:9]])) < 1e-14


@pytest.mark.parametrize("count", [0, 3, 512, 1300])
def test_a_pickled_triangle_goes_on_as_before(rows, count):
    triangle = Triangle(40)
    triangle.fold(rows[:count, :-1], rows[:count, -1:], np.ones(count))
    data = pickle.dumps(triangle)
    assert len(data) < 8 * (41 * 20 + 40 * (count % 512)) + 1000
    again = pickle.loads(data)
    for one in (triangle, again):
        one.fold(rows[:700, :-1], rows[:700, -1:], np.ones(700))
    np.testing.assert_array_equal(again.R, triangle.R)
    assert again.n_rows == triangle.n_rows

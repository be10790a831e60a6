"""Memory that nobody refers to any more is used again, and never what somebody still holds."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from ase.build import bulk, molecule

from skdesc import SOAPTransformer, TensorReducedTransformer
from skdesc.utils.memory import LINE, SMALLEST_SPARE, SPARE, SpareMemory, aligned, available_memory


def address(array):
    return array.__array_interface__["data"][0]


@pytest.mark.parametrize("shape", [(3, 5), (0, 7), (1000,)])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_arrays_begin_at_a_cache_line(shape, dtype):
    array = aligned(shape, dtype, np.zeros)
    assert array.shape == shape
    assert array.dtype == dtype
    assert address(array) % LINE == 0 or not array.size
    assert not array.any()


def test_memory_of_a_lost_array_is_used_again():
    spare, shape = SpareMemory(2**28), (SMALLEST_SPARE // 8, 2)
    first, cleared = spare.take(shape)
    assert cleared
    assert not first.any()
    first[:] = 1.0
    where = address(first)
    view = first[3:, 1]
    del first  # a view is left
    second, cleared = spare.take(shape)
    assert cleared
    assert address(second) != where
    assert view.all()
    del view
    third, cleared = spare.take((SMALLEST_SPARE // 8, 3), "float32")
    assert not cleared
    assert address(third) == where


def test_only_blocks_of_about_the_size_are_used():
    spare = SpareMemory(8 * SMALLEST_SPARE)
    array, _ = spare.take((4 * SMALLEST_SPARE // 8,))
    del array
    assert spare.take((SMALLEST_SPARE // 8,))[1]  # more than twice as large
    assert spare.take((8 * SMALLEST_SPARE // 8,))[1]  # too small


def test_no_more_is_kept_than_the_budget():
    spare = SpareMemory(4 * SMALLEST_SPARE)
    sizes = (1, 2, 2)  # the first is given back first
    arrays = [spare.take((size * SMALLEST_SPARE,), np.uint8)[0] for size in sizes]
    for _ in sizes:
        del arrays[0]
    arrays = [spare.take((2 * SMALLEST_SPARE,), np.uint8) for _ in sizes]
    assert [cleared for _, cleared in arrays] == [False, False, True]
    array, cleared = spare.take((5 * SMALLEST_SPARE,), np.uint8)
    assert cleared
    del array
    assert spare.take((4 * SMALLEST_SPARE,), np.uint8)[1]
    assert SPARE.budget <= available_memory() / 10


@pytest.mark.parametrize("transformer", [
    SOAPTransformer(), SOAPTransformer(compression="mu1nu1"), SOAPTransformer(dtype="float32"),
    TensorReducedTransformer(n_channels=32, random_state=0),
], ids=["full", "mu1nu1", "float32", "tensor-reduced"])
def test_what_was_there_before_does_not_matter(transformer):
    frames = [molecule(name) for name in ("CH4", "NH3", "CH3OH", "H2O")] * 60
    transformer.fit(frames)
    expected = transformer.transform(frames)
    shape = expected.values.shape
    dirty, _ = SPARE.take(shape, transformer.dtype)
    where = address(dirty)
    dirty[:] = np.nan
    del dirty
    again = transformer.transform(frames)
    assert address(again.values) == where
    np.testing.assert_array_equal(again.values, expected.values)


def test_threads_never_share_it():
    soap = SOAPTransformer(n_jobs=1)
    frames = [bulk("Si", cubic=True).repeat(3), bulk("Ge", cubic=True).repeat(3)]
    soap.fit(frames)
    expected = [soap.transform([atoms]).values.copy() for atoms in frames]

    def check(index):
        features = soap.transform([frames[index % 2]])
        return np.array_equal(features.values, expected[index % 2])

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(check, range(100)))


def test_it_is_not_sent_along():
    soap = SOAPTransformer().fit([bulk("Si")])
    before = len(pickle.dumps(soap))
    soap.transform([bulk("Si").repeat(8)])
    assert len(pickle.dumps(soap)) == before

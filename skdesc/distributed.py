"""Fits to data sets too large for one machine, partition by partition, with dask.

All that a Gaussian process with given sparse points needs to know of its data are triangles,
one per kind of target, whose size does not depend on the number of structures. Each partition
is turned into triangles where it lies, as the threads of a local fit do with parts of the data;
triangles are merged in pairs, by QR decomposition of one on top of the other, until one is left::

    partitions   count, elements -> choice of a sample       (a few numbers per partition)
        | sample of structures                                (bounded by n_sample)
    template     fitted descriptor, sparse points, Cholesky factors
        | partition -> features -> rows -> triangles          (next to the data)
    tree         merge(merge(1, 2), merge(3, 4)) ...
        | one set of triangles
    weights      solved for where `fit` was called

Every step is a task without side effects, so that a scheduler can repeat what a lost worker has
done. Needs ``dask``, which is imported when called.
"""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any

import numpy as np
from ase import Atoms
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state

from . import __version__
from .gaussian_process import GAPRegressor
from .gaussian_process._accumulation import Accumulator
from .gaussian_process._checks import check_parameters
from .gaussian_process._inputs import check_environments
from .model_selection._evaluation import count_stateless_steps
from .structures import Structures, as_column, check_structures, extract_targets
from .utils.blas import one_thread
from .utils.reduction import merge_in_pairs
from .utils.threads import within_a_thread
from .utils.typing import RandomState

__all__ = ["check_workers", "fit"]

METADATA = ("forces", "virials", "sigmas", "config_types")


def fit(
    pipeline: Any,
    partitions: Iterable[Any],
    *,
    n_sample: int = 2000,
    random_state: RandomState = None,
) -> Any:
    """Fit a pipeline of descriptors and `GAPRegressor` to a data set in partitions.

    The weights are those of ``pipeline.fit`` on all data at once, but for rounding, given the
    same sparse points. These are chosen from a random sample of the structures, or from all
    if there are no more than `n_sample`.

    Computing is left to dask: to the current :class:`distributed.Client` if there is one, or
    else to threads of this process.

    Parameters
    ----------
    pipeline : Pipeline
        Steps that are stateless given their parameters and the elements, as descriptors are,
        then a :class:`~skdesc.GAPRegressor`. It is fitted in place.
    partitions : dask.bag.Bag, or sequence
        A bag of labelled ``Atoms``; or partitions, as they are or as :class:`dask.delayed`
        objects that load them. A partition is a tuple ``(X, y)`` or ``(X, y, metadata)``,
        with structures, energies, and a dict of `forces`, `virials`, `sigmas`,
        `config_types`; or a list of labelled ``Atoms``, for
        :func:`~skdesc.extract_targets`. A partition is loaded up to three times; persist
        what is expensive to load.
    n_sample : int, default=2000
        Structures that sparse points are chosen from. One more per element makes sure that
        each element is among them.
    random_state : int, RandomState or None, default=None
        Seed of the sample.

    Returns
    -------
    Pipeline
        The pipeline itself, fitted. Its regressor has no ``loo_``, and its standard deviations
        are not calibrated.

    Raises
    ------
    ValueError
        If a step before the regressor would have to be fitted to all data, or a partition
        does not hold what it must; the message says which.
    RuntimeError
        If a worker lacks this package or has another version of it.

    Examples
    --------
    >>> from ase.build import molecule
    >>> from sklearn.pipeline import make_pipeline
    >>> from skdesc import GAPRegressor, SOAPTransformer, distributed
    >>> partitions = [([molecule("H2O")], [-14.0]), ([molecule("CH4")], [-24.0])]
    >>> pipeline = make_pipeline(SOAPTransformer(n_max=3, l_max=2), GAPRegressor())
    >>> distributed.fit(pipeline, partitions).predict([molecule("CH4")]).round(1)
    array([-24.])
    """
    dask = _import_dask()
    _check_pipeline(pipeline)
    if not (isinstance(n_sample, (int, np.integer)) and n_sample > 0):
        raise ValueError(f"n_sample is {n_sample!r}, but must be a positive integer")
    rng = check_random_state(random_state)
    parts = _as_delayed(partitions, dask)
    check_workers()
    with _scheduler(dask):
        leading, regressor, training, seen = _run(pipeline, parts, n_sample, rng, dask)
    training.observations, training.atom_energies, training.distances = seen
    regressor._solve(training)
    pipeline.steps = [*leading.steps, (pipeline.steps[-1][0], regressor)]
    return pipeline


def _run(pipeline, parts, n_sample, rng, dask):
    """Fit descriptors, choose sparse points, and merge the triangles of all partitions."""
    task = dask.delayed(pure=False)

    surveys = dask.compute(*[task(_survey)(part, index) for index, part in enumerate(parts)])
    chosen = _choose(surveys, n_sample, rng)
    samples = [task(_sample)(parts[index], rows) for index, rows in chosen.items()]
    # on its own, as partitions would else be kept in memory from one step to the next
    template = _persist(task(_start)(clone(pipeline), samples), dask)
    level = [
        task(_see)(template, part, index)
        for index, part in enumerate(parts) if surveys[index][0]
    ]
    everything = merge_in_pairs(level, task(_merge))
    (leading, regressor, training), seen = dask.compute(template, everything)
    return leading, regressor, training, seen


def check_workers(client: Any = None) -> dict[str, Any]:
    """Make sure that the scheduler and all workers of a cluster can import this package.

    Parameters
    ----------
    client : distributed.Client, default=None
        The current one by default; nothing is checked if there is none.

    Raises
    ------
    RuntimeError
        If one cannot, or has another version than this process; the message names it.
    """
    client = client or _current_client()
    if client is None:
        return
    # a function of the standard library, as one of this package could not arrive there
    targets = ["skdesc:__version__", "skdesc.descriptors:SOAPTransformer.__name__"]
    for target in targets:
        found = client.run(pkgutil.resolve_name, target, on_error="return")
        for worker, result in found.items():
            if isinstance(result, BaseException):
                raise RuntimeError(
                    f"the worker {worker} cannot import skdesc ({type(result).__name__}: {result});"
                    f" install skdesc {__version__} in the environment that workers run in"
                ) from result
            if target == targets[0] and result != __version__:
                raise RuntimeError(
                    f"the worker {worker} has skdesc {result}, but this process has {__version__};"
                    " install the same version everywhere"
                )


def _import_dask():
    try:
        import dask
    except ImportError as error:
        raise ImportError(
            "skdesc.distributed needs dask; install it with pip install 'skdesc[integration]'"
        ) from error
    return dask


def _current_client():
    if "distributed" not in sys.modules:
        return None
    from distributed import default_client

    try:
        return default_client()
    except ValueError:
        return None


def _scheduler(dask):
    """Scheduler: synchronous, unless there is a cluster or the user has chosen one.

    Once several threads of a process have called OpenBLAS at the same time, its number of
    threads can no longer be limited, and every later fit in that process is far slower.
    """
    if _current_client() is None and dask.config.get("scheduler", None) is None:
        return dask.config.set(scheduler="synchronous")
    return nullcontext()


def _persist(result, dask):
    (result,) = dask.persist(result)
    if _current_client() is not None:
        from distributed import wait

        wait(result)
    return result


def _check_pipeline(pipeline):
    if not (isinstance(pipeline, Pipeline) and isinstance(pipeline[-1], GAPRegressor)):
        raise TypeError(
            f"pipeline is of type {type(pipeline).__name__}, but must be a Pipeline that ends in a "
            "GAPRegressor: make_pipeline(SOAPTransformer(), GAPRegressor())"
        )
    check_parameters(pipeline[-1])
    count = count_stateless_steps(pipeline)
    if count < len(pipeline) - 1:
        raise ValueError(
            f"the step {pipeline.steps[count][0]!r} would have to be fitted to all data before any "
            "could be described; use steps that are stateless given their parameters, such as "
            "SOAPTransformer"
        )
    if count == 0:
        raise ValueError("pipeline has no descriptor before the regressor; put one there: "
                         "make_pipeline(SOAPTransformer(), GAPRegressor())")


def _as_delayed(partitions, dask):
    if isinstance(partitions, Atoms) or not hasattr(partitions, "__iter__"):
        raise TypeError(
            f"partitions are of type {type(partitions).__name__}, but a dask bag or a sequence of "
            "partitions is needed"
        )
    if hasattr(partitions, "to_delayed"):
        return partitions.to_delayed()
    parts = [
        part if dask.is_dask_collection(part) else dask.delayed(part, traverse=False)
        for part in partitions
    ]
    if not parts:
        raise ValueError("there are 0 partitions, but at least one is required; pass (X, y) or "
                         "(X, y, metadata) for each")
    return parts


def _unpack(partition):
    """Structures, energies and metadata of a partition; None if it is empty."""
    if not isinstance(partition, tuple) or all(isinstance(atoms, Atoms) for atoms in partition):
        frames = partition if isinstance(partition, Structures) else list(partition)
        if len(frames) == 0:
            return None
        return frames, *extract_targets(frames)
    if len(partition) not in (2, 3):
        raise ValueError(f"it is a tuple of {len(partition)} objects, but must be (X, y) or "
                         "(X, y, metadata)")
    X, y, metadata = partition if len(partition) == 3 else (*partition, {})
    unknown = set(metadata) - set(METADATA)
    if unknown:
        raise ValueError(f"its metadata has {sorted(map(str, unknown))}, but may only have "
                         f"{list(METADATA)}")
    return None if len(X) == 0 else (X, y, metadata)


class _Partition:
    """Context in which errors say which partition they are about."""

    def __init__(self, index):
        self.index = index

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if kind in (TypeError, ValueError):
            raise kind(f"partition {self.index}: {error}") from error


def _survey(partition, index):
    """Number of structures, elements, and the first structure that has each."""
    with _Partition(index):
        content = _unpack(partition)
        if content is None:
            return 0, np.empty(0, dtype=np.intp), np.empty(0, dtype=np.intp)
        structures = check_structures(content[0])
        elements, first = np.unique(structures.numbers, return_index=True)
        return len(structures), elements, structures.structure_index[first]


def _choose(surveys, n_sample, rng):
    """Rows of each partition that make up the sample."""
    counts = np.array([survey[0] for survey in surveys])
    if not counts.any():
        raise ValueError("all partitions are empty, but a minimum of 1 structure is required")
    offsets = np.concatenate([[0], np.cumsum(counts)])
    total = int(offsets[-1])
    taken = np.arange(total)
    if total > n_sample:
        first = {}
        for offset, (_, elements, rows) in zip(offsets, surveys, strict=False):
            for z, row in zip(elements, rows, strict=True):
                first.setdefault(int(z), int(offset + row))
        taken = rng.choice(total, n_sample, replace=False)
        taken = np.union1d(taken, list(first.values()))
    owner = np.searchsorted(offsets, taken, side="right") - 1
    return {int(index): taken[owner == index] - offsets[index] for index in np.unique(owner)}


def _sample(partition, rows):
    """Some structures of a partition and their kinds, without calculators."""
    X, _, metadata = _unpack(partition)
    column = as_column(X)[rows, 0]
    kinds = metadata.get("config_types")
    return [atoms.copy() for atoms in column], None if kinds is None else [kinds[i] for i in rows]


def _start(pipeline, samples):
    """Fit the descriptors and choose sparse points: what all partitions need."""
    frames = [atoms for part, _ in samples for atoms in part]
    kinds = None
    if all(part is not None for _, part in samples):
        kinds = [kind for _, part in samples for kind in part]
    leading, regressor = pipeline[:-1], pipeline[-1]
    environments = check_environments(leading.fit_transform(frames), regressor, reset=True)
    with one_thread:
        training = Accumulator.start(environments, regressor, kinds)
    return leading, regressor, training


def _see(template, partition, index):
    """Triangles of a partition."""
    leading, regressor, training = template
    training = training.empty()
    with _Partition(index), within_a_thread():  # tasks run side by side already
        X, y, metadata = _unpack(partition)
        regressor._check_and_accumulate(training, leading.transform(X), y, **metadata)
    return training.observations, training.atom_energies, training.distances


def _merge(first, second):
    """Merge two sets of triangles without changing them, as a task may be repeated."""
    merged = tuple(part.copy() for part in first)
    for part, other in zip(merged, second, strict=True):
        part.merge(other)
    return merged

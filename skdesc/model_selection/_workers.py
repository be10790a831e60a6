"""Evaluation of candidates in the workers of joblib: threads, transfer of samples, results."""

from __future__ import annotations

import os
from contextlib import nullcontext

import joblib
from sklearn.pipeline import Pipeline
from sklearn.utils.parallel import Parallel, delayed
from threadpoolctl import ThreadpoolController, threadpool_limits

from ..utils.blas import threads
from ..utils.packing import pack
from ._steps import leaves


def pack_samples(X, estimator):
    """Put samples into a container that is sent to workers fast.

    Parameters
    ----------
    X : sequence
        Samples.
    estimator : estimator
        Estimator of the search. Only transformers with the attribute
        ``_stateless_given_parameters`` are known to accept a container.

    Returns
    -------
    object
        The container, or `X` itself if there is none or a transformer may not accept it.
    """
    first = leaves(estimator.steps[0][1]) if isinstance(estimator, Pipeline) else [estimator]
    known = all(hasattr(type(leaf), "_stateless_given_parameters") for leaf in first)
    return pack(X) if known else X


def inner_threads(n_jobs):
    """Return the number of threads that each of several workers may use.

    Parameters
    ----------
    n_jobs : int or None
        Number of candidates evaluated at once.

    Returns
    -------
    int or None
        The limit; None for a single worker.
    """
    n_workers = joblib.effective_n_jobs(n_jobs)
    return None if n_workers == 1 else max(1, joblib.cpu_count() // n_workers)


def limited_threads(n_threads, main_process):
    """Limit the threads of libraries while a candidate is evaluated.

    Parameters
    ----------
    n_threads : int or None
        The limit; None for none.
    main_process : int
        Identifier of the process that runs the search.

    Returns
    -------
    context manager
        In the main process only OpenMP is limited, whose limit belongs to the calling thread. BLAS
        has one limit for the process, which :func:`evaluate_in_workers` sets around a whole batch:
        threads that set and reset it independently could leave it at a wrong value.
    """
    if n_threads is None:
        return nullcontext()
    if os.getpid() != main_process:
        return threadpool_limits(n_threads)
    return ThreadpoolController().select(user_api="openmp").limit(limits=n_threads)


def make_parallel(n_jobs):
    """Create workers that return each result as soon as possible, if the backend supports it."""
    try:
        return Parallel(n_jobs=n_jobs, return_as="generator_unordered")
    except (ValueError, NotImplementedError):
        return Parallel(n_jobs=n_jobs)


def evaluate_in_workers(parallel, evaluator, jobs):
    """Evaluate candidates.

    Parameters
    ----------
    parallel : joblib.Parallel
        The workers.
    evaluator : Evaluator
        Evaluator of candidates.
    jobs : dict of str to tuple
        Arguments of the evaluator for each candidate.

    Yields
    ------
    key : str
        Key of the candidate.
    evaluation : dict or None
        Return value of the evaluator.
    """
    limit = evaluator.n_threads
    calls = (delayed(_evaluate)(key, evaluator, *arguments) for key, arguments in jobs.items())
    with nullcontext() if limit is None else threads(limit):
        yield from parallel(calls)


def _evaluate(key, evaluator, *arguments):
    return key, evaluator(*arguments)

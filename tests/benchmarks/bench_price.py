"""Price of a search with all defaults: processor time, in fits to all the data.

``python tests/benchmarks/bench_price.py [--molecules 500] [--n-sparse 500]``. Acetylacetone of the
data home (15 atoms), energies and forces. ``TwoStagePSOSearchCV(pipeline, *suggest_space(X))`` is
compared with one fit of the pipeline that it begins with, and with its own estimate of the price.
"""

import argparse
import time
import warnings

from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from skdesc import (
    GAPRegressor,
    SOAPTransformer,
    TwoStagePSOSearchCV,
    extract_targets,
    suggest_space,
)
from skdesc.datasets import fetch_acetylacetone


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--molecules", type=int, default=500)
    parser.add_argument("--n-sparse", type=int, default=500)
    arguments = parser.parse_args()
    data = fetch_acetylacetone()
    frames = [data.frames[i] for i in data.train[: arguments.molecules]]
    y, targets = extract_targets(frames, virials=False)
    pipeline = Pipeline([
        ("soap", SOAPTransformer()),
        ("gap", GAPRegressor(n_sparse=arguments.n_sparse, random_state=0)),
    ])
    start = time.process_time()
    pipeline.fit(frames, y, gap__forces=targets["forces"])
    fit = time.process_time() - start
    print(f"fit: {fit:.1f} s", flush=True)
    search = TwoStagePSOSearchCV(pipeline, *suggest_space(frames, pipeline), random_state=0)
    start = time.process_time()
    search.fit(frames, y, gap__forces=targets["forces"])
    taken = time.process_time() - start
    print(f"search: {taken:.1f} s, {taken / fit:.1f} fits (own estimate {search.price_:.1f}), "
          f"{search.n_models_trained_} models")
    for stage in search.stage_results_:
        print(f"stage {stage['stage']}, {stage['fraction']:.2f} of the data: "
              f"{stage['n_models_trained']} models, {stage['work_time']:.0f} s by the clock")
    for quantity, errors in search.comparison_.items():
        print(f"{quantity}: {errors['present']:.4g} -> {errors['found']:.4g}")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    with threadpool_limits(1):
        main()

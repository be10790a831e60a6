"""Searches of hyper-parameters at equal processor time, on structures that they have not seen.

    python tests/benchmarks/bench_search.py RESULTS.jsonl [--sets NAME ...] [--seeds 3] [--table]

For each set and seed, the two-stage search runs with all its defaults, and the processor time it
takes is the budget of the others: two stages of plain swarms, one joint swarm, random search,
Optuna's TPE and CMA-ES, and scikit-learn's successive halving. All search the spaces of
``suggest_space`` on the same folds, begin with the present parameters, and compute the descriptor
once per candidate (halving, which has no way to, once per fold). Each line of the results has
errors in cross-validation and on structures held back. What is there already is not run again.
``--table`` prints tables in Markdown. TPE needs ``optuna``, CMA-ES ``cmaes`` as well.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import sklearn
from search_problems import N_FOLDS, PROBLEMS
from sklearn.base import clone
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    HalvingRandomSearchCV,
    KFold,
    ParameterSampler,
    cross_validate,
)
from threadpoolctl import threadpool_limits

from skdesc import TwoStagePSOSearchCV

SWARMS = {
    "two stages": {},
    "plain swarms": {"swarm": "pso", "n_iterations": (50, 4), "n_cycles": 50},
    "joint": {"strategy": "joint", "n_particles": 10, "n_iterations": 1000},
}
METHODS = (*SWARMS, "random", "TPE", "CMA-ES", "halving")


class OutOfTimeError(KeyboardInterrupt):
    """Ends a search, which keeps what it has."""


class Clocked:
    """Scorer that ends a search when its processor time is up."""

    def __init__(self, scorer, deadline):
        self._scorer, self._deadline = scorer, deadline

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._scorer, name)

    def get_metadata_routing(self):
        """As the scorer."""
        return self._scorer.get_metadata_routing()

    def __call__(self, *arguments, **options):
        """Score, or end the search."""
        if time.process_time() > self._deadline:
            raise OutOfTimeError
        return self._scorer(*arguments, **options)


def run_swarm(problem, seed, deadline, options):
    """One search by swarms."""
    search = TwoStagePSOSearchCV(
        problem.pipeline, *problem.spaces, scoring=Clocked(problem.scoring, deadline),
        cv=problem.folds, refit=False, random_state=seed, **options,
    ).fit(*problem.train[:2], **problem.metadata)
    trace = [
        (entry["n_models_trained"], entry["time"], -float(np.max(entry["best_score"])))
        for entry in search.history_
        if entry["fraction"] == 1
    ]
    return -search.best_score_, search.best_params_, len(search.cv_results_["params"]), trace


def run_generator(problem, candidates, deadline):
    """Cross-validate candidates of a generator that is sent their scores."""
    best, best_params, count, params = -np.inf, None, 0, next(candidates)
    while count == 0 or time.process_time() < deadline:
        pipeline = clone(problem.pipeline).set_params(**params)
        features = pipeline[:-1].fit_transform(problem.train[0])
        score = np.mean(cross_validate(
            pipeline[-1:], features, problem.train[1], cv=problem.folds,
            scoring=problem.scoring, params=problem.metadata,
        )["test_score"])
        if score > best:
            best, best_params = score, params
        count += 1
        params = candidates.send(score)
    return -best, best_params, count, []


def _random(problem, seed):
    yield problem.start
    for params in ParameterSampler(problem.space, 10**6, random_state=seed):
        yield {name: value.item() if hasattr(value, "item") else value
               for name, value in params.items()}


def _optuna(name, problem, seed):
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = getattr(optuna.samplers, name)(seed=seed)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.enqueue_trial(problem.start)
    while True:
        trial = study.ask()
        params = {name: _suggest(trial, name, values) for name, values in problem.space.items()}
        study.tell(trial, (yield params))


def _suggest(trial, name, values):
    if isinstance(values, list):
        return trial.suggest_categorical(name, values)
    low, high = values.support()
    if values.dist.name == "randint":
        return trial.suggest_int(name, int(low), int(high))
    return trial.suggest_float(name, low, high, log=values.dist.name == "loguniform")


GENERATORS = {
    "random": _random, "TPE": partial(_optuna, "TPESampler"),
    "CMA-ES": partial(_optuna, "CmaEsSampler"),
}


def run_halving(problem, seed, deadline):
    """Successive halving, with other candidates again and again until the time is up."""
    best, best_params, count = -np.inf, None, 0
    while count == 0 or time.process_time() < deadline:
        search = HalvingRandomSearchCV(
            problem.pipeline, problem.space, n_candidates=9, factor=3, min_resources="exhaust",
            scoring=Clocked(problem.scoring, deadline if count else np.inf),
            cv=KFold(N_FOLDS, shuffle=True, random_state=0), refit=False,
            random_state=seed + 1000 * count,
        )
        try:
            search.fit(*problem.train[:2], **problem.metadata)
        except OutOfTimeError:
            break
        count += 1
        scores = np.where(
            search.cv_results_["iter"] == search.n_iterations_ - 1,
            search.cv_results_["mean_test_score"], -np.inf,
        )
        if scores.max() > best:
            best, best_params = scores.max(), search.cv_results_["params"][scores.argmax()]
    # its last round leaves some structures out
    error, best_params, *_ = run_generator(problem, _once(best_params), 0.0)
    return error, best_params, 9 * count, []


def _once(params):
    yield params
    yield params


def run(name, seed, methods):
    """All methods on one set, one after the other; yields a record of each."""
    problem, budget = PROBLEMS[name](), None
    for method in METHODS:
        if method not in methods:
            continue
        began = time.process_time()
        deadline = np.inf if budget is None else began + budget
        if method in SWARMS:
            result = run_swarm(problem, seed, deadline, SWARMS[method])
        elif method == "halving":
            result = run_halving(problem, seed, deadline)
        else:
            result = run_generator(problem, GENERATORS[method](problem, seed), deadline)
        seconds = time.process_time() - began
        budget = seconds if budget is None else budget
        error, params, count, trace = result
        yield {"set": name, "seed": seed, "method": method, "cv": float(error),
               "candidates": count, "seconds": seconds, "params": repr(params), "trace": trace,
               "structures": len(problem.train[0]), **problem.test_errors(params)}


def print_tables(records):
    """Tables in Markdown: medians over seeds, and seeds that two stages win."""
    for name in dict.fromkeys(r["set"] for r in records):
        rows = [r for r in records if r["set"] == name]
        kinds = [k for k in ("energy rms", "energy median", "forces rms", "forces median")
                 if k in rows[0]]
        n_seeds = len({r["seed"] for r in rows})
        print(f"\n{name}, {rows[0]['structures']} structures, {n_seeds} seeds\n")
        titles = ["search", "s", "candidates", "CV error", "wins in CV", "wins in test",
                  "test error", *kinds]
        print(f"| {' | '.join(titles)} |")
        print("|---" * len(titles) + "|")
        for method in METHODS:
            if any(r["method"] == method for r in rows):
                print_row(rows, method, kinds)
        print_price(rows)


def print_row(rows, method, kinds):
    """Medians of one method over the seeds of a set."""
    two = {r["seed"]: r for r in rows if r["method"] == "two stages"}
    these = [r for r in rows if r["method"] == method]

    def median(key):
        return float(np.median([r[key] for r in these]))

    wins = ["-", "-"]
    if method != "two stages":
        wins = [str(sum(two[r["seed"]][key] < r[key] for r in these)) for key in ("cv", "relative")]
    cells = [method, f"{median('seconds'):.1f}", f"{median('candidates'):.0f}",
             f"{median('cv'):.4g}", *wins, *(f"{median(k):.4g}" for k in ("relative", *kinds))]
    print(f"| {' | '.join(cells)} |")


def print_price(rows):
    """What two stages need to reach the error that the joint swarm ends with."""
    shares = []
    joint = {r["seed"]: r for r in rows if r["method"] == "joint"}
    for row in (r for r in rows if r["method"] == "two stages" and r["seed"] in joint):
        models, seconds, error = joint[row["seed"]]["trace"][-1]
        reached = [entry for entry in row["trace"] if entry[2] <= error]
        first = reached[0] if reached else (np.inf, np.inf, error)
        shares.append((first[0] / models, first[1] / seconds))
    if shares:
        models, seconds = np.median(shares, axis=0)
        print(f"\nTo the error that the joint swarm ends with: {models:.2f} of its models, "
              f"{seconds:.2f} of its time (medians over seeds).")


def parse():
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--sets", nargs="*", default=[*PROBLEMS], metavar="NAME")
    parser.add_argument("--methods", nargs="*", default=[*METHODS], metavar="NAME")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    absent = {
        method for method, package in (("TPE", "optuna"), ("CMA-ES", "cmaes"))
        if not importlib.util.find_spec(package)
    }
    arguments.methods = [method for method in arguments.methods if method not in absent]
    return arguments


def main():
    """Run what the command line asks for."""
    arguments = parse()
    text = arguments.results.read_text(encoding="utf-8") if arguments.results.exists() else ""
    records = [json.loads(line) for line in text.splitlines()]
    if arguments.table:
        print_tables(records)
        return
    known = {(r["set"], r["seed"]) for r in records}
    warnings.simplefilter("ignore")  # searches visit the worst of settings
    with threadpool_limits(1), sklearn.config_context(enable_metadata_routing=True):
        for seed, name in itertools.product(range(arguments.seeds), arguments.sets):
            if (name, seed) in known:
                continue
            try:
                found = list(run(name, seed, arguments.methods))
            except OSError as error:
                print(f"{name}: skipped, the data are not there: {error}")
                continue
            with arguments.results.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(record) + "\n" for record in found)


if __name__ == "__main__":
    main()

"""Two-stage search against a joint swarm, random search and Optuna's TPE.

Every method searches the same spaces of the same pipelines, scores candidates on the same folds,
and computes the descriptor once per candidate, random search and TPE included: only the choice of
candidates differs. One thread per run. Printed are medians and ranges over seeds, as tables in
Markdown.

    python tests/benchmarks/bench_search.py [--quick] [--jobs 2] [--seeds 5] [PROBLEM ...]
"""

from __future__ import annotations

import argparse
import importlib.util
import time
import warnings
from dataclasses import dataclass, field

import joblib
import numpy as np
import sklearn
from scipy.stats import loguniform, randint, uniform
from sklearn.base import clone
from sklearn.model_selection import KFold, ParameterSampler, StratifiedKFold, cross_validate
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from skdesc import GAPRegressor, SOAPTransformer, TwoStagePSOSearchCV, extract_targets
from skdesc.datasets import (
    fetch_iron_gap22,
    load_carbon_dimer,
    load_carbon_solids,
)
from skdesc.metrics import make_energy_scorer, make_forces_scorer

N_FOLDS = 3
N_CANDIDATES = 100  # of the joint swarm, random search and TPE
METHODS_OF_SWARMS = {
    # over all parameters at once
    "joint": {"strategy": "joint", "n_particles": 10, "n_iterations": 10},
    "joint, one pass": {"n_particles": 10, "n_iterations": 10, "stage_one_objective": "one_pass"},
    # two stages, the first of them with all defaults
    "two stages": {},
    "alignment": {"stage_one_objective": "alignment"},
    "loo": {"stage_one_objective": "loo", "n_warm_up": 2},
    "long": {"n_cycles": 2, "n_particles": 8, "n_iterations": (6, 3)},
}
METHODS = ("joint", "joint, one pass", "random", "TPE", "two stages", "alignment", "loo", "long")
COMPARED = METHODS[4:]


@dataclass
class Problem:
    """A data set, a pipeline and what is to be tuned."""

    name: str
    unit: str
    scoring: object
    train: tuple
    test: tuple
    pipeline: Pipeline
    transformer_space: dict
    regressor_space: dict
    always: tuple = ()  # structures that are in the training part of every fold
    kinds: np.ndarray | None = None  # of these, every fold has the same share
    folds: list = field(init=False)

    def __post_init__(self):
        tested = np.setdiff1d(np.arange(len(self.train[0])), self.always)
        kinds = np.zeros(len(tested)) if self.kinds is None else self.kinds[tested]
        kind_of_folds = KFold if self.kinds is None else StratifiedKFold
        cv = kind_of_folds(N_FOLDS, shuffle=True, random_state=0)
        self.folds = [
            (np.union1d(self.always, tested[train]).astype(int), tested[test])
            for train, test in cv.split(tested, kinds)
        ]

    @property
    def metadata(self):
        """Forces for fit and score, if there are any."""
        return {} if self.train[2] is None else {"forces": self.train[2]}

    def test_error(self, params):
        """Error on the test structures of a pipeline fitted to all others."""
        frames, y, forces = self.test
        fitted = clone(self.pipeline).set_params(**params).fit(*self.train[:2], **self.metadata)
        more = {} if forces is None else {"forces": forces}
        return -1000 * self.scoring(fitted, frames, y, **more)


def _sides(frames, train, test, *, forces=True):
    sides = []
    for indices in (train, test):
        chosen = [frames[index] for index in indices]
        y, targets = extract_targets(chosen, forces=forces, virials=False)
        sides.append((chosen, y, targets["forces"] if forces else None))
    return sides


def _pipeline(isolated, n_sparse, **soap):
    return Pipeline([
        ("soap", SOAPTransformer(**soap)),
        ("gap", GAPRegressor(e0=isolated, n_sparse=n_sparse, random_state=0)),
    ])  # fmt: skip


def _spaces(cutoff, atom_sigma, n_max, l_max, *, forces=True):
    transformer = {
        "soap__cutoff": uniform(cutoff[0], cutoff[1] - cutoff[0]),
        "soap__atom_sigma": uniform(atom_sigma[0], atom_sigma[1] - atom_sigma[0]),
        "soap__n_max": randint(n_max[0], n_max[1] + 1),
        "soap__l_max": randint(l_max[0], l_max[1] + 1),
    }
    regressor = {
        "gap__zeta": [1, 2, 3, 4, 6],
        "gap__sigma_energy": loguniform(1e-4, 1e-1),
    }
    if forces:
        regressor["gap__sigma_forces"] = loguniform(1e-3, 1.0)
    return transformer, regressor


def dimer():
    """The carbon dimer: forces along a curve."""
    data = load_carbon_dimer()
    return Problem(
        "carbon dimer", "meV/A", make_forces_scorer(),
        *_sides(data.frames, data.train, data.test),
        _pipeline(data.isolated_energies, 20, species=["C"]),
        *_spaces((2.5, 6.0), (0.15, 0.8), (4, 10), (0, 4)),
        always=(0, 1, len(data.train) - 1),  # nothing is to be extrapolated
    )  # fmt: skip


def solids():
    """Crystals of carbon, distorted: forces."""
    data = load_carbon_solids()
    n_atoms = np.array([len(atoms) for atoms in data.frames])
    small = np.flatnonzero((data.kinds != "amorphous") & (n_atoms <= 32))
    train = np.intersect1d(small, data.train)
    return Problem(
        "carbon solids", "meV/A", make_forces_scorer(),
        *_sides(data.frames, train, np.intersect1d(small, data.test)),
        _pipeline(data.isolated_energies, 40, species=["C"]),
        *_spaces((2.5, 5.0), (0.2, 0.8), (4, 8), (2, 6)),
        kinds=data.kinds[train],
    )  # fmt: skip


def iron():
    """Primitive cells and surfaces of iron: energies."""
    data = fetch_iron_gap22()
    n_atoms = np.array([len(atoms) for atoms in data.frames])
    per_atom = data.energies / n_atoms
    sensible = np.flatnonzero((n_atoms <= 6) & (per_atom < per_atom.min() + 1.0))
    chosen = np.random.RandomState(0).permutation(sensible)
    return Problem(
        "iron", "meV/atom", make_energy_scorer(),
        *_sides(data.frames, chosen[:120], chosen[120:320], forces=False),
        _pipeline("auto", 60, species=["Fe"]),
        *_spaces((2.8, 6.5), (0.25, 0.9), (4, 10), (2, 8), forces=False),
    )  # fmt: skip


PROBLEMS = {"dimer": dimer, "solids": solids, "iron": iron}


class Trace:
    """Best cross-validated error against cost."""

    def __init__(self):
        self.models, self.features, self.time, self.error = [], [], [], []

    def add(self, n_models, n_features, seconds, score):
        """Note the state after a candidate; NaN while nothing has been cross-validated."""
        self.models.append(n_models)
        self.features.append(n_features)
        self.time.append(seconds)
        self.error.append(-1000 * score)

    def until(self, error):
        """First models and seconds at which an error is reached; None if never."""
        for cost in zip(self.models, self.time, self.error, strict=True):
            if cost[-1] <= error:
                return cost[:-1]
        return None

    def at(self, n_features):
        """Error when so many descriptors were computed."""
        errors = [e for n, e in zip(self.features, self.error, strict=True) if n <= n_features]
        return np.nanmin(errors) if np.isfinite(errors).any() else np.nan


def run_swarm(problem, seed, **options):
    """One TwoStagePSOSearchCV; its trace, its best parameters, and its share of useful time."""
    search = TwoStagePSOSearchCV(
        problem.pipeline, problem.transformer_space, problem.regressor_space,
        scoring=problem.scoring, cv=problem.folds, refit=False, random_state=seed, **options,
    )  # fmt: skip
    search.fit(*problem.train[:2], **problem.metadata)
    trace, best, before = Trace(), np.nan, np.zeros(3)
    for entry in search.history_:
        names = ("n_models_trained", "n_feature_evaluations", "time")
        after = np.array([entry[name] for name in names])
        # on one thread, the candidates of a batch come one after the other
        for count, score in enumerate(entry["scores"], start=1):
            if entry["objective"] in ("cv", "one_pass"):
                best = np.fmax(best, score)
            trace.add(*before + (after - before) * count / len(entry["scores"]), best)
        before = after
    spent = [[stage["work_time"], stage["time"]] for stage in search.stage_results_]
    return trace, search.best_params_, np.divide(*np.sum(spent, axis=0))


def _evaluate(problem, candidates, n_candidates):
    """Cross-validate candidates of a generator that is sent their scores."""
    trace, best, best_params = Trace(), -np.inf, None
    began = time.perf_counter()
    params = next(candidates)
    for count in range(1, n_candidates + 1):
        pipeline = clone(problem.pipeline).set_params(**params)
        features = pipeline[:-1].fit_transform(problem.train[0])
        scores = cross_validate(
            pipeline[-1:], features, problem.train[1], cv=problem.folds,
            scoring=problem.scoring, params=problem.metadata,
        )["test_score"]  # fmt: skip
        score = np.mean(scores)
        if score > best:
            best, best_params = score, params
        trace.add(N_FOLDS * count, count, time.perf_counter() - began, best)
        params = candidates.send(score)
    return trace, best_params, np.nan


def _random(problem, seed):
    spaces = {**problem.transformer_space, **problem.regressor_space}
    for params in ParameterSampler(spaces, 10**6, random_state=seed):
        yield {name: value.item() if hasattr(value, "item") else value
               for name, value in params.items()}  # fmt: skip


def _tpe(problem, seed):
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(seed=seed)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    spaces = {**problem.transformer_space, **problem.regressor_space}
    while True:
        trial = study.ask()
        params = {name: _suggest(trial, name, values) for name, values in spaces.items()}
        study.tell(trial, (yield params))


def _suggest(trial, name, values):
    if isinstance(values, list):
        return trial.suggest_categorical(name, values)
    low, high = values.support()
    if values.dist.name == "randint":
        return trial.suggest_int(name, int(low), int(high))
    return trial.suggest_float(name, low, high, log=values.dist.name == "loguniform")


def run(problem_name, method, seed):
    """One search in one process, on one thread."""
    with threadpool_limits(1), sklearn.config_context(enable_metadata_routing=True):
        warnings.simplefilter("ignore")  # swarms visit the worst of settings
        return _run(problem_name, method, seed)


def _run(problem_name, method, seed):
    problem = PROBLEMS[problem_name]()
    began, cpu = time.perf_counter(), time.process_time()
    if method in ("random", "TPE"):
        generator = (_random if method == "random" else _tpe)(problem, seed)
        trace, params, useful = _evaluate(problem, generator, N_CANDIDATES)
    else:
        if method == "joint, one pass":
            problem.transformer_space |= problem.regressor_space
            problem.regressor_space = {}
        trace, params, useful = run_swarm(problem, seed, **METHODS_OF_SWARMS[method])
    seconds = time.perf_counter() - began, time.process_time() - cpu
    return {
        "problem": problem_name, "method": method, "seed": seed, "trace": trace,
        "params": params, "test": problem.test_error(params), "seconds": seconds,
        "useful": useful,
    }  # fmt: skip


def _range(values, digits):
    low, middle, high = np.percentile(np.nan_to_num(values, nan=np.inf), [0, 50, 100])
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def report(problem, runs):
    """Print the tables of one problem."""
    by_method = {}
    for result in sorted(runs, key=lambda r: (METHODS.index(r["method"]), r["seed"])):
        by_method.setdefault(result["method"], []).append(result)
    print(f"\n### {problem.name}\n")
    print(f"{len(problem.train[0])} structures to learn from, {len(problem.test[0])} to test; "
          f"errors in {problem.unit}; median (range) over {len(by_method['joint'])} seeds.\n")
    print("| search | models | descriptor evaluations | time, s | CPU time, s | cross-validated "
          "error | test error |\n|---|---|---|---|---|---|---|")  # fmt: skip
    for method, results in by_method.items():
        traces = [r["trace"] for r in results]
        wall, cpu = np.median([r["seconds"] for r in results], axis=0)
        print(
            f"| {method} | {np.median([t.models[-1] for t in traces]):.0f} "
            f"| {np.median([t.features[-1] for t in traces]):.0f} | {wall:.1f} | {cpu:.1f} "
            f"| {_range([t.error[-1] for t in traces], 1)} "
            f"| {_range([r['test'] for r in results], 1)} |"
        )
    report_comparison(by_method)
    useful = {m: [r["useful"] for r in by_method[m]] for m in ("joint", "two stages")}
    print("\nShare of time spent in features and models: "
          + ", ".join(f"{m} {_range(values, 3)}" for m, values in useful.items()), flush=True)


def report_comparison(by_method):
    """Print the table of searches beside the joint swarm."""
    joint = by_method["joint"]
    goal = np.median([r["trace"].error[-1] for r in joint])
    goal_test = np.median([r["test"] for r in joint])
    cost = np.median([[r["trace"].models[-1], *r["seconds"]] for r in joint], axis=0)
    print("\nSeeds that reach the joint swarm's median final error, "
          f"{goal:.1f} cross-validated, and after what part of its {cost[0]:.0f} models and "
          f"{cost[1]:.1f} s (median of these seeds); seeds at most at its {goal_test:.1f} on the "
          "test structures; CPU time of the whole search as a part of the joint swarm's; seeds "
          "that end below the others, cross-validated: after as many descriptors, and at their "
          "end.\n")  # fmt: skip
    print("| search | reach it | models | time | in the test | CPU time in all | below joint "
          "| below random | below TPE |\n|---|---|---|---|---|---|---|---|---|")  # fmt: skip
    for method in [name for name in COMPARED if name in by_method]:
        print(_comparison(method, by_method, goal, goal_test, cost))


def _comparison(method, by_method, goal, goal_test, cost):
    """Row of a search in the table of comparisons."""
    results = by_method[method]
    reached = [found for r in results if (found := r["trace"].until(goal)) is not None]
    shares = np.median(np.array(reached) / cost[:2], axis=0) if reached else (np.nan, np.nan)
    tested = sum(r["test"] <= goal_test for r in results)
    cpu = np.median([r["seconds"][1] for r in results]) / cost[2]
    wins = [_wins(results, by_method.get(other)) for other in ("joint", "random", "TPE")]
    return (f"| {method} | {len(reached)} of {len(results)} | {shares[0]:.2f} | {shares[1]:.2f} "
            f"| {tested} | {cpu:.2f} | {' | '.join(wins)} |")


def _wins(results, others):
    """Seeds that end below another search, after as many descriptors and at its end."""
    if not others:
        return "-"
    pairs = [(r["trace"], other["trace"]) for r, other in zip(results, others, strict=True)]
    equal = sum(mine.error[-1] < other.at(mine.features[-1]) for mine, other in pairs)
    final = sum(mine.error[-1] < other.error[-1] for mine, other in pairs)
    return f"{equal}, {final}"


def main():
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("problems", nargs="*", metavar="PROBLEM",
                        help=f"of {', '.join(PROBLEMS)}; all by default")  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="two seeds, fewer searches")
    parser.add_argument("--jobs", type=int, default=1, help="runs side by side")
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    seeds = 2 if arguments.quick else arguments.seeds
    left_out = {"long", "joint, one pass"} if arguments.quick else set()
    if not importlib.util.find_spec("optuna"):
        left_out.add("TPE")
    methods = [method for method in METHODS if method not in left_out]
    with joblib.Parallel(n_jobs=arguments.jobs) as parallel:
        for name in arguments.problems or PROBLEMS:
            try:
                problem = PROBLEMS[name]()
            except OSError as error:
                print(f"\n### {name}: skipped, the data are not there: {error}")
                continue
            jobs = [(name, method, seed) for seed in range(seeds) for method in methods]
            report(problem, parallel(joblib.delayed(run)(*job) for job in jobs))


if __name__ == "__main__":
    main()

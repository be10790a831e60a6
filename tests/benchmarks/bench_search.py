"""Searches of hyper-parameters at equal processor time, on structures that they have not seen.

    python tests/benchmarks/bench_search.py RESULTS.jsonl [--sets NAME ...] [--seeds 3] [--table]

For each set and seed, the two-stage search runs with all its defaults, and the processor time it
takes is the budget of the others: two stages of plain swarms, one joint swarm, random search,
Optuna's TPE and scikit-learn's successive halving. All search the spaces of ``suggest_space`` on
the same folds, begin with the present parameters, and compute the descriptor once per candidate
(halving, which has no way to, once per fold). Each line of the results has errors in
cross-validation and on structures held back. What is there already is not run again. ``--table``
prints tables in Markdown.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import sklearn
from ase.data import atomic_numbers
from sklearn.base import clone
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    HalvingRandomSearchCV,
    KFold,
    ParameterSampler,
    StratifiedKFold,
    cross_validate,
)
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from skdesc import (
    GAPRegressor,
    SOAPTransformer,
    TwoStagePSOSearchCV,
    extract_targets,
    suggest_space,
)
from skdesc import datasets as d
from skdesc.metrics import make_energy_scorer, make_potential_scorer

N_FOLDS = 3
SWARMS = {
    "two stages": {},
    "plain swarms": {"swarm": "pso", "n_iterations": (50, 4), "n_cycles": 50},
    "joint": {"strategy": "joint", "n_particles": 10, "n_iterations": 1000},
}
METHODS = (*SWARMS, "random", "TPE", "halving")


class OutOfTimeError(KeyboardInterrupt):
    """Ends a search, which keeps what it has."""


@dataclass
class Problem:
    """Structures, targets, folds, a pipeline and its spaces."""

    train: tuple
    test: tuple
    folds: list
    pipeline: Pipeline
    spaces: tuple
    scoring: object
    start: dict

    @property
    def metadata(self):
        """Forces for fit and score, if there are any."""
        return {} if self.train[2] is None else {"forces": self.train[2]}

    @property
    def space(self):
        """Both spaces as one."""
        return {**self.spaces[0], **self.spaces[1]}

    def test_errors(self, params):
        """Errors on the test structures of a pipeline fitted to all others."""
        frames, y, forces = self.test
        fitted = clone(self.pipeline).set_params(**params).fit(*self.train[:2], **self.metadata)
        more = {} if forces is None else {"forces": forces}
        score = make_potential_scorer()(fitted, frames, y, **more)
        predicted = fitted.predict(frames, return_forces=forces is not None)
        energies = predicted if forces is None else predicted[0]
        residuals = {"energy": (energies - y) / [len(atoms) for atoms in frames]}
        if forces is not None:
            residuals["forces"] = np.concatenate(predicted[1]) - np.concatenate(forces)
        errors = {"relative": -score}
        for name, values in residuals.items():
            errors[f"{name} rms"] = 1000 * float(np.sqrt(np.mean(values**2)))
            sizes = np.linalg.norm(values.reshape(len(values), -1), axis=1)
            errors[f"{name} median"] = 1000 * float(np.median(sizes))
        return errors


def make_problem(frames, train, test, *, e0="auto", forces=True, n_sparse=60, kinds=None,
                 always=()):  # fmt: skip
    """Problem of some structures of a set."""
    sides = []
    for indices in (train, test):
        chosen = [frames[index] for index in indices]
        y, targets = extract_targets(chosen, forces=forces, virials=False)
        sides.append((chosen, y, targets["forces"] if forces else None))
    tested = np.setdiff1d(np.arange(len(train)), always)
    labels = np.zeros(len(tested)) if kinds is None else np.asarray(kinds)[train][tested]
    cv = (KFold if kinds is None else StratifiedKFold)(N_FOLDS, shuffle=True, random_state=0)
    folds = [
        (np.union1d(always, tested[a]).astype(int), tested[b]) for a, b in cv.split(tested, labels)
    ]
    elements = sorted({s for atoms in frames for s in atoms.symbols}, key=atomic_numbers.get)
    pipeline = Pipeline([
        ("soap", SOAPTransformer(species=elements, n_max=6, l_max=4)),
        ("gap", GAPRegressor(e0=e0, n_sparse=n_sparse, random_state=0)),
    ])  # fmt: skip
    spaces = suggest_space(sides[0][0], pipeline, forces=forces)
    fitted, start = clone(pipeline[0]).fit(sides[0][0]), {}
    for name, values in {**spaces[0], **spaces[1]}.items():
        value = getattr(fitted, f"{name[6:]}_", None) if name.startswith("soap__") else None
        value = pipeline.get_params()[name] if value is None else value
        if not isinstance(values, list) or value in values:
            start[name] = value
    scoring = make_potential_scorer() if forces else make_energy_scorer()
    return Problem(*sides, folds, pipeline, spaces, scoring, start)


def some(count, n_test, seed=0, total=None):
    """Indices of training and test structures."""
    order = np.random.RandomState(seed).permutation(total)
    return np.sort(order[:count]), np.sort(order[count : count + n_test])


def _dimer():
    data = d.load_carbon_dimer()
    ends = (0, 1, len(data.train) - 1)  # nothing is to be extrapolated
    return make_problem(data.frames, data.train, data.test, e0=data.isolated_energies,
                        n_sparse=20, always=ends)  # fmt: skip


def _solids():
    data = d.load_carbon_solids()
    sizes = np.array([len(atoms) for atoms in data.frames])
    small = np.flatnonzero((data.kinds != "amorphous") & (sizes <= 32))
    return make_problem(data.frames, np.intersect1d(small, data.train),
                        np.intersect1d(small, data.test), e0=data.isolated_energies,
                        n_sparse=40, kinds=data.kinds)  # fmt: skip


def _iron():
    frames = [atoms for atoms in d.fetch_iron_gap22().frames if len(atoms) <= 6]
    per_atom = np.array([atoms.get_potential_energy() / len(atoms) for atoms in frames])
    frames = [frames[i] for i in np.flatnonzero(per_atom < per_atom.min() + 1.0)]
    return make_problem(frames, *some(150, 200, total=len(frames)), forces=False)


def _molecules():
    frames = d.fetch_qm9_500().frames
    return make_problem(frames, *some(200, 200, total=len(frames)), forces=False)


def _ethanol():
    frames = d.load_ethanol_dynamics().frames
    return make_problem(frames, *some(90, 300, total=len(frames)))


def _gaas():
    frames = d.fetch_gaas().frames
    return make_problem(frames, *some(36, 60, total=len(frames)))


def _lithium():
    frames = [a for a in d.fetch_mlearn("Li").frames if len(a) <= 54]
    return make_problem(frames, *some(30, 100, total=len(frames)))


def _silicon():
    frames = [a for a in d.fetch_mlearn("Si").frames if len(a) <= 64]
    return make_problem(frames, *some(30, 100, total=len(frames)))


def _alloy():
    frames = [a for a in d.fetch_monbtaw().frames if 2 <= len(a) <= 16]
    return make_problem(frames, *some(80, 200, total=len(frames)))


PROBLEMS = {
    "carbon dimer": _dimer, "carbon solids": _solids, "iron": _iron, "molecules": _molecules,
    "ethanol": _ethanol, "GaAs": _gaas, "Li": _lithium, "Si": _silicon, "MoNbTaW": _alloy,
}  # fmt: skip


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
    ).fit(*problem.train[:2], **problem.metadata)  # fmt: skip
    return -search.best_score_, search.best_params_, len(search.cv_results_["params"])


def run_generator(problem, candidates, deadline):
    """Cross-validate candidates of a generator that is sent their scores."""
    best, best_params, count, params = -np.inf, None, 0, next(candidates)
    while count == 0 or time.process_time() < deadline:
        pipeline = clone(problem.pipeline).set_params(**params)
        features = pipeline[:-1].fit_transform(problem.train[0])
        score = np.mean(cross_validate(
            pipeline[-1:], features, problem.train[1], cv=problem.folds,
            scoring=problem.scoring, params=problem.metadata,
        )["test_score"])  # fmt: skip
        if score > best:
            best, best_params = score, params
        count += 1
        params = candidates.send(score)
    return -best, best_params, count


def _random(problem, seed):
    yield problem.start
    for params in ParameterSampler(problem.space, 10**6, random_state=seed):
        yield {name: value.item() if hasattr(value, "item") else value
               for name, value in params.items()}  # fmt: skip


def _tpe(problem, seed):
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(seed=seed)
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


def run_halving(problem, seed, deadline):
    """Successive halving, with other candidates again and again until the time is up."""
    best, best_params, count = -np.inf, None, 0
    while count == 0 or time.process_time() < deadline:
        search = HalvingRandomSearchCV(
            problem.pipeline, problem.space, n_candidates=9, factor=3, min_resources="exhaust",
            scoring=Clocked(problem.scoring, deadline if count else np.inf),
            cv=KFold(N_FOLDS, shuffle=True, random_state=0), refit=False,
            random_state=seed + 1000 * count,
        )  # fmt: skip
        try:
            search.fit(*problem.train[:2], **problem.metadata)
        except OutOfTimeError:
            break
        count += 1
        scores = np.where(
            search.cv_results_["iter"] == search.n_iterations_ - 1,
            search.cv_results_["mean_test_score"], -np.inf,
        )  # fmt: skip
        if scores.max() > best:
            best, best_params = scores.max(), search.cv_results_["params"][scores.argmax()]
    # its last round leaves some structures out
    error, best_params, _ = run_generator(problem, _once(best_params), 0.0)
    return error, best_params, 9 * count


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
            make = {"random": _random, "TPE": _tpe}[method]
            result = run_generator(problem, make(problem, seed), deadline)
        seconds = time.process_time() - began
        budget = seconds if budget is None else budget
        error, params, count = result
        yield {"set": name, "seed": seed, "method": method, "cv": float(error),
               "candidates": count, "seconds": seconds, "params": repr(params),
               "structures": len(problem.train[0]), **problem.test_errors(params)}  # fmt: skip


def table(records):
    """Tables in Markdown: medians over seeds, and seeds that two stages win."""
    for name in dict.fromkeys(r["set"] for r in records):
        rows = [r for r in records if r["set"] == name]
        kinds = [k for k in ("energy rms", "energy median", "forces rms", "forces median")
                 if k in rows[0]]  # fmt: skip
        seeds = sorted({r["seed"] for r in rows})
        print(f"\n{name}, {rows[0]['structures']} structures, {len(seeds)} seeds\n")
        print(f"| search | s | candidates | CV error | wins | test error | {' | '.join(kinds)} |")
        print("|---" * (6 + len(kinds)) + "|")
        reference = {r["seed"]: r["cv"] for r in rows if r["method"] == "two stages"}
        for method in [m for m in METHODS if any(r["method"] == m for r in rows)]:
            these = [r for r in rows if r["method"] == method]
            wins = sum(reference[r["seed"]] < r["cv"] for r in these)
            values = [np.median([r[k] for r in these]) for k in ("relative", *kinds)]
            print(f"| {method} | {np.median([r['seconds'] for r in these]):.1f} "
                  f"| {np.median([r['candidates'] for r in these]):.0f} "
                  f"| {np.median([r['cv'] for r in these]):.4g} "
                  f"| {wins if method != 'two stages' else '-'} "
                  f"| {' | '.join(f'{value:.4g}' for value in values)} |")  # fmt: skip


def main():
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--sets", nargs="*", default=[*PROBLEMS], metavar="NAME")
    parser.add_argument("--methods", nargs="*", default=[*METHODS], metavar="NAME")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    text = arguments.results.read_text(encoding="utf-8") if arguments.results.exists() else ""
    records = [json.loads(line) for line in text.splitlines()]
    if arguments.table:
        table(records)
        return
    if not importlib.util.find_spec("optuna"):
        arguments.methods = [method for method in arguments.methods if method != "TPE"]
    known = {(r["set"], r["seed"]) for r in records}
    warnings.simplefilter("ignore")  # searches visit the worst of settings
    with threadpool_limits(1), sklearn.config_context(enable_metadata_routing=True):
        for seed in range(arguments.seeds):
            for name in arguments.sets:
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

"""AutoPotential on every data set, with budgets of 1, 10 and 60 minutes on one core.

``python tests/benchmarks/bench_auto.py RESULTS.jsonl [--sets NAME ...] [--minutes 1 10 60]``.
Each set and budget runs in a process of its own, on one thread, and adds a line to the results;
what is there already is not run again, so that a run that was ended goes on. ``--table`` prints
the results as a table for the docs. Beside each potential stand the default pipeline, fitted to
the same structures, and figures of others where there are some. ``--ratios`` prints the errors
on test structures relative to those of the default pipeline, the range over all seeds.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from published import PUBLISHED


def split_every_fifth(frames):
    """Every fifth structure is for testing."""
    rest = [atoms for index, atoms in enumerate(frames) if index % 5 != 2]
    return rest, frames[2::5]


def whole(data):
    """Structures of a set that has no split of its own."""
    return split_every_fifth(data.frames)


def halves(data):
    """Training and test structures of a set that has a split."""
    return ([data.frames[i] for i in data.train], [data.frames[i] for i in data.test])


def make_sets():
    """Names of the sets, and how to get their training and test structures."""
    from skdesc import datasets as d

    def hea25():
        frames = [a for a in d.fetch_hea25().frames if np.abs(a.get_forces()).max() < 20]
        return split_every_fifth(frames)

    return {
        "Cu": lambda: halves(d.fetch_mlearn("Cu")),
        "Li": lambda: halves(d.fetch_mlearn("Li")),
        "Si": lambda: halves(d.fetch_mlearn("Si")),
        "MoNbTaW": lambda: halves(d.fetch_monbtaw()),
        "ethanol": lambda: halves(d.fetch_ethanol()),
        "acetylacetone": lambda: halves(d.fetch_acetylacetone()),
        "qm7": lambda: halves(d.fetch_qm7()),
        "qm9_500": lambda: whole(d.fetch_qm9_500()),
        "carbon": lambda: whole(d.fetch_carbon_gap17()),
        "iron": lambda: whole(d.fetch_iron_gap22()),
        "hea25": hea25,
        "jarvis": lambda: whole(d.fetch_jarvis_vacancy()),
        "perov5": lambda: halves(d.fetch_perov5()),
        "GaAs": lambda: whole(d.fetch_gaas()),
        "BaTiO3": lambda: whole(d.fetch_batio3()),
        "carbon dimer": lambda: halves(d.load_carbon_dimer()),
        "carbon solids": lambda: halves(d.load_carbon_solids()),
        "organic molecules": lambda: halves(d.load_organic_molecules()),
        "ethanol dynamics": lambda: halves(d.load_ethanol_dynamics()),
    }


def count_processor_time():
    """Let searches in this process count the processor's time instead of the clock's."""
    from skdesc.auto import _cost, _trial

    for module in (_cost, _trial):
        module.time = SimpleNamespace(perf_counter=time.process_time)


def run(name, minutes, seed):
    """Search on one set, in this process; return a record of the result."""
    from skdesc import AutoPotential

    train, test = make_sets()[name]()
    start = time.perf_counter(), time.process_time()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        auto = AutoPotential(time_budget=60.0 * minutes, random_state=seed, verbose=1).fit(train)
    seconds = time.perf_counter() - start[0], time.process_time() - start[1]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    chosen = auto.leaderboard_[0]
    return {
        "set": name, "minutes": minutes, "seed": seed, "structures": len(train),
        "seconds": seconds[0], "processor": seconds[1], "megabytes": peak,
        "candidate": chosen["candidate"], "points": chosen["n_points"],
        "time_per_atom": chosen["time_per_atom"], "improvement": auto.improvement_,
        "errors": auto.errors(test), "has_learned_all": auto.has_learned_all_,
        "warnings": [str(warning.message) for warning in caught],
    }


def run_default(name):
    """Fit the default pipeline to one set, in this process."""
    from sklearn.pipeline import make_pipeline

    from skdesc import GAPRegressor, SOAPTransformer, extract_targets
    from skdesc.auto._data import collect
    from skdesc.auto._errors import errors_of, predict_all, residuals

    train, test = make_sets()[name]()
    start = time.process_time()
    y, targets = extract_targets(train)
    model = make_pipeline(SOAPTransformer(), GAPRegressor())
    model.fit(train, y, **{f"gapregressor__{key}": value for key, value in targets.items()})
    seconds, data = time.process_time() - start, collect(test)
    return {
        "set": name, "minutes": 0, "processor": seconds, "points": len(model[-1].weights_),
        "errors": errors_of(residuals(data, predict_all(model, data))),
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def read(path):
    """Results so far."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def run_all(path, names, budgets, seeds, further):
    """Run what is missing, each in a process of its own."""
    known = {(r["set"], r["minutes"], r.get("seed", 0)) for r in read(path)}
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    for name in names:
        for minutes in [0, *budgets]:
            for seed in seeds if minutes else [0]:
                if (name, minutes, seed) in known:
                    continue
                command = [sys.executable, __file__, str(path), "--one", name, str(minutes),
                           str(seed), *further]
                code = subprocess.run(command, env=environment, check=False).returncode
                print(f"{name}, {minutes:g} minutes, seed {seed}: exit code {code}", flush=True)


def run_one(path, name, minutes, seed):
    """Run one set and budget, and add its record."""
    try:
        record = run(name, minutes, seed) if minutes else run_default(name)
    except (MemoryError, ValueError) as error:
        record = {"set": name, "minutes": minutes, "seed": seed, "failure": str(error)}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")


def print_table(path):
    """Print the results as Markdown; a row for each set and budget."""
    print("| set | budget | energy MAE, RMSE | force MAE, RMSE | of the default | points, us per "
          "atom | processor time, memory | published |\n|---|---|---|---|---|---|---|---|")
    records = read(path)
    for name in make_sets():
        rows = sorted((r for r in records if r["set"] == name), key=lambda r: r["minutes"])
        base = next((r["errors"] for r in rows if not r["minutes"] and "errors" in r), None)
        for record in rows:
            print(_row(name, record, base))


def print_ratios(path):
    """Print errors on the test sets relative to those of the default pipeline, over all seeds."""
    print("| set | budget | seeds | energy MAE | energy RMSE | force MAE | force RMSE "
          "| virial MAE | learned from all |\n|---|---|---|---|---|---|---|---|---|")
    records = [r for r in read(path) if "errors" in r]
    base = {r["set"]: r["errors"] for r in records if not r["minutes"]}
    for name, minutes in sorted({(r["set"], r["minutes"]) for r in records if r["minutes"]}):
        runs = [r for r in records if (r["set"], r["minutes"]) == (name, minutes)]
        cells = _ratios(runs, base[name])
        learned = sum(run["has_learned_all"] for run in runs)
        print(f"| {name} | {60 * minutes:g} s | {len(runs)} | {' | '.join(cells)} "
              f"| {learned} of {len(runs)} |")


def _ratios(runs, base):
    keys = ("energy_mae", "energy_rmse", "forces_mae", "forces_rmse", "virials_mae")
    return [_range([run["errors"][key] / base[key] for run in runs]) if key in base else ""
            for key in keys]


def _range(values):
    """Smallest to largest."""
    texts = [f"{value:.2f}" for value in (min(values), max(values))]
    return " to ".join(dict.fromkeys(texts))


def _row(name, record, base):
    budget = f"{record['minutes']:g} min" if record["minutes"] else "default"
    if "failure" in record:
        return f"| {name} | {budget} | {record['failure'][:60]} | | | | | |"
    errors = record["errors"]
    pairs = [
        ", ".join(f"{1e3 * errors[f'{q}_{mean}']:.3g}" for mean in ("mae", "rmse"))
        if f"{q}_mae" in errors else ""
        for q in ("energy", "forces")
    ]
    ratio = ""
    if base and record["minutes"]:
        ratio = ", ".join(f"{errors[key] / base[key]:.2f}" for key in ("energy_mae", "forces_mae")
                          if key in base)
    speed = f", {1e6 * record['time_per_atom']:.0f}" if "time_per_atom" in record else ""
    taken = record["processor"]
    published = PUBLISHED.get(name, "") if record["minutes"] else ""
    return (f"| {name} | {budget} | {pairs[0]} | {pairs[1]} | {ratio} | {record['points']}{speed} "
            f"| {taken:.0f} s, {record['megabytes'] / 1000:.1f} GB | {published} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("results", type=Path, help="file of results, one JSON object a line")
    parser.add_argument("--sets", nargs="+", help="names of sets (default: all)")
    parser.add_argument("--minutes", nargs="+", type=float, default=[1, 10, 60])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--processor-time", action="store_true",
                        help="budgets are of the processor's time, for machines with other work")
    parser.add_argument("--table", action="store_true", help="print the results, run nothing")
    parser.add_argument("--ratios", action="store_true",
                        help="print errors relative to the default pipeline's, run nothing")
    parser.add_argument("--one", nargs=3, metavar=("SET", "MINUTES", "SEED"),
                        help="run one in this process")
    options = parser.parse_args()
    if options.table:
        print_table(options.results)
    elif options.ratios:
        print_ratios(options.results)
    elif options.one:
        if options.processor_time:
            count_processor_time()
        name, minutes, seed = options.one
        run_one(options.results, name, float(minutes), int(seed))
    else:
        further = ["--processor-time"] if options.processor_time else []
        run_all(options.results, options.sets or list(make_sets()), options.minutes,
                options.seeds, further)

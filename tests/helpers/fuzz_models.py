"""Change what is inside of model files, under checksums that fit, and use what can be loaded.

Run it to try many files in processes of their own, so that one that ends is noticed::

    python -m helpers.fuzz_models 20000

A file may be refused by a ValueError, as it is loaded or as the model is used, or do what its
changed content says. All else is a fault: another exception, an end of the process, more than a
few seconds of computing, or results that do not follow from parameters and attributes.
"""

import argparse
import collections
import copy
import json
import os
import resource
import subprocess
import sys
import tempfile
import warnings
from functools import cache
from pathlib import Path

import numpy as np
from helpers import companions
from helpers.contradictions import contradiction
from helpers.stored_models import FOLDER, predictions, structures, targets

from skdesc import GAPRegressor
from skdesc.calculator import SkdescCalculator
from skdesc.io import load, save
from skdesc.io._container import read_container, write_container

CPU_SECONDS = 5
NAMES = sorted(path.stem for path in FOLDER.glob("*.skd"))
COMPANIONS = sorted([cls.__name__ for cls in companions.listed()] + [*companions.WRAPPERS])
KINDS = {"stored": NAMES, "companions": COMPANIONS}
NUMBERS = [
    0, 1, -1, 2, 3, 7, 31, 65, 1000, 10**6, 2**31, 2**63, 2**70, -(2**40), 0.0, 0.5, -0.5, 1.5,
    1e-30, 1e-300, 1e10, 1e30, 1e308, -1e308, ["float", "nan"], ["float", "inf"],
    ["float", "-inf"], True, False, None, "auto", "", "x", [], ["list"], ["list", 1, 2], ["dict"],
    ["tuple", 1.0, 2.0],
]
DTYPES = ["float32", "int64", "int8", "uint8", ">f8", "bool", "complex128", "U3", "S2", "float16"]


@cache
def original(name, saved_again):
    """Description and arrays of a stored file, or of what it is today."""
    path = FOLDER / f"{name}.skd"
    if name in NAMES and not saved_again:
        return read_container(path)
    model = load(path) if name in NAMES else companions.fitted(name)
    with tempfile.TemporaryDirectory() as folder:
        save(model, Path(folder, "again.skd"))
        return read_container(Path(folder, "again.skd"))


@cache
def expected(name):
    """What the unchanged model says."""
    if name in COMPANIONS:
        return companions.predictions(name, companions.fitted(name))
    return predictions(load(FOLDER / f"{name}.skd"))


def places(node, found):
    """All containers of a description with a key or position of each."""
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in items:
        found.append((node, key))
        if isinstance(value, (dict, list)):
            places(value, found)
    return found


def change(content, arrays, rng):
    """Change one thing, in place.

    Returns
    -------
    str
        What was changed.
    """
    if arrays and rng.random() < 0.5:
        index = int(rng.integers(len(arrays)))
        kind = ARRAY_CHANGES[rng.integers(len(ARRAY_CHANGES))]
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            arrays[index] = kind(arrays[index], rng)
        return f"array {index} by {kind.__name__}"
    found = places(content["objects"], [])
    node, key = found[rng.integers(len(found))]
    kind = NODE_CHANGES[rng.integers(len(NODE_CHANGES))]
    before = json.dumps(node[key])[:60]
    kind(node, key, found, rng)
    return f"{before} of {key!r} by {kind.__name__}"


def other_number(array, rng):
    array = np.array(array)
    if array.size == 0 or array.dtype.kind not in "fiu":
        return array
    number = [0, -1, 1, 200, np.nan, np.inf, -np.inf, 1e308, -1e308, 1e30, 1e-300][rng.integers(11)]
    place = np.unravel_index(rng.integers(array.size), array.shape)
    value = array[place] * rng.normal() if rng.random() < 0.3 else number
    array[place] = np.asarray(value).astype(array.dtype)
    return array


def other_numbers(array, rng):
    return np.full_like(array, [0, 1, 3][rng.integers(3)])


def other_order(array, rng):
    return array[::-1].copy() if array.ndim else array


def other_shape(array, rng):
    shapes = [
        lambda a: a[None], lambda a: a.ravel(), lambda a: a.T.copy(), lambda a: a[..., None],
        lambda a: a[:0] if a.ndim else a, lambda a: a[:1] if a.ndim else a,
        lambda a: a[:-1] if a.ndim else a, lambda a: np.concatenate([a, a]) if a.ndim else a,
        lambda a: a[..., :-1].copy() if a.ndim else a, lambda a: np.repeat(a, 2, axis=-1)
        if a.ndim else a, lambda a: np.zeros((0, *a.shape), a.dtype),
        lambda a: np.zeros((*a.shape, 2**20, 0), a.dtype), lambda a: np.asfortranarray(a),
    ]
    return shapes[rng.integers(len(shapes))](array)


def other_type(array, rng):
    return array.astype(DTYPES[rng.integers(len(DTYPES))])


def replace(node, key, found, rng):
    node[key] = copy.deepcopy(NUMBERS[rng.integers(len(NUMBERS))])


def scale(node, key, found, rng):
    if type(node[key]) in (int, float):
        node[key] = node[key] * [2, -1, 0.5, 1.5, 10, 1e6][rng.integers(6)]
        if rng.random() < 0.5:
            node[key] = int(node[key])


def shift(node, key, found, rng):
    if type(node[key]) is int:
        node[key] += int(rng.integers(-3, 4))


def drop(node, key, found, rng):
    del node[key]


def double(node, key, found, rng):
    if isinstance(node, list):
        node.insert(key, copy.deepcopy(node[key]))


def swap(node, key, found, rng):
    others = list(node) if isinstance(node, dict) else range(len(node))
    other = list(others)[rng.integers(len(others))]
    node[key], node[other] = node[other], node[key]


def exchange(node, key, found, rng):
    """With any other part, of the same type if there is one."""
    alike = [(n, k) for n, k in found if type(n[k]) is type(node[key])]
    other, place = alike[rng.integers(len(alike))]
    node[key], other[place] = copy.deepcopy(other[place]), copy.deepcopy(node[key])


def rename(node, key, found, rng):
    if isinstance(node, dict):
        names = [k for _, k in found if isinstance(k, str)] + ["predict", "__class__", "n_jobs"]
        node[names[rng.integers(len(names))]] = node.pop(key)


ARRAY_CHANGES = [other_number, other_number, other_numbers, other_order, other_shape, other_type]
NODE_CHANGES = [replace, replace, scale, shift, drop, double, swap, exchange, rename]


def changed_file(seed, path, names):
    """Write the changed file of a seed.

    Returns
    -------
    name : str
        The stored model.
    changes : list of str
        What was changed.
    """
    rng = np.random.default_rng(seed)
    name = names[seed % len(names)]
    content, arrays, versions = original(name, bool(rng.random() < 0.5))
    content, arrays = copy.deepcopy(content), list(arrays)
    changes = []
    for _ in range(rng.integers(1, 4)):
        try:
            changes.append(change(content, arrays, rng))
        except (TypeError, ValueError, OverflowError, KeyError, IndexError) as error:
            changes.append(f"nothing ({error})")  # not every change can be made to everything
    write_container(path, content, arrays, versions)
    return name, changes


def use(name, model):
    """All that a model says, a calculator with it included."""
    if name in COMPANIONS:
        repr(model)
        return companions.predictions(name, model)
    result = predictions(model)
    if hasattr(model, "steps") and isinstance(model[-1], GAPRegressor):
        atoms = structures()[-1].copy()
        atoms.calc = SkdescCalculator(model)
        result += [np.array(atoms.get_potential_energy()), atoms.get_forces(), atoms.get_stress()]
    repr(model)
    return result


def go_on(model):
    """Let a regressor learn more, and save any model again."""
    with tempfile.TemporaryDirectory() as folder:
        save(model, Path(folder, "again.skd"))
        load(Path(folder, "again.skd"))
    gap = model[-1] if hasattr(model, "steps") else model
    if isinstance(gap, GAPRegressor) and gap is not model and hasattr(gap, "jitter_"):
        gap.solve()
        model.predict(structures(), return_forces=True)
        y, forces, virials = targets(structures())
        features = model[:-1].transform(structures())
        gap.partial_fit(features, y, forces=forces, virials=virials)


def find_fault(name, model, result):
    """What is wrong with a model that has been loaded and used; None if nothing is."""
    try:
        wrong = None if name in COMPANIONS else contradiction(model, result)
    except Exception as error:
        wrong = f"{type(error).__name__}: {error}"
    if wrong:
        return wrong
    try:
        go_on(model)
    except ValueError:
        pass
    except Exception as error:
        return f"learning or saving raised {error!r}"
    return None


def try_file(seed, path, names):
    """What becomes of the changed file of a seed.

    Returns
    -------
    str
        "refused", "refused in use", "the same", "changed", or what is wrong.
    """
    name, changes = changed_file(seed, path, names)
    where = f"{name}: {'; '.join(changes)}"
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            model = load(path)
        except ValueError:
            return "refused"
        except Exception as error:
            return f"FAULT load raised {error!r}; {where}"
        try:
            result = use(name, model)
        except ValueError:
            return "refused in use"
        except Exception as error:
            return f"FAULT use raised {error!r}; {where}"
        fault = find_fault(name, model, result)
        if fault:
            return f"FAULT {fault}; {where}"
        same = len(result) >= len(expected(name)) and all(
            one.dtype.kind == other.dtype.kind and np.array_equal(one, other, equal_nan=True)
            for one, other in zip(result, expected(name), strict=False)
        )
        return "the same" if same else "changed"


def work(first, last, names):
    """Try files in this process, whose time is limited for each."""
    warnings.simplefilter("ignore")
    report = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what models print is no report
    for name in names:
        expected(name), original(name, True)
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(first, last):
            print("start", seed, file=report, flush=True)
            used = resource.getrusage(resource.RUSAGE_SELF)
            limit = int(used.ru_utime + used.ru_stime) + CPU_SECONDS + 1
            resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
            outcome = try_file(seed, Path(folder, "changed.skd"), names)
            print("end", seed, " ".join(outcome.split()), file=report, flush=True)


def run(first, last, kind="stored"):
    """Try the files of a range of seeds in processes that may end.

    Parameters
    ----------
    first, last : int
        Seeds, without the last.
    kind : str, default="stored"
        "stored" for stored models, "companions" for estimators of scikit-learn.

    Returns
    -------
    counts : dict of str to int
        How many files were refused, and so on.
    faults : list of str
        All that is wrong.
    """
    counts, faults = collections.Counter(), []
    tests = str(Path(__file__).parents[1])
    environment = dict(os.environ, OMP_NUM_THREADS="2", PYTHONFAULTHANDLER="1")
    environment["PYTHONPATH"] = os.pathsep.join([tests, os.environ.get("PYTHONPATH", "")])
    while first < last:
        with tempfile.TemporaryFile("w+") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "helpers.fuzz_models", "--work", str(first), str(last),
                 "--kind", kind],
                stdout=subprocess.PIPE, stderr=errors, text=True, env=environment, cwd=tests,
            )
            started = None
            for line in process.stdout:
                event, seed, *rest = line.rstrip("\n").split(" ", 2)
                started, first = (int(seed), first) if event == "start" else (None, int(seed) + 1)
                if event == "end":
                    outcome = rest[0]
                    counts[outcome if not outcome.startswith("FAULT") else "FAULT"] += 1
                    if outcome.startswith("FAULT"):
                        faults.append(f"seed {seed}: {outcome}")
            process.stdout.close()
            code = process.wait()
            if started is not None:
                errors.seek(0)
                text = errors.read()[-2000:]
                faults.append(f"seed {started}: the process ended with {code}\n{text}")
                counts["ended"] += 1
                first = started + 1
            elif code:
                errors.seek(0)
                raise RuntimeError(errors.read()[-4000:])
    return counts, faults


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", type=int, nargs="?", default=1000, help="number of files")
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--kind", choices=sorted(KINDS), default="stored")
    parser.add_argument("--work", type=int, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(*arguments.work, KINDS[arguments.kind])
        return
    counts, faults = run(arguments.first, arguments.first + arguments.count, arguments.kind)
    print("\n".join(faults))
    print(f"{sum(counts.values())} files: {dict(counts)}")


if __name__ == "__main__":
    main()

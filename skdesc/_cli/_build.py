"""Build estimators, search spaces and noise from arguments."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from scipy.stats import loguniform, randint, uniform
from sklearn.base import clone
from sklearn.pipeline import FeatureUnion, Pipeline

from ..calculator import ZBLCalculator
from ..descriptors import SOAPTransformer, TensorReducedTransformer, TwoBodyTransformer
from ..gaussian_process import GAPRegressor
from ._arguments import MODEL_OPTIONS


def make_pipeline(args):
    """Build a pipeline with the given parameters, and check them.

    Parameters
    ----------
    args : argparse.Namespace
        Arguments of the commands fit and tune.

    Returns
    -------
    Pipeline
        Two steps, the second of which is "gap".
    """
    steps = {"soap": {}, "gap": {}}
    for option in MODEL_OPTIONS:
        value = getattr(args, option.parameter)
        if value is not None:
            whole = option.parameter == "zeta" and value == int(value)
            steps[option.step][option.parameter] = int(value) if whole else value
    species = None if args.species is None else args.species.replace(",", " ").split()
    name, descriptor = _make_descriptor(args, species, steps["soap"])
    gap = GAPRegressor(
        **steps["gap"],
        e0=_parse_e0(args.e0),
        baseline=ZBLCalculator() if args.zbl else "auto",
        optimize="marginal_likelihood" if args.optimize else None,
        n_jobs=args.jobs,
        random_state=args.seed,
    )
    # find mistakes before reading files, by a fit to an empty list
    atom = [Atoms(species[0] if species else "H")]
    gap.memory_estimate(clone(descriptor).fit_transform(atom), forces=False)
    return Pipeline([(name, descriptor), ("gap", gap)])


def _make_descriptor(args, species, params):
    """Name and transformer of the first step."""
    if args.compression is not None and args.descriptor == "tensor-reduced":
        raise ValueError(f"--compression is {args.compression}, but --descriptor is "
                         "tensor-reduced, which is always compressed; leave it out")
    if args.descriptor == "tensor-reduced":
        transformer = TensorReducedTransformer(species, **params, random_state=args.seed,
                                               n_jobs=args.jobs)
        return "tensor_reduced", transformer
    soap = SOAPTransformer(species, **params, compression=args.compression, n_jobs=args.jobs)
    if args.descriptor == "soap":
        return "soap", soap
    lengths = {name: params[name] for name in ("cutoff", "cutoff_width") if name in params}
    pairs = TwoBodyTransformer(species, **lengths, n_jobs=args.jobs)
    return "descriptors", FeatureUnion([("soap", soap), ("two_body", pairs)])


def path_of(pipeline, step):
    """Return the prefix of a step's parameters in the pipeline.

    Parameters
    ----------
    pipeline : Pipeline
        From :func:`make_pipeline`.
    step : {"soap", "gap"}
        Name of the step among the options.

    Returns
    -------
    str
        Such as ``descriptors__soap``.
    """
    if step == "gap":
        return step
    name = pipeline.steps[0][0]
    return f"{name}__soap" if name == "descriptors" else name


def _parse_e0(text):
    if text in ("auto", "none"):
        return None if text == "none" else "auto"
    try:
        pairs = [part.split("=") for part in text.replace(",", " ").split()]
        return {symbol: float(energy) for symbol, energy in pairs}
    except ValueError:
        raise ValueError(f"--e0 is {text!r}, but must be auto, none, or a list such as "
                         "H=-13.6,C=-1030") from None


def sigmas_of_each(args, kinds):
    """Return the noise of each structure.

    Parameters
    ----------
    args : argparse.Namespace
        Arguments, with the noise of some kinds.
    kinds : list of str
        Kinds of the structures.

    Returns
    -------
    ndarray of shape (n_structures, 3)
        Noise of energy per atom, forces and virial; NaN for the default.
    """
    table = {}
    for text in args.config_sigma:
        kind, _, values = text.rpartition("=")
        try:
            table[kind] = [np.nan if value == "default" else float(value)
                           for value in values.split(",")]
        except ValueError:
            table[kind] = []
        if len(table[kind]) != 3 or not kind:
            raise ValueError(f"--config-sigma is {text!r}, but must look like liquid=0.01,0.3,0.5: "
                             "noise of energies, forces, virials, or the word default")
    unknown = sorted(set(table) - set(kinds))
    if unknown:
        raise ValueError(f"--config-sigma names {unknown}, but the structures have "
                         f"{sorted(set(kinds))}")
    return np.array([table.get(kind, [np.nan] * 3) for kind in kinds])


def make_spaces(args, pipeline, frames, targets):
    """Build both search spaces: the suggested ones, minus fixed parameters, plus ``--space``.

    Parameters
    ----------
    args : argparse.Namespace
        Arguments of the command tune.
    pipeline : Pipeline
        From :func:`make_pipeline`.
    frames : list of ase.Atoms
        Structures of the search.
    targets : dict
        Targets other than energies.

    Returns
    -------
    list of two dicts
        Spaces for TwoStagePSOSearchCV.
    """
    from .. import suggest_space

    spaces = suggest_space(frames, pipeline, forces="forces" in targets,
                           virials="virials" in targets)
    given = {f"{path_of(pipeline, option.step)}__{option.parameter}" for option in MODEL_OPTIONS
             if getattr(args, option.parameter) is not None}
    # more sparse points cost time but never do harm, so their number is not searched
    given.add("gap__n_sparse")
    spaces = [{name: dimension for name, dimension in space.items() if name not in given}
              for space in spaces]
    for text in args.space:
        name, _, values = text.partition("=")
        paths = [path_of(pipeline, step) for step in ("soap", "gap")]
        known = pipeline.get_params()
        steps = [index for index, path in enumerate(paths) if f"{path}__{name}" in known]
        if not steps or not values:
            raise ValueError(f"--space is {text!r}, but must be a parameter of the descriptor or "
                             "the regressor and a range, such as cutoff=3:6")
        index = steps[0]
        spaces[index][f"{paths[index]}__{name}"] = parse_range(text, values)
    return spaces


def parse_range(text, values):
    """Parse a dimension of a search space.

    Parameters
    ----------
    text : str
        The whole argument, for messages.
    values : str
        Such as ``3:6``, ``1e-4:1e-2:log`` or ``2,4``.

    Returns
    -------
    list or scipy distribution
        Values as in RandomizedSearchCV.
    """
    parts = values.split(":")
    if len(parts) == 1:
        return [_parse_value(value) for value in values.split(",")]
    low, high = (_parse_value(value) for value in parts[:2])
    are_numbers = all(isinstance(value, (int, float)) for value in (low, high))
    if not are_numbers or not low < high or parts[2:] not in ([], ["log"]):
        raise ValueError(f"--space is {text!r}, but ranges are low:high, low:high:log, or a,b,c")
    if len(parts) == 3:
        if low <= 0:
            raise ValueError(f"--space is {text!r}, but a logarithmic range starts above 0")
        return loguniform(low, high)
    if isinstance(low, int) and isinstance(high, int):
        return randint(low, high + 1)
    return uniform(low, high - low)


def _parse_value(text):
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return {"none": None, "true": True, "false": False}.get(text.lower(), text)

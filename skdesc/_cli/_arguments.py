"""Arguments of the command line."""

from __future__ import annotations

import argparse
from typing import NamedTuple

from .. import __version__


class ModelOption(NamedTuple):
    """Option that is a parameter of a step of the pipeline."""

    flag: str
    step: str
    parameter: str
    kind: type
    default: object
    text: str


DESCRIPTORS = ("soap", "tensor-reduced", "two-body+soap")
COMPRESSIONS = ("mu1nu1", "mu2", "crossover")
MODEL_OPTIONS = [
    ModelOption("--cutoff", "soap", "cutoff", float, "auto", "radius of environments, A"),
    ModelOption("--cutoff-width", "soap", "cutoff_width", float, "auto",
                "width over which weights fall to zero, A (cutoff_transition_width)"),
    ModelOption("--n-max", "soap", "n_max", int, 8, "number of radial functions"),
    ModelOption("--l-max", "soap", "l_max", int, 6, "largest angular momentum"),
    ModelOption("--atom-sigma", "soap", "atom_sigma", float, "auto", "width of atoms, A"),
    ModelOption("--radial-basis", "soap", "radial_basis", str, "gto",
                "gto, polynomial, laplacian, or equispaced (as QUIP's, needed for .xml)"),
    ModelOption("--center-weight", "soap", "center_weight", float, 1.0,
                "weight of the center itself (central_weight)"),
    ModelOption("--zeta", "gap", "zeta", float, 4, "exponent of the covariance"),
    ModelOption("--n-sparse", "gap", "n_sparse", int, 500, "sparse points per element"),
    ModelOption("--sparse-method", "gap", "sparse_method", str, "cur",
                "cur, fps, kmeans, random, or config (equally many of each config_type)"),
    ModelOption("--energy-scale", "gap", "energy_scale", float, "auto",
                "scale of the energy of an environment, eV (delta)"),
    ModelOption("--sigma-energy", "gap", "sigma_energy", float, 0.001,
                "noise of energies, eV per atom (first of default_sigma)"),
    ModelOption("--sigma-forces", "gap", "sigma_forces", float, 0.1,
                "noise of forces, eV/A (second of default_sigma)"),
    ModelOption("--sigma-virials", "gap", "sigma_virials", float, 0.1,
                "noise of virials, eV per atom (third of default_sigma)"),
    ModelOption("--jitter", "gap", "jitter", float, "auto",
                "added to covariances of sparse points, relative (sparse_jitter)"),
]

_FILES = "files, or file@::2 for every second structure of one"

_DESCRIPTION = """\
Machine-learned interatomic potentials from files of structures.

  skdesc auto train.xyz -o model.skd --minutes 10 --test test.xyz --report report.html
  skdesc fit train.xyz -o model.skd --cutoff 5 --n-sparse 500
  skdesc evaluate model.skd test.xyz
  skdesc predict model.skd new.xyz -o predicted.xyz
  skdesc tune train.xyz -o model.skd --max-time 600
  skdesc convert model.skd model.xml

Structures are extended xyz, plain or compressed (.xz, .gz, .bz2), or any format that ASE knows.
Energies are in eV, forces in eV/A, stresses in eV/A^3 with ASE's sign. Models are files of
skdesc.io.save (.skd, without any code in them), or potentials of QUIP (.xml), which quippy and
LAMMPS run; convert turns one into the other.

Structures may also be folders, databases of ASE, MLIP's .cfg, folders of DeePMD, Parquet tables.
Exit codes: 0 success, 1 an error, 2 invalid arguments, 130 interrupted.

"skdesc COMMAND --help" explains each command."""

_AUTO = """\
Find the best potential within a given time, and fit it.

The default pipeline is fitted first. Other descriptors, numbers of sparse points and noise levels
are compared on held-back structures, and the potential that is saved has no error there above
1.02 times that of the default. At the end it is also fitted to the held-back structures. Ctrl-C
ends the search and keeps the best potential so far."""

_AUTO_EXAMPLES = """\
examples:
  skdesc auto train.xyz -o model.skd
      ten minutes
  skdesc auto train.xyz -o model.skd --minutes 60 --test test.xyz --report report.html
      an hour, with a page on data, candidates and errors
  skdesc auto train.xyz -o model.skd --time-per-atom 20
      the best potential whose step takes at most 20 microseconds per atom"""

_FIT = """\
Fit a Gaussian approximation potential on SOAP descriptors.

The potential is fitted to the energies, and to forces and virials if the structures have them.
At the end the leave-one-out error of the energies, known in closed form, is printed; for errors
of forces evaluate the model on structures that it has not seen."""

_FIT_EXAMPLES = """\
examples:
  skdesc fit train.xyz.xz -o cu.skd
      all defaults: good for a first look
  skdesc fit train.xyz -o w.skd --cutoff 5 --n-max 10 --l-max 6 --zeta 4 --n-sparse 1000 \\
      --sigma-energy 0.001 --sigma-forces 0.05 --e0 W=-4.54
      with the known energy of a lone atom
  skdesc fit train.xyz -o potential.xml --radial-basis equispaced
      a potential for quippy and LAMMPS
  skdesc fit train.xyz -o m.skd --config-sigma liquid=0.01,0.3,0.5
      less trust in structures with config_type=liquid: energy, forces, virials"""

_TUNE = """\
Search for good parameters with a particle swarm, then fit the best to all structures.

First the descriptor is tuned, then the regressor on the features of the best descriptor. The
search space is derived from the structures; parameters given as options stay fixed, and --space
replaces or adds ranges. Errors are those of cross-validation."""

_TUNE_EXAMPLES = """\
examples:
  skdesc tune train.xyz -o model.skd --max-time 600 --every 3 --checkpoint search.json
      ten minutes on every third structure; the same command continues the search
  skdesc tune train.xyz -o model.skd --cutoff 4.5 --space n_max=6:10 --space zeta=2,4 \\
      --space sigma_energy=1e-4:1e-2:log
      the cutoff is fixed; integers, choices, a logarithmic range"""


def make_parser():
    """Return the parser of all commands."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("skdesc", description=_DESCRIPTION, formatter_class=raw)
    parser.add_argument("--version", action="version", version=f"skdesc {__version__}")
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", title="commands"
    )

    def command(name, summary, description=None, epilog=None):
        sub = commands.add_parser(name, help=summary, description=description or summary + ".",
                                  epilog=epilog, formatter_class=raw)
        sub.add_argument("--quiet", action="store_true", help="no messages and no progress bar")
        sub.add_argument("--debug", action="store_true", help="show the traceback of errors")
        sub.add_argument("--types", metavar="LIST", help="elements of the types 0, 1, ... in files "
                         "without symbols, such as Cu,Au")
        sub.add_argument("--log", metavar="FILE", help="append all messages to a file")
        sub.add_argument("--config", metavar="FILE",
                         help="TOML file with options, such as n-sparse = 500; those that are "
                         "given as well count")
        sub.add_argument("--save-config", metavar="FILE",
                         help="write all options for --config, so that the run can be repeated")
        return sub

    auto = command("auto", "find and fit the best potential within a given time", _AUTO,
                   _AUTO_EXAMPLES)
    _add_auto(auto)
    fit = command("fit", "fit a potential", _FIT, _FIT_EXAMPLES)
    add_training(fit)
    tune = command("tune", "search for good parameters, and fit with them", _TUNE, _TUNE_EXAMPLES)
    add_training(tune)
    _add_search(tune)
    predict = command("predict", "write structures with predicted energies, forces and stresses")
    predict.add_argument("model", help="model file (.skd or .xml)")
    predict.add_argument("files", nargs="+", help=f"structures: {_FILES}")
    predict.add_argument("-o", "--output", required=True,
                         help="structures with the predictions: extended xyz (.xyz, .xyz.xz, ...), "
                         ".traj, .json or .db")
    predict.add_argument("--std", action="store_true",
                         help="also write energy_std, the uncertainty of energies in eV")
    evaluate = command("evaluate", "compare predictions with the energies, forces and stresses "
                       "in files")
    evaluate.add_argument("model", help="model file (.skd or .xml)")
    evaluate.add_argument("files", nargs="+", help=f"structures with reference data: {_FILES}")
    evaluate.add_argument("--by-config-type", action="store_true",
                          help="errors of each config_type as well")
    evaluate.add_argument("--by-element", action="store_true",
                          help="errors of forces on atoms of each element as well")
    evaluate.add_argument("--plot", metavar="FILE",
                          help="picture of predictions over reference data")
    evaluate.add_argument("--json", action="store_true", help="print JSON, in eV and A")
    add_keys(evaluate)
    for sub in (predict, evaluate):
        sub.add_argument("--jobs", type=int, help="threads (default: all)")
    convert = command(
        "convert", "convert a model to another kind of file",
        "Convert a model of skdesc (.skd) to a potential for QUIP (.xml), or back.",
    )
    convert.add_argument("model", help="model file (.skd or .xml)")
    convert.add_argument("output", help="model file (.xml or .skd)")
    return parser


def command_parsers(parser):
    """Parsers of the commands, by name."""
    kinds = (action for action in parser._actions
             if isinstance(action, argparse._SubParsersAction))
    return next(kinds).choices


def add_training(sub):
    sub.add_argument("files", nargs="+", help=f"training structures: {_FILES}")
    sub.add_argument("-o", "--output", required=True,
                     help="model file: .skd, or .xml for QUIP and LAMMPS")
    sub.add_argument("--test", nargs="+", metavar="FILE",
                     help="structures whose errors are printed beside those of training")
    sub.add_argument("--valid", nargs="+", metavar="FILE",
                     help="as --test; tune compares candidates on these in place of folds")
    sub.add_argument("--plot", metavar="FILE",
                     help="picture of predictions over reference data (.png, .pdf or .svg)")
    sub.add_argument("--report", metavar="FILE", help="HTML page on data, errors and uncertainty")
    group = sub.add_argument_group("descriptor (soap) and regressor (gap)")
    group.add_argument("--descriptor", choices=DESCRIPTORS, default="soap",
                       help="tensor-reduced for many elements; two-body+soap adds pairs "
                       "(default: soap)")
    group.add_argument("--compression", choices=COMPRESSIONS,
                       help="of soap: sums over elements or radial functions (default: none)")
    for option in MODEL_OPTIONS:
        group.add_argument(option.flag, type=option.kind, metavar=option.kind.__name__.upper(),
                           help=f"{option.text} (default: {option.default})")
    group.add_argument("--species", metavar="LIST",
                       help="elements, such as C,H,O (default: those in the structures)")
    group.add_argument("--e0", metavar="E0", default="auto",
                       help="energies of lone atoms: auto, none, or a list such as H=-13.6,C=-1030")
    group.add_argument("--zbl", action="store_true",
                       help="learn the difference to the repulsion of nuclei (ZBL)")
    group.add_argument("--optimize", action="store_true",
                       help="refine noise and energy scale by the marginal likelihood")
    group.add_argument("--config-sigma", metavar="TYPE=E,F,V", action="append", default=[],
                       help="noise of structures of a config_type, may be repeated; the word "
                       "default in place of a number keeps that one")
    add_keys(sub)
    sub.add_argument("--jobs", type=int, help="threads (default: all)")
    sub.add_argument("--seed", type=int, default=0, help="seed of all random choices (default: 0)")


def add_keys(sub):
    group = sub.add_argument_group("names of data in the files")
    group.add_argument("--energy-key", default="energy", metavar="KEY")
    group.add_argument("--forces-key", default="forces", metavar="KEY")
    group.add_argument("--stress-key", default="stress", metavar="KEY")
    group.add_argument("--virial-key", default="virial", metavar="KEY")
    group.add_argument("--optional-energies", action="store_true",
                       help="accept structures without energy, and learn only their forces")
    group.add_argument("--no-forces", action="store_true", help="leave forces out")
    group.add_argument("--no-virials", action="store_true", help="leave stresses and virials out")


def _add_auto(sub):
    sub.add_argument("files", nargs="+", help=f"training structures: {_FILES}")
    sub.add_argument("-o", "--output", required=True, help="model file (.skd)")
    sub.add_argument("--minutes", type=float, default=10.0, metavar="FLOAT",
                     help="time for the search and all fits (default: 10)")
    sub.add_argument("--time-per-atom", type=float, metavar="MICROSECONDS",
                     help="longest time for energy and forces of one atom")
    sub.add_argument("--test", nargs="+", metavar="FILE",
                     help="structures with reference data, evaluated after the search")
    sub.add_argument("--report", metavar="FILE", help="HTML page on data, candidates and errors")
    add_keys(sub)
    sub.add_argument("--jobs", type=int, help="threads (default: all)")
    sub.add_argument("--seed", type=int, default=0, help="seed of all random choices (default: 0)")


def _add_search(sub):
    group = sub.add_argument_group("search")
    group.add_argument("--space", metavar="NAME=RANGE", action="append", default=[],
                       help="range to search, may be repeated; low:high, low:high:log, or a,b,c")
    group.add_argument("--n-particles", type=int, metavar="INT",
                       help="candidates per iteration (default: 5, the best of 16)")
    group.add_argument("--n-iterations", type=int, metavar="INT",
                       help="iterations of each stage (default: 5 and 4)")
    group.add_argument("--max-time", type=float, metavar="SECONDS", help="limit of the search")
    group.add_argument("--folds", type=int, default=3, metavar="INT",
                       help="folds of the cross-validation (default: 3)")
    group.add_argument("--every", type=int, default=1, metavar="INT",
                       help="search on every N-th structure only (default: 1)")
    group.add_argument("--search-n-sparse", type=int, default=100, metavar="INT",
                       help="sparse points per element during the search (default: 100)")
    group.add_argument("--score", choices=["auto", "energy", "forces"], default="auto",
                       help="error to minimize (default: all quantities together, each relative "
                       "to its spread)")
    group.add_argument("--objective", default="auto", metavar="NAME",
                       help="objective of the first stage: one_pass, cv, loo, ridge or alignment "
                       "(default: one_pass where possible)")
    group.add_argument("--checkpoint", metavar="FILE",
                       help="save evaluations, so that an interrupted search can continue")

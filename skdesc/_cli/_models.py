"""Check, load and save model files."""

from __future__ import annotations

from pathlib import Path

from sklearn.pipeline import FeatureUnion, Pipeline

from ..gaussian_process import GAPRegressor
from ..io import load, read_quip_xml, save, write_quip_xml
from ..io._quip_packing import BASES
from ..utils.validation import is_choice


def check_folder(path):
    folder = Path(path).resolve().parent
    if not folder.is_dir():
        raise FileNotFoundError(f"{path} cannot be written, its folder does not exist; make it")


def check_output(path, pipeline):
    check_folder(path)
    if not is_xml(path):
        return
    if "soap" not in pipeline.named_steps:
        raise ValueError(f"{path} is to be a potential for QUIP, whose only descriptor is "
                         "soap; give --descriptor soap, or a .skd file")
    basis = pipeline["soap"].radial_basis
    if basis not in BASES:
        raise ValueError(f"{path} is to be a potential for QUIP, which has no radial basis "
                         f"{basis}; give --radial-basis equispaced")
    if not is_choice(pipeline["gap"].baseline, "auto", None):
        raise ValueError(f"{path} is to be a potential for QUIP, whose format has no baseline; "
                         "leave out --zbl")


def is_xml(path):
    return Path(path).suffix.lower() == ".xml"


def save_model(pipeline, path):
    if is_xml(path):
        write_quip_xml(pipeline, path)
    else:
        save(pipeline, path)


def load_model(args):
    model = read_quip_xml(args.model) if is_xml(args.model) else load(args.model)
    if not isinstance(model, Pipeline) or not isinstance(model[-1], GAPRegressor):
        raise ValueError(f"{args.model} holds a {type(model).__name__}, but must hold a pipeline "
                         "that ends in a GAPRegressor")
    return model


def load_for_predictions(args):
    """Load a model and set its number of threads to ``--jobs``, by default all cores."""
    model = load_model(args)
    first, last = model[0], model[-1]
    members = [step for _, step in first.transformer_list] if isinstance(
        first, FeatureUnion) else [first]
    for step in (*members, last):
        step.set_params(n_jobs=-1 if args.jobs is None else args.jobs)
    return model

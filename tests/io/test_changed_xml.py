"""Changed numbers, attributes and elements of potentials for QUIP."""

import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from helpers.potentials import crystals, fit_potential

from skdesc.io import read_quip_xml, write_quip_xml

NUMBERS = ["0", "-1", "1", "2", "1_0", "1e308", "-1e308", "1e-308", "1e400", "nan", "inf", "1000",
           "65", "31", "2147483648", "18446744073709551616", "0x10", "1.5", "T", "", "1d400", "+-1",
           "\uff11", "1" * 5000]


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("xml") / "potential.xml"
    model = fit_potential(crystals(4), n_sparse=2, n_max=2, l_max=1, radial_basis="equispaced")
    write_quip_xml(model, path)
    return path.read_text()


def change(text, rng):
    """Change one thing."""
    kind = rng.integers(4)
    pattern = [
        # numbers, attributes, elements, words of descriptors
        r"(?<![\w.])[-+]?\d[\d.]*(?:[eE][-+]?\d+)?",
        r'\w+="[^"]*"', r"<(\w+)[^>]*?(/>|>[^<]*</\1>)",
        r"\w+=[^ \"<{]+",
    ][kind]
    places = list(re.finditer(pattern, text))
    place = places[rng.integers(len(places))]
    other = places[rng.integers(len(places))].group()
    choices = ["", other, place.group() * 2]
    new = NUMBERS[rng.integers(len(NUMBERS))] if kind == 0 else choices[rng.integers(len(choices))]
    return text[:place.start()] + new + text[place.end():]


def attempt(text, path, frames):
    """Read a file and use what it holds; False if it is refused."""
    path.write_text(text, encoding="utf-8")
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            model = read_quip_xml(path)
            model.predict(frames, return_forces=True, return_virials=True)
        except ValueError:
            return False
    return True


def check(text, path, seeds):
    frames, accepted = crystals(1, seed=50), 0
    for seed in seeds:
        rng = np.random.default_rng(seed)
        changed = text
        for _ in range(rng.integers(1, 3)):
            changed = change(changed, rng)
        try:
            accepted += attempt(changed, Path(path), frames)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error!r}") from error
    assert 0.02 < accepted / len(seeds) < 0.9


def test_changed_files(text, tmp_path):
    check(text, tmp_path / "changed.xml", range(200))


@pytest.mark.slow
def test_many_changed_files(text, tmp_path):
    check(text, tmp_path / "changed.xml", range(1000, 11000))

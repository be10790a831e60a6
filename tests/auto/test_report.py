"""The page: complete, closed in itself, and safe against names in the data."""

import re

import numpy as np
import pytest
from auto.conftest import crystals
from helpers.html_pages import outline

from skdesc import AutoPotential, extract_targets

HOSTILE = '<script>alert("1")</script> & $x_'


def test_page_is_complete(fitted, frames, tmp_path):
    path = tmp_path / "report.html"
    fitted.report(path, test=crystals(6, seed=9), command="skdesc auto <train>.xyz")
    page = outline(path)
    text = " ".join(page.text)
    for heading in ("Result", "Data", "What was tried", "Errors", "Uncertainty", "Largest errors",
                    "Pairs of atoms", "How to repeat this"):
        assert heading in page.text
    for part in ("training", "held back", "test", "config_type shaken", "least-squares fit",
                 "skdesc auto <train>.xyz", "scikit-learn", "AutoPotential("):
        assert part in text
    # front, parity of three quantities, calibration, pairs
    assert page.tags.count("img") >= 6
    errors = fitted.errors(crystals(6, seed=9))
    assert f"{1e3 * errors['forces_mae']:.3g} / {1e3 * errors['forces_rmse']:.3g}" in text


def test_page_needs_no_network(fitted, tmp_path):
    path = tmp_path / "report.html"
    fitted.report(path)
    page = outline(path)
    assert not {"script", "link", "iframe"} & set(page.tags)
    assert page.sources
    assert all(value.startswith("data:image/svg+xml;base64,") for value in page.sources)
    assert not re.search(r"url\(|@import|https?:", path.read_text(encoding="utf-8"))


def test_names_from_data_are_escaped(few_candidates, tmp_path):
    frames = crystals(12)
    for atoms in frames[::2]:
        atoms.info["config_type"] = HOSTILE
    auto = AutoPotential(time_budget=20, random_state=0).fit(frames)
    auto.report(tmp_path / "report.html", command=HOSTILE)
    page = outline(tmp_path / "report.html")
    assert "script" not in page.tags
    assert any(HOSTILE in text for text in page.text)


def test_energies_alone_and_tests_by_arrays(few_candidates, tmp_path):
    frames = crystals(12)
    y = extract_targets(frames)[0]
    auto = AutoPotential(time_budget=20, random_state=0).fit(frames, y)
    auto.report(tmp_path / "report.html", test=([a.copy() for a in frames], y + 1.0, {}))
    text = " ".join(outline(tmp_path / "report.html").text)
    assert "force components" not in text
    assert "Parity: forces" not in text
    # each of the four atoms' energies is off by a quarter of an electronvolt
    assert re.search(r"\b2[45][0-9](\.\d)? / 2[45][0-9]", text)


@pytest.mark.filterwarnings("ignore:X has 3 structures")
def test_without_anything_held_back(tmp_path):
    AutoPotential(time_budget=5).fit(crystals(3)).report(tmp_path / "report.html")
    assert "default" in " ".join(outline(tmp_path / "report.html").text)


def test_missing_targets(few_candidates, tmp_path):
    frames = crystals(14)
    y, targets = extract_targets(frames)
    y[3], targets["forces"][5] = np.nan, None
    targets["forces"][6][1, 2] = np.nan
    targets["virials"][7] = np.nan
    with pytest.warns(UserWarning, match="y is NaN for 1 of 14"):
        auto = AutoPotential(time_budget=20, random_state=0).fit(frames, y, **targets)
    auto.report(tmp_path / "report.html")
    text = " ".join(outline(tmp_path / "report.html").text)
    assert "y is NaN for 1 of 14 structures" in text
    assert "nan" not in text.lower().replace("y is nan", "")

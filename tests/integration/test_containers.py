"""Every container of structures in every tool: the table in docs/containers.md is what happens."""

import re
import traceback
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase.build import molecule
from helpers.tools import CONTAINERS, OWN_WORDS, TOOLS, cell, outcome

import skdesc
from skdesc import check_structures

PACKAGE = Path(skdesc.__file__).parent
DOCS = Path(__file__).parents[2] / "docs" / "containers.md"
# They turn X into a 2-D array before any code of this package sees it: a column is one already.
NEED_COLUMNS = {"BaggingRegressor", "ColumnTransformer", "permutation_importance"}
COLUMNS = {"array (n, 1)", "DataFrame"}


def entries(number):
    """Entries of a table of the page, by the heads of their rows and columns."""
    tables = re.findall(r"(?:^\|.*\n)+", DOCS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    rows = [
        [entry.strip() for entry in line.strip("|").split("|")]
        for line in tables[number].splitlines()
    ]
    header, _, *body = rows
    return {
        (row[0], column): entry
        for row in body for column, entry in zip(header[1:], row[1:], strict=True)
    }


def documented():
    """What becomes of each pair of a tool and a container."""
    return entries(0)


def messages():
    """What the tools say to the containers that they do not take."""
    containers = sorted(CONTAINERS, key=len, reverse=True)  # "array (n,)" has a comma
    pattern = "|".join(map(re.escape, containers))
    return {
        (tool, container): message for (some, tool), message in entries(1).items()
        for container in re.findall(pattern, some)
    }


@pytest.fixture(scope="module")
def expected():
    """What each tool gives for a data frame, which all of them take."""
    return {tool: outcome(tool, "DataFrame") for tool in TOOLS}


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("tool", TOOLS)
def test_pair(tool, container, expected):
    result, error = outcome(tool, container)
    assert documented()[tool, container] == cell(error), error
    if tool in NEED_COLUMNS and container not in COLUMNS:
        ours = [frame.filename for frame in traceback.extract_tb(error.__traceback__)
                if Path(frame.filename).is_relative_to(PACKAGE)]
        # what is not ours says what the page cites, before it calls anything that is
        assert bool(ours) == (container == "Structures")
        assert ours or messages()[tool, container] in str(error)
        return
    assert error is None
    assert np.isfinite(result).all()
    np.testing.assert_allclose(result, expected[tool][0], rtol=1e-8, atol=1e-8)


def test_the_tables_are_complete():
    assert set(documented()) == {(tool, container) for tool in TOOLS for container in CONTAINERS}
    assert set(documented().values()) <= {"yes", "our error", "its own error"}
    refused = {pair for pair, entry in documented().items() if entry == "its own error"}
    assert set(messages()) == refused


@pytest.mark.parametrize("tool", sorted(NEED_COLUMNS))
def test_lists_of_equal_sizes_are_not_taken_apart_silently(tool):
    """NumPy makes a table of single atoms of them, which we refuse by name."""
    with pytest.raises((TypeError, ValueError)) as caught:
        TOOLS[tool]([molecule("H2O") for _ in range(12)], np.arange(12.0))
    text = str(caught.value)
    assert any(word in text for word in OWN_WORDS) or "Expected 2D array" in text


@pytest.mark.parametrize(
    ("names", "match"),
    [
        (["atoms", "energy"], r"2 columns, 'atoms', 'energy', .* choose it: X\[\[column\]\]"),
        (["atoms", "atoms"], r"X\.iloc\[:, \[position\]\], as several have the name 'atoms'"),
        (range(9), r"9 columns, 0, 1, 2, 3, 4, \.\.\., but one of structures"),
        ([], "DataFrame of 0 columns"),
    ],
)
def test_data_frames_of_several_columns(names, match):
    frames = CONTAINERS["array (n,)"]([molecule("H2O")] * 3)
    table = pd.concat([pd.Series(frames) for _ in names] or [pd.DataFrame(index=range(3))], axis=1)
    table.columns = list(names)
    with pytest.raises(TypeError, match=match):
        check_structures(table)
    if len(names) == 2:
        assert len(check_structures(table.iloc[:, [0]])) == 3

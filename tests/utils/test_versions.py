"""What a report of a fault needs."""

import numpy as np
import pytest

import skdesc
from skdesc.utils import versions


def test_versions_are_printed(capsys):
    skdesc.show_versions()
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert f"skdesc: {skdesc.__version__}" in lines
    assert f"numpy: {np.__version__}" in lines
    assert {"System", "Packages", "Compiled"} <= set(lines)


def test_optional_packages_that_are_absent_are_left_out(monkeypatch, capsys):
    monkeypatch.setattr(versions, "_OPTIONAL", ("no-such-package", "pytest"))
    monkeypatch.setattr(versions, "_DEPENDENCIES", ("no-such-dependency",))
    skdesc.show_versions()
    out = capsys.readouterr().out
    assert "no-such-package" not in out
    assert "no-such-dependency: not installed" in out
    assert f"pytest: {pytest.__version__}" in out

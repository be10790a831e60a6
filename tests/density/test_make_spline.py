"""A spline is made once for each set of parameters."""

import numpy as np
import pytest

from skdesc.density import _make_spline, make_spline

PARAMETERS = {
    "cutoff": 4.0, "cutoff_width": 0.5, "n_max": 3, "l_max": 2, "atom_sigma": 0.5,
    "radial_basis": "gto", "radial_scaling": None,
}


def test_equal_parameters_share_a_spline():
    first = make_spline(PARAMETERS)
    assert make_spline({**PARAMETERS, "cutoff": 4}) is first
    with pytest.raises(ValueError, match="read-only"):
        first.table[0] = 0.0


@pytest.mark.parametrize(("name", "value"), [
    ("cutoff", 4.1), ("cutoff_width", 0.6), ("n_max", 4), ("l_max", 3), ("atom_sigma", 0.4),
    ("radial_basis", "polynomial"), ("radial_scaling", (1.0, 2.0, 4.0)),
])
def test_every_parameter_counts(name, value):
    changed = make_spline({**PARAMETERS, name: value})
    first = make_spline(PARAMETERS)
    assert changed is not first
    assert not (changed.table.shape == first.table.shape
                and np.array_equal(changed.table, first.table))


def test_tables_are_told_apart_by_content_and_functions_are_not_kept():
    x = np.linspace(0, 9, 40)
    table = np.stack([x, np.exp(-x), np.exp(-2 * x), np.exp(-(x**2))])
    first = make_spline({**PARAMETERS, "radial_basis": table})
    assert make_spline({**PARAMETERS, "radial_basis": table.tolist()}) is first
    table[1] *= 1 + 0.1 * x
    assert make_spline({**PARAMETERS, "radial_basis": table}) is not first

    width = [1.0]

    def function(x, n_max):
        return np.array([np.exp(-(n + 1) * x / width[0]) for n in range(n_max)])

    before = make_spline({**PARAMETERS, "radial_basis": function})
    width[0] = 2.0
    after = make_spline({**PARAMETERS, "radial_basis": function})
    assert not np.array_equal(before.table, after.table)
    assert _make_spline.SPLINES.n_bytes <= _make_spline.SPLINES.budget

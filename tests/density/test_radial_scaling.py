"""Weights by distance: values from their formulas, derivatives from differences, bad input."""

import numpy as np
import pytest

from skdesc.density import RadialSpline, make_radial_basis, make_radial_scaling

CASES = {
    "tuple": ((1.5, 2.0, 4), lambda r: 1.5 / (1.5 + (r / 2.0) ** 4)),
    "dict": ({"rate": 1.5, "scale": 2.0, "exponent": 2.5}, lambda r: 1.5 / (1.5 + (r / 2) ** 2.5)),
    "no effect": ((1.0, 2.0, 0), lambda r: 0.5 + 0 * r),
    "pow": ({"function": "pow", "c": 3.0, "d": 0.7, "r0": 1.3, "m": 1},
            lambda r: 3.0 / (0.7 + r / 1.3)),
    "exp": ({"function": "exp", "c": 2.0, "d": 0.4, "r0": 1.1},
            lambda r: 2.0 / (0.4 + np.exp(-r / 1.1))),
    "poly": ({"function": "poly", "c": 2.0, "r0": 3.1, "m": 2},
             lambda r: np.where(r < 3.1, 2 * (1 + 2 * (r / 3.1)**3 - 3 * (r / 3.1)**2)**2, 0)),
    "poly 1": ({"function": "poly", "r0": 3.1, "m": 1},
               lambda r: np.where(r < 3.1, 1 + 2 * (r / 3.1)**3 - 3 * (r / 3.1)**2, 0)),
}


@pytest.mark.parametrize("name", CASES)
def test_values_and_derivatives(name):
    given, formula = CASES[name]
    weight = make_radial_scaling(given)
    r = np.linspace(0.3, 3.9, 50)
    r = r[np.abs(r - 3.1) > 0.01]
    f, f1, f2 = weight(r)
    np.testing.assert_allclose(f, formula(r), atol=1e-13)
    h = 1e-4
    above, below = weight(r + h), weight(r - h)
    np.testing.assert_allclose((above[0] - below[0]) / (2 * h), f1, atol=1e-6)
    np.testing.assert_allclose((above[1] - below[1]) / (2 * h), f2, atol=1e-6)
    assert np.isfinite(weight(np.zeros(1))).all()


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("width", [0.0, 0.5, 4.0])
def test_splines_reach_their_accuracy(name, width):
    """Ranges are split where the weight is not analytic, so no interval has a kink inside."""
    basis = make_radial_basis("gto", cutoff=4.0, n_max=3, l_max=2, atom_sigma=0.5)
    spline = RadialSpline(basis, cutoff=4.0, cutoff_width=width, atom_sigma=0.5,
                          scaling=make_radial_scaling(CASES[name][0]))
    assert spline.error < 1e-10
    assert len(spline.table) < (1000 if name != "dict" else 5000)  # r^2.5 is no power series


BAD = [
    (1.0, "must be None"),
    ("willatt", "must be None"),
    ((1.0, 2.0), "must be None"),
    ({"function": "cos"}, "must be None"),
    ({"rate": 1.0, "scale": 1.0}, r"missing: \['exponent'\]"),
    ({"rate": 1.0, "scale": 1.0, "exponent": 2, "r0": 1}, r"unknown: \['r0'\]"),
    ((0.0, 2.0, 4), "rate of radial_scaling is .*, but must be a finite number above 0"),
    ((1.0, -2.0, 4), "scale of radial_scaling is .*, but must be a finite number above 0"),
    ((1.0, np.nan, 4), "scale of radial_scaling is .*, but must be"),
    ((1.0, 2.0, 1.5), "exponent of radial_scaling is .*, but must be 0, 1, or at least 2"),
    ((1.0, 2.0, "4"), "exponent of radial_scaling is .*, but must be"),
    ({"function": "poly", "r0": 3.0, "m": 0.5}, "m of .* is 0.5, but must be 0, or at least 1"),
]


@pytest.mark.parametrize(("given", "match"), BAD)
def test_weights_that_cannot_be(given, match):
    with pytest.raises(ValueError, match=match):
        make_radial_scaling(given)

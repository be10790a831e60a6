"""The page on files and other programs: its Python code runs, and what its tables say is true."""

import inspect
import re
from pathlib import Path

import numpy as np
import pytest
from ase.build import molecule

from skdesc import GAPRegressor, SOAPTransformer

PAGE = (Path(__file__).parents[2] / "docs" / "interoperability.md").read_text(encoding="utf-8")


def test_its_code_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    assert len(blocks) == 3
    namespace = {}
    for block in blocks:
        exec(block, namespace)
    assert len(namespace["forces"]) == 10
    assert 'Potential label="copper"' in (tmp_path / "copper.xml").read_text()


def test_names_in_its_tables_exist():
    names = {*inspect.signature(SOAPTransformer).parameters,
             *inspect.signature(GAPRegressor).parameters}
    for name in ("cutoff_width", "center_weight", "radial_scaling", "energy_scale", "baseline",
                 "sigma_virials", "jitter", "compression", "pooling"):
        assert name in names
        assert f"`{name}" in PAGE


@pytest.mark.parametrize("weighting", [None, {"function": "pow", "c": 1, "d": 1, "r0": 2, "m": 2}])
@pytest.mark.parametrize(("average", "pooling"), [("off", None), ("inner", "inner"),
                                                  ("outer", "mean")])
def test_values_of_dscribe(weighting, average, pooling):
    dscribe = pytest.importorskip("dscribe.descriptors")
    methanol, species = molecule("CH3OH"), ["C", "H", "O"]
    more = {} if weighting is None else {"weighting": dict(weighting)}
    theirs = dscribe.SOAP(
        species=species, r_cut=5.0, n_max=4, l_max=3, sigma=0.5, average=average, **more
    )
    values = np.atleast_2d(theirs.create(methanol))
    soap = SOAPTransformer(
        species, cutoff=5.0, n_max=4, l_max=3, atom_sigma=0.5, cutoff_width=0, normalize=False,
        radial_basis="gto-dscribe", radial_scaling=weighting, pooling=pooling,
    ).fit([methanol])
    ours = soap.transform([methanol])
    ours = ours if pooling else ours.values
    channels = [name.split("_")[1:3] for name in soap.set_params(pooling="mean")
                .get_feature_names_out()]
    ours = ours / np.where([a == b for a, b in channels], 1, np.sqrt(2))
    for first, second in (("H", "H"), ("H", "C"), ("C", "O"), ("O", "O")):
        found = ours[:, soap.feature_slice(first, second)]
        expected = values[:, theirs.get_location((first, second))]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10 * np.abs(values).max())

"""Methods of a regressor that a search may call, besides its fold session."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any

import numpy as np

from ..utils.typing import Features, PerStructure
from ._scorers import default_scorer


class SearchHooks:
    """Mixin: the metric, the report of errors, and a smaller regressor for some of the data."""

    def search_scorer(self) -> Callable[..., float]:
        """Metric of searches without a scorer.

        Returns
        -------
        callable
            With forces or virials the error of all quantities together, see
            :func:`~skdesc.metrics.make_potential_scorer`; R2 of energies without.
        """
        return default_scorer()

    def report_errors(
        self,
        X: Features,
        y: PerStructure,
        *,
        forces: PerStructure | None = None,
        virials: PerStructure | None = None,
        **others: Any,
    ) -> dict[str, float]:
        """Root mean square errors of all quantities that are passed to fit.

        Parameters
        ----------
        X, y, forces, virials : object
            As in :meth:`fit`.
        **others : object
            Further arguments of :meth:`fit`, which play no part.

        Returns
        -------
        dict of str to float
            "energy" and "virials" in eV per atom, "forces" in eV/angstrom.
        """
        true = {"energy": y, "forces": forces, "virials": virials}
        true = {name: values for name, values in true.items() if values is not None}
        wanted = {f"return_{name}": True for name in true if name != "energy"}
        predicted = self.predict(X, **wanted)
        predicted = dict(zip(true, predicted if wanted else [predicted], strict=True))
        n_atoms = np.asarray(getattr(X, "n_atoms", np.ones(len(X))), dtype=np.float64)
        errors = {}
        for name, values in true.items():
            per = np.ones(len(n_atoms)) if name == "forces" else n_atoms
            squares = [
                ((np.asarray(a, dtype=np.float64) - np.asarray(b)) / n).ravel() ** 2
                for a, b, n in zip(values, predicted[name], per, strict=True)
                if a is not None
            ]
            known = np.concatenate(squares) if squares else np.empty(0)
            known = known[np.isfinite(known)]
            if known.size:
                errors[name] = float(np.sqrt(known.mean()))
        return errors

    def reduced_parameters(self, fraction: float) -> dict[str, Any]:
        """Parameters for a fit to part of the data, to compare descriptors at lower cost.

        Parameters
        ----------
        fraction : float
            Which part.

        Returns
        -------
        dict
            Fewer sparse points: the root of the part, and at least ten.
        """
        n_sparse = self.n_sparse
        if not isinstance(n_sparse, numbers.Integral) or isinstance(n_sparse, bool):
            return {}
        return {"n_sparse": min(int(n_sparse), max(10, int(np.ceil(n_sparse * fraction**0.5))))}

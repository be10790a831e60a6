"""Labels that contradict each other: another sign, unit or method, or placeholders."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..exceptions import SuspiciousTargetsWarning
from ..least_squares import Agreement, Labels, Observations, Prior, compare, thin_out
from ..utils.user_warnings import warn_user

# A contradiction is told of if it is as certain as this. On published data and thousands of crude
# fits to few structures of them, nothing less keeps silent.
# - Student's t of a correlation, the correlation, and the number of independent labels;
_SIGNIFICANT, _LEAST_CORRELATION, _LEAST_KNOWN = 5.0, 0.4, 8
# - part of the variance of each quantity that a fit to it alone explains: descriptors that cannot
#   represent a quantity imply nothing about others;
_LEAST_EXPLAINED = 0.8
# - length of implied labels over their standard deviation, where the sign differs or labels are 0;
_CERTAIN = 2.0
# - factor between labels and implied labels that all of the interval of regressions lies beyond.
_FACTOR = 3.5
# - where a descriptor represents all labels and implied ones are beyond doubt, less is enough: on
#   published data, the interval is between 0.8 and 1.3 there.
_CLEAR_FACTOR, _CLEARLY_EXPLAINED, _CLEARLY_CERTAIN, _CLEARLY_SIGNIFICANT = 1.4, 0.98, 15.0, 15.0
_CLEARLY_KNOWN = 50
# - correlation of energies, where a descriptor represents all labels and implied energies are
#   beyond doubt: on published data, it is between 0.954 and 1 there.
_CLEAR_CORRELATION = 0.92
# - part of the variance of forces that a fit to them alone explains: at least 0.16 on published
#   data, even with crude descriptors, where these explain the other quantities; 0.04 in the median
#   once atoms or axes are permuted
_LEAST_OF_FORCES, _FEWEST_OF_FORCES = 0.1, 20
# - correlation of energies where a descriptor represents all other labels: at least 0.53 on
#   published data, and at most 0.2 once energies are permuted
_RELATED = 0.3
_RANK = 1e-10

_NOUNS = {"energy": "energies", "forces": "forces", "virials": "virials"}
# known reasons for a factor: what is stored is so many times what is expected
_REASONS = {
    "forces": [
        (1 / 51.42207, "hartree/bohr in place of eV/angstrom"),
        (1 / 25.71103, "rydberg/bohr in place of eV/angstrom"),
        (0.529177, "eV/bohr in place of eV/angstrom"),
        (23.0605, "kcal/mol/angstrom in place of eV/angstrom"),
        (96.4853, "kJ/mol/angstrom in place of eV/angstrom"),
        (27.2114, "energies in hartree in place of eV"),
        (13.6057, "energies in rydberg in place of eV"),
        (1 / 23.0605, "energies in kcal/mol in place of eV"),
        (1 / 96.4853, "energies in kJ/mol in place of eV"),
    ],
    "virials": [
        (1602.18, "a stress in kbar (kB) in place of eV/angstrom^3"),
        (160.218, "a stress in GPa in place of eV/angstrom^3"),
        (0.1, "a stress in units ten times too large, such as kbar taken for GPa"),
        (1 / 27.2114, "hartree in place of eV"),
    ],
    "energy": [
        (1 / 27.2114, "hartree in place of eV"),
        (1 / 13.6057, "rydberg in place of eV"),
        (23.0605, "kcal/mol in place of eV"),
        (96.4853, "kJ/mol in place of eV"),
    ],
}
_RULES = {
    "energy": "energies are totals in eV",
    "forces": "forces are -dE/dr in eV/angstrom",
    "virials": "virials are -dE/d(strain) in eV, that is -volume * stress with ASE's stress",
}


def warn_of_contradictions(
    prior: Prior, observations: Observations, noise: dict[str, float]
) -> None:
    """Warn if labels of one quantity have another sign or size than all others imply.

    Every quantity is compared, by :func:`compare`, with the labels that a fit to all other
    quantities implies. Energies are compared but for their best function of the composition,
    so that `e0` does not matter. It takes Cholesky decompositions of at most 500 points.

    Parameters
    ----------
    prior : Prior
        Covariances among sparse points.
    observations : Observations
        Triangles of all labels.
    noise : dict of str to float
        Noise of each quantity.
    """
    if len(observations.triangles) < 2:
        return
    energies = observations.triangles["energy"]
    n_known = energies.n_rows - (energies.n_columns - observations.n_points - 1)
    if n_known < _LEAST_KNOWN:
        return
    index, factors = thin_out([points for points, _ in prior.factors],
                              [L for _, L in prior.factors])
    labels = {
        name: _labels(name, observations, index, noise[name], factors)
        for name in observations.triangles
    }
    blocks = [np.flatnonzero((index >= b.start) & (index < b.stop)) for b in prior.terms]
    agreements = compare(labels, blocks)
    # rows of energies have the numbers of atoms over their square root
    roots = energies.R[:, observations.n_points : -1].sum(axis=1)
    text = describe_contradiction(agreements, labels, roots @ roots / energies.n_rows)
    if text:
        warn_user(text, SuspiciousTargetsWarning)


def _labels(
    name: str, observations: Observations, index: np.ndarray, noise: float,
    factors: list[np.ndarray],
) -> Labels:
    n, triangle = observations.n_points, observations.triangles[name]
    kept = triangle.compact()
    rows, values = kept[:, index], kept[:, -1]
    n_rows = triangle.n_rows
    if name == "energy":
        U, singular, _ = np.linalg.svd(kept[:, n:-1], full_matrices=False)
        U = U[:, singular > _RANK * singular[0]]
        rows -= U @ (U.T @ rows)
        values = values - U @ (U.T @ values)
        n_rows -= U.shape[1]
    return Labels.of(rows, values, n_rows, noise, factors)


def describe_contradiction(
    agreements: dict[str, Agreement], labels: dict[str, Labels], atoms_per_energy: float
) -> str:
    """Describe the worst contradiction, if there is a clear one.

    Parameters
    ----------
    agreements : dict of str to Agreement
        By quantity.
    labels : dict of str to Labels
        The labels that were compared.
    atoms_per_energy : float
        Mean number of atoms of a structure.

    Returns
    -------
    str
        Empty if labels agree as far as can be told.
    """
    if not _are_explained(agreements, labels):
        return _describe_another_order(agreements, labels)
    for name, agreement in agreements.items():
        if agreement.certainty > _CERTAIN and labels[name].square == 0.0:
            constant = "do not vary with the positions" if name == "energy" else "are all zero"
            return (f"the {_NOUNS[name]} {constant}, although {_others(name, agreements)} imply "
                    f"that they are not: are they placeholders? {_remedy(name)}")
    return (
        _describe_wrong_factor(agreements, atoms_per_energy)
        or _describe_another_order(agreements, labels)
        or _describe_low_correlation(agreements)
    )


def _describe_another_order(
    agreements: dict[str, Agreement], labels: dict[str, Labels]
) -> str:
    """Say whether forces or energies cannot belong to the structures, as all others do."""
    others = {
        name: min(other.explained for key, other in agreements.items() if key != name)
        for name in agreements
    }
    forces = agreements.get("forces")
    if (
        forces is not None
        and labels["forces"].square > 0.0
        and others["forces"] > _LEAST_EXPLAINED
        and forces.explained < _LEAST_OF_FORCES
        and forces.n_known >= _FEWEST_OF_FORCES
    ):
        return (
            f"the descriptors explain {100 * forces.explained:.0f} % of the variance of the "
            f"forces, but {100 * others['forces']:.0f} % of that of "
            f"{_others('forces', agreements)}: do the forces have another sign or unit, or another "
            "order of the structures, of their atoms or of the axes? forces[i] are -dE/dr of X[i] "
            "in eV/angstrom, a row to each atom"
        )
    energies = agreements["energy"]
    if (
        others["energy"] > _CLEARLY_EXPLAINED
        and energies.cosine < _RELATED
        and energies.n_known >= _CLEARLY_KNOWN
    ):
        return (
            f"the energies have a correlation of {energies.cosine:.2f} with those that "
            f"{_others('energy', agreements)} imply: are they placeholders, or of several methods, "
            "or in another order? y[i] is the total energy of X[i] in eV"
        )
    return ""


def _describe_wrong_factor(agreements: dict[str, Agreement], atoms_per_energy: float) -> str:
    # whatever is wrong agrees best, but for its factor, with what all others imply without it
    suspects = [name for name in agreements if _has_wrong_factor(agreements[name])]
    for name in sorted(suspects, key=lambda k: (k == "energy", -abs(agreements[k].cosine))):
        agreement, other = agreements[name], name
        if name == "energy" and len(agreements) == 2:  # rather than energies, what goes with them
            other = next(k for k in agreements if k != "energy")
            agreement = replace(agreement, ratio=1.0 / agreement.ratio)
        reason = _find_reason(other, agreement, atoms_per_energy)
        # crude descriptors imply energies that vary too little: only a known factor tells
        if reason or name != "energy":
            return _describe_factor(other, agreement, agreements, reason)
    return ""


def _describe_low_correlation(agreements: dict[str, Agreement]) -> str:
    if any(agreement.explained < _CLEARLY_EXPLAINED for agreement in agreements.values()):
        return ""
    energies = agreements["energy"]
    is_clear = energies.certainty > _CLEARLY_CERTAIN and energies.n_known >= _CLEARLY_KNOWN
    if not is_clear or energies.cosine > _CLEAR_CORRELATION:
        return ""
    others = _others("energy", agreements)
    return (
        f"the energies correlate by only {energies.cosine:.2f} with those that {others} imply, "
        f"although the descriptors can represent them all: are energies and {others} of the same "
        "structures, method and settings? Take both from the same calculations"
    )


def _are_explained(agreements: dict[str, Agreement], labels: dict[str, Labels]) -> bool:
    """Whether the descriptors can represent each quantity that is not zero."""
    return all(
        agreement.explained > _LEAST_EXPLAINED
        for name, agreement in agreements.items() if labels[name].square > 0.0
    )


def _has_wrong_factor(agreement: Agreement) -> bool:
    if abs(agreement.significance) < _SIGNIFICANT or agreement.n_known < _LEAST_KNOWN:
        return False
    if abs(agreement.cosine) < _LEAST_CORRELATION:
        return False
    # the longer of labels and implied labels must be no noise
    longer = 1.0 if agreement.cosine < 0 else max(agreement.ratio, 1.0)
    if agreement.certainty * longer < _CERTAIN:
        return False
    low, high = agreement.bounds
    factor = _CLEAR_FACTOR if _is_clear(agreement) else _FACTOR
    return agreement.cosine < 0 or high < 1.0 / factor or low > factor


def _is_clear(agreement: Agreement) -> bool:
    return (
        agreement.explained > _CLEARLY_EXPLAINED
        and agreement.certainty > _CLEARLY_CERTAIN
        and agreement.significance > _CLEARLY_SIGNIFICANT
        and agreement.n_known >= _CLEARLY_KNOWN
    )


def _find_reason(name: str, agreement: Agreement, atoms_per_energy: float) -> str:
    """Known reason for the factor of a quantity; empty if there is none."""
    if agreement.cosine < 0:
        return "gradients in place of forces" if name == "forces" else "is the sign another"
    reasons = list(_REASONS[name])
    if atoms_per_energy > 1.5:
        per_atom = "energies per atom in place of totals"
        reasons.append((1 / atoms_per_energy if name == "energy" else atoms_per_energy, per_atom))
    low, high = 0.8 * agreement.bounds[0], 1.25 * agreement.bounds[1]
    fitting = [
        (abs(np.log(factor / agreement.ratio)), reason)
        for factor, reason in reasons if low < factor < high
    ]
    return min(fitting)[1] if fitting else ""


def _describe_factor(
    name: str, agreement: Agreement, agreements: dict[str, Agreement], reason: str
) -> str:
    factor = np.sign(agreement.cosine) * agreement.ratio
    return (
        f"the {_NOUNS[name]} are about {factor:.2g} times those that {_others(name, agreements)} "
        f"imply (correlation {agreement.cosine:.2f}): "
        f"{reason or 'are the units, or the method, others'}? {_remedy(name)}"
    )


def _others(name: str, agreements: dict[str, Agreement]) -> str:
    return " and ".join(_NOUNS[other] for other in ("energy", "forces", "virials")
                        if other in agreements and other != name)


def _remedy(name: str) -> str:
    return f"{_RULES[name]}; convert them, or leave them out"

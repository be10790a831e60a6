"""Models that were fitted, and the choice of the best."""

from __future__ import annotations

from dataclasses import dataclass, field

from sklearn.pipeline import Pipeline

from ._errors import errors_of, is_no_worse, ratios, score
from ._trial import Trial


@dataclass
class Result:
    """A fitted model that could be returned.

    Attributes
    ----------
    trial : Trial
        Trial with the fitted estimators.
    noise : dict of str to float
        Noise levels of this model, which may differ from the present ones of the trial.
    errors : dict of str to float
        Held-back errors.
    record : dict
        Entry of the leaderboard.
    pipeline : Pipeline
        Pipeline fitted to the training structures.
    residuals : dict of str to list of ndarray, or None
        Held-back residuals, see :func:`skdesc.auto._errors.residuals`.
    """

    trial: Trial
    noise: dict[str, float]
    errors: dict[str, float]
    record: dict
    pipeline: Pipeline = field(repr=False)
    residuals: dict | None = field(default=None, repr=False)

    @property
    def score(self) -> float:
        """Score of the errors, see :func:`skdesc.auto._errors.score`."""
        return score(self.errors)


class Results:
    """Models that were fitted, and records of candidates that could not be fitted.

    Parameters
    ----------
    composition : dict of str to list of ndarray
        Residuals of a linear fit of the energies to the composition.
    time_per_atom : float or None
        Limit of the seconds for energy and forces of an atom.

    Attributes
    ----------
    models : list of Result
        Models in the order of the fits.
    default : Result or None
        The default pipeline fitted to most data; None if it cannot be fitted.
    failures : list of dict
        Records of candidates that could not be fitted.
    """

    def __init__(self, composition: dict, time_per_atom: float | None):
        self.composition, self.time_per_atom = composition, time_per_atom
        self.models: list[Result] = []
        self.default: Result | None = None
        self.failures: list[dict] = []

    def add(self, trial: Trial, share: float, name: str | None = None) -> Result:
        """Record a model with its present noise.

        Parameters
        ----------
        trial : Trial
            Fitted and evaluated trial.
        share : float
            Fraction of the training structures that it has learned.
        name : str, default=None
            Name in the leaderboard; by default the candidate's.

        Returns
        -------
        Result
            The model; later changes of the trial's noise do not affect its pipeline.
        """
        record = {
            "candidate": name or trial.candidate.name,
            **trial.errors,
            "score": trial.score,
            "time_per_atom": trial.time_per_atom,
            "share": share,
            "n_structures": len(trial.learned),
            "n_points": trial.timing.size.n_points,
            "seconds": trial.seconds,
            **trial.noise,
        }
        result = Result(
            trial, dict(trial.noise), dict(trial.errors), record, trial.pipeline_without_data()
        )
        self.models.append(result)
        return result

    def release(self) -> None:
        """Release the data of all models except the last, the best and the default."""
        kept = {id(result.trial) for result in (self.models[-1], self.best(), self.default)
                if result is not None}
        for result in self.models:
            if id(result.trial) not in kept:
                result.trial.release()

    def is_fast(self, trial: Trial) -> bool:
        """Whether predictions are within the limit of time per atom."""
        return self.time_per_atom is None or trial.time_per_atom <= self.time_per_atom

    def best(self) -> Result:
        """Return the best model that may be returned.

        It is within the limit of time per atom and, if the default is, too, no worse than the
        default in any quantity. If possible, its energies are no worse than those of a linear
        model of the composition. If no model is within the limit, the fastest is returned.
        """
        affordable = [result for result in self.models if self.is_fast(result.trial)]
        if not affordable:
            return min(self.models, key=lambda result: result.trial.time_per_atom)
        reference = self.default.errors if self.default else None
        if self.default in affordable:
            affordable = [r for r in affordable if is_no_worse(r.errors, reference)]
        floor = errors_of(self.composition)
        affordable = [r for r in affordable if is_no_worse(r.errors, floor)] or affordable
        return max(affordable, key=lambda result: score(result.errors, reference))

    def front(self) -> list[Result]:
        """Return models that no other beats in both error and speed, the fastest first."""
        front: list[Result] = []
        for result in sorted(self.models, key=lambda r: (r.trial.time_per_atom, -r.score)):
            if not front or result.score > front[-1].score:
                front.append(result)
        return front

    def ranked(self) -> list[Result]:
        """Return all models: the best first, then the others by score."""
        best = self.best()
        return sorted(self.models, key=lambda result: (result is not best, -result.score))

    def describe(self, result: Result) -> str:
        """Describe a model in one line."""
        record = result.record
        errors = ", ".join(
            f"{name.replace('_', ' ')} {1e3 * value:.3g}" for name, value in result.errors.items()
        )
        line = (f"{record['candidate']}: {record['n_structures']} structures, "
                f"{record['n_points']} points; {errors} meV; "
                f"{1e6 * record['time_per_atom']:.0f} us/atom")
        if self.default and result is not self.default:
            worst = max(ratios(result.errors, self.default.errors).values(), default=1.0)
            line += f"; at most {worst:.2f} of the default"
        return line

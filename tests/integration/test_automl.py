"""AutoML tools: each example runs, and each tool takes the containers that the docs say."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from helpers.tools import CONTAINERS, forces_of, molecules, potential
from sklearn.model_selection import KFold, cross_val_predict, cross_val_score

from skdesc import extract_targets
from skdesc.datasets import load_carbon_solids
from skdesc.metrics import make_energy_scorer

EXAMPLES = Path(__file__).parents[2] / "examples" / "automl"


def example(name):
    """Module of an example."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def spread():
    """Spread of the energies per atom in the examples, in eV."""
    data = load_carbon_solids()
    frames = [data.frames[index] for index in data.test]
    return np.std(extract_targets(frames)[0] / [len(atoms) for atoms in frames])


def optuna_space():
    distributions = pytest.importorskip("optuna").distributions
    return {
        "soaptransformer__cutoff": distributions.FloatDistribution(2.0, 3.0),
        "gapregressor__sigma_energy": distributions.FloatDistribution(1e-4, 1e-1, log=True),
        "gapregressor__zeta": distributions.IntDistribution(1, 4),
    }


def optuna_search(**options):
    sklearn_of_optuna = pytest.importorskip("optuna_integration.sklearn")
    return sklearn_of_optuna.OptunaSearchCV(
        potential(), optuna_space(), cv=KFold(2), n_trials=3, random_state=0, error_score="raise",
        **options,
    )


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.filterwarnings("ignore:.*optuna.terminator:FutureWarning")
@pytest.mark.filterwarnings("ignore:The OptunaSearchCV or classes:DeprecationWarning")  # 1.6
class TestOptuna:
    @pytest.mark.parametrize("container", CONTAINERS)
    def test_search_of_any_container(self, container):
        frames, y = molecules()
        search = optuna_search().fit(CONTAINERS[container](frames), y)
        expected = optuna_search().fit(frames, y)
        assert search.best_params_ == expected.best_params_
        np.testing.assert_allclose(search.predict(frames), expected.predict(frames))

    def test_search_with_metadata_and_threads(self):
        frames, y = molecules()
        forces = forces_of(frames)
        search = optuna_search(n_jobs=2).fit(frames, y, gapregressor__forces=forces)
        triangles = search.best_estimator_[-1]._training.observations.triangles
        assert triangles["forces"].n_rows == 3 * sum(len(atoms) for atoms in frames)

    def test_search_inside_cross_validation(self):
        frames, y = molecules()
        predicted = cross_val_predict(optuna_search(), frames, y, cv=KFold(2))
        assert np.isfinite(predicted).all()

    def test_plain_study(self):
        optuna = pytest.importorskip("optuna")
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        frames, y = molecules()
        study = optuna.create_study(
            direction="maximize", sampler=optuna.samplers.TPESampler(seed=0)
        )
        for _ in range(3):
            trial = study.ask(optuna_space())
            candidate = potential().set_params(**trial.params)
            scores = cross_val_score(
                candidate, frames, y, cv=KFold(2), scoring=make_energy_scorer(),
                error_score="raise",
            )
            study.tell(trial, scores.mean())
        assert set(study.best_params) == set(optuna_space())

    def test_example(self, capsys):
        pytest.importorskip("optuna_integration.sklearn")
        found, trials = example("automl_optuna").main(n_trials=5)
        assert -found.best_score_ < 0.5 * spread()
        states = [trial.state.name for trial in trials.trials]
        assert len(states) == 5
        assert set(states) <= {"COMPLETE", "PRUNED"}
        assert trials.best_value < 0.5 * spread()
        assert "trials were pruned" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore")  # of the tools, not ours
class TestOthers:
    def test_flaml(self, capsys):
        if not hasattr(pytest.importorskip("flaml"), "AutoML"):
            pytest.skip("FLAML's AutoML needs flaml[automl]")
        automl, found = example("automl_flaml").main(n_trials=3)
        assert automl.best_estimator == "potential"
        assert automl.best_loss > 0
        assert found.best_result["error"] < 0.5 * spread()

    def test_flaml_tunes_any_function(self):
        pytest.importorskip("flaml")
        from flaml import tune

        frames, y = molecules()

        def objective(config):
            candidate = potential().set_params(soaptransformer__cutoff=float(config["cutoff"]))
            return {"score": cross_val_score(candidate, frames, y, cv=KFold(2)).mean()}

        found = tune.run(
            objective, config={"cutoff": tune.uniform(2.0, 3.0)}, metric="score", mode="max",
            num_samples=3, verbose=0,
        )
        assert 2.0 <= found.best_config["cutoff"] <= 3.0

    def test_skopt(self, capsys):
        pytest.importorskip("skopt")
        search = example("automl_skopt").main(n_trials=4)
        assert -search.best_score_ < 0.5 * spread()

    @pytest.mark.parametrize("container", CONTAINERS)
    def test_skopt_takes_any_container(self, container):
        skopt = pytest.importorskip("skopt")
        frames, y = molecules()
        search = skopt.BayesSearchCV(
            potential(), {"soaptransformer__cutoff": skopt.space.Real(2.0, 3.0)}, n_iter=2,
            cv=KFold(2), random_state=0, optimizer_kwargs={"n_initial_points": 2},
        ).fit(CONTAINERS[container](frames), y)
        assert np.isfinite(search.best_score_)

    def test_dask_ml(self):
        dask_ml = pytest.importorskip("dask_ml.model_selection")
        frames, y = molecules()
        grid = {"gapregressor__sigma_energy": [1e-3, 1e-2]}
        for pack in CONTAINERS.values():
            search = dask_ml.GridSearchCV(potential(), grid, cv=KFold(2)).fit(pack(frames), y)
            assert np.isfinite(search.best_score_)

    @pytest.mark.slow
    def test_tpot(self, tmp_path):
        pytest.importorskip("tpot")
        import subprocess
        import sys

        # in a process of its own, as its workers import the script that they were started by
        out = subprocess.run(
            [sys.executable, EXAMPLES / "automl_tpot.py"], check=True, capture_output=True,
            text=True, cwd=tmp_path,
        ).stdout
        error = float(out.split("TPOT:")[1].split()[0])
        assert error / 1000 < 0.5 * spread()

    @pytest.mark.slow
    def test_ray_tune(self, capsys):
        pytest.importorskip("ray.tune")
        best = example("automl_ray").main(n_trials=4)
        assert best.metrics["error"] < 0.5 * spread()
        assert "Ray Tune:" in capsys.readouterr().out

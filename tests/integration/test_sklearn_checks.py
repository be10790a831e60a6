"""All of scikit-learn's own checks on the transformers, by way of an adapter."""

import pytest
from helpers.array_adapter import adapted
from helpers.transformers import transformers
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

ADAPTERS = [adapted(one) for one in transformers() if getattr(one, "pooling", None) == "mean"]


@parametrize_with_checks(ADAPTERS)
def test_all_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda adapter: type(adapter).__name__)
def test_no_check_is_left_out(adapter):
    # scikit-learn leaves out most checks of estimators that do not take 2-D arrays
    assert len(list(estimator_checks_generator(adapter))) >= 45

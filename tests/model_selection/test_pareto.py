import numpy as np

from skdesc.model_selection._pareto import (
    crowding_distance,
    dominates,
    is_non_dominated,
    knee_point,
)


def test_front():
    costs = np.array([[0, 4], [1, 1], [4, 0], [2, 2], [1, 1], [np.nan, 0], [0, np.inf], [0, 5.0]])
    assert is_non_dominated(costs).tolist() == [True, True, True, *[False] * 5]
    assert knee_point(costs[:3]) == 1
    assert not is_non_dominated(np.full((3, 2), np.nan)).any()


def test_one_objective_has_one_best_the_first():
    costs = np.array([[3.0], [1.0], [2.0], [1.0]])
    assert np.flatnonzero(is_non_dominated(costs)).tolist() == [1]
    assert knee_point(costs[[1]]) == 0


def test_dominates():
    assert dominates(np.array([1, 1]), np.array([1, 2]))
    assert not dominates(np.array([1, 1]), np.array([1, 1]))
    assert not dominates(np.array([0, 3]), np.array([1, 2]))


def test_crowding():
    front = np.array([[0.0, 4.0], [1.0, 3.0], [1.5, 2.5], [4.0, 0.0]])
    distance = crowding_distance(front)
    assert np.isinf(distance[[0, 3]]).all()
    assert distance[2] > distance[1]
    assert np.isinf(crowding_distance(np.ones((1, 2)))).all()

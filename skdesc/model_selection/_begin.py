"""Initial values of a search, from the estimator and from the user."""

from __future__ import annotations

from difflib import get_close_matches

from ._steps import resolve_parameters, step_of


def present_values(estimator, spaces, X):
    """Return initial values of all searched parameters, and which of them are the present values.

    Parameters
    ----------
    estimator : estimator
        Estimator of the search.
    spaces : dict of str to SearchSpace
        Spaces by the name of the argument.
    X : sequence
        Samples.

    Returns
    -------
    start : dict of str to object
        Values by name, each in its space.
    present : set of str
        Names of the parameters that start at the estimator's present value.
    """
    known = estimator.get_params(deep=True)
    searched = {name for space in spaces.values() for name in space.names}
    for argument, space in spaces.items():
        for name in space.names:
            # parameters of a step that is itself searched may exist only for some of its values
            if name not in known and step_of(name) not in searched - {name}:
                near = get_close_matches(name, known, n=1)
                hint = f" (did you mean {near[0]!r}?)" if near else ""
                raise ValueError(
                    f"{argument} names {name!r}, which is not a parameter of the estimator{hint}; "
                    "see estimator.get_params()"
                )
    # values outside the spaces are not candidates
    start, present = {}, set()
    for space in spaces.values():
        values = {name: known[name] for name in space.names if name in known}
        values |= resolve_parameters(estimator, set(values) - set(space.restrict(values)), X)
        start |= space.start(values)
        present |= {*space.restrict(values)}
    return dict(sorted(start.items())), present


def check_init(init, spaces, n_particles):
    """Check the further initial candidates of the user.

    Parameters
    ----------
    init : list of dict
        Parameters of each candidate.
    spaces : dict of str to SearchSpace
        Spaces by the name of the argument.
    n_particles : int
        Number of particles of the smallest swarm.
    """
    _check_init_names(init, spaces)
    _check_init_size(init, n_particles)


def _check_init_size(init, n_particles):
    if len(init) >= n_particles:
        raise ValueError(
            f"init has {len(init)} candidates, which with the estimator's own parameters is more "
            f"than n_particles={n_particles}; raise n_particles"
        )


def _check_init_names(init, spaces):
    space_of = {name: space for space in spaces.values() for name in space.names}
    for index, seed in enumerate(init):
        for name, value in seed.items():
            if name not in space_of:
                raise ValueError(
                    f"init[{index}] names {name!r}, which is in neither space; remove it"
                )
            if not space_of[name].restrict({name: value}):
                raise ValueError(
                    f"init[{index}] has {name}={value!r}, which is outside its space; widen the "
                    "space or change the value"
                )

"""Methods that change an object completely or not at all."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import numpy as np

Method = TypeVar("Method", bound=Callable[..., Any])


def atomic(method: Method) -> Method:
    """Let a method change its object in one step, at its end.

    The method runs on a shallow copy, whose attributes replace those of the object when the
    method returns. After any exception, KeyboardInterrupt and MemoryError included, the object is
    as before, bit for bit, and a random generator among its attributes is reset. The method must
    assign new values to attributes and not modify old values in place.

    Parameters
    ----------
    method : function
        The method. If it returns ``self``, the decorated method returns the object.

    Returns
    -------
    function
        The atomic method.
    """

    @wraps(method)
    def in_one_step(self, *args, **kwargs):
        before = vars(self)
        draft = object.__new__(type(self))
        vars(draft).update(before)
        generators = [
            (value, value.get_state())
            for value in before.values() if isinstance(value, np.random.RandomState)
        ]
        try:
            result = method(draft, *args, **kwargs)
            self.__dict__ = vars(draft)
            return self if result is draft else result
        except BaseException:
            self.__dict__ = before
            for generator, state in generators:
                generator.set_state(state)
            raise

    return in_one_step

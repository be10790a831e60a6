"""Types for public signatures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from os import PathLike
from typing import Any, Literal, Protocol, TypeAlias, cast, overload

import numpy as np

PathName: TypeAlias = str | PathLike[str]
RandomState: TypeAlias = int | np.random.RandomState | None
ArrayLike: TypeAlias = np.ndarray | Sequence[Any]
Elements: TypeAlias = Sequence[int | str] | np.ndarray
Auto: TypeAlias = Literal["auto"]
Pooling: TypeAlias = Literal["mean", "sum", "inner"] | None
Scorer: TypeAlias = str | Callable[..., Any]


class Samples(Protocol):
    """Sequence of samples: a list, an array, a column of a table, or another container."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Any]: ...


Features: TypeAlias = Samples
PerStructure: TypeAlias = np.ndarray | Sequence[Any]
Noise: TypeAlias = np.ndarray | Sequence[Any] | Mapping[str, Sequence[float]]
Counts: TypeAlias = int | Mapping[Any, int]
SparseMethod: TypeAlias = (
    Literal["cur", "fps", "kmeans", "random", "config"] | PerStructure | Mapping[Any, PerStructure]
)
RadialBasis: TypeAlias = (
    Literal["gto", "gto-dscribe", "polynomial", "laplacian", "equispaced", "quip_gto",
            "quip_polynomial"]
    | Callable[..., Any] | np.ndarray | Sequence[Any]
)
RadialScaling: TypeAlias = Auto | tuple[float, float, float] | Mapping[str, Any] | None
Centers: TypeAlias = str | Sequence[Any] | np.ndarray | None


class PredictMethod(Protocol):
    """Method ``predict`` of a potential: returns an array, or a tuple of the requested arrays."""

    @overload
    def __call__(
        self, X: Any, return_std: Literal[False] = False, return_forces: Literal[False] = False,
        return_virials: Literal[False] = False,
    ) -> np.ndarray: ...
    @overload
    def __call__(
        self, X: Any, return_std: Literal[True], return_forces: Literal[False] = False,
        return_virials: Literal[False] = False,
    ) -> tuple[np.ndarray, np.ndarray]: ...
    @overload
    def __call__(
        self, X: Any, return_std: Literal[False] = False, *, return_forces: Literal[True],
        return_virials: Literal[False] = False,
    ) -> tuple[np.ndarray, list[np.ndarray]]: ...
    @overload
    def __call__(
        self, X: Any, return_std: Literal[False] = False, return_forces: Literal[False] = False,
        *, return_virials: Literal[True],
    ) -> tuple[np.ndarray, np.ndarray]: ...
    @overload
    def __call__(
        self, X: Any, return_std: Literal[True], return_forces: Literal[True],
        return_virials: Literal[False] = False,
    ) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]: ...
    @overload
    def __call__(
        self, X: Any, return_std: Literal[True], return_forces: Literal[False] = False, *,
        return_virials: Literal[True],
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]: ...
    @overload
    def __call__(
        self, X: Any, return_std: Literal[False] = False, *, return_forces: Literal[True],
        return_virials: Literal[True],
    ) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]: ...
    @overload
    def __call__(
        self, X: Any, return_std: Literal[True], return_forces: Literal[True],
        return_virials: Literal[True],
    ) -> tuple[np.ndarray, np.ndarray, list[np.ndarray], np.ndarray]: ...
    @overload
    def __call__(
        self, X: Any, return_std: bool = False, return_forces: bool = False,
        return_virials: bool = False,
    ) -> Any: ...


def typed_predict(method: Callable[..., Any]) -> PredictMethod:
    """Declare the overloads of ``predict`` for type checkers; nothing happens at run time.

    Parameters
    ----------
    method : callable
        The method.

    Returns
    -------
    PredictMethod
        The same method.
    """
    return cast(PredictMethod, method)

"""What the processes of one training do as one: begin, fail and stop."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, TypeVar

import torch
from torch import distributed

from s5eval.data_manifests.common.errors import S5Error, UsageError

_T = TypeVar("_T")

ALONE: Any = SimpleNamespace(world_size=1, global_rank=0)
"""What stands for a Fabric where one process is the whole training."""


def everywhere(fabric: Any, action: Callable[[], _T]) -> _T:
    """Do something in every process; an expected error in one of them ends all, and none waits for it in vain.

    Raises:
        S5Error: this process's own, or that of the first process that had one.
    """
    result: _T | None = None
    failed: S5Error | None = None
    try:
        result = action()
    except S5Error as error:
        if fabric.world_size == 1:
            raise
        failed = error
    if fabric.world_size > 1 and anyone(fabric, failed is not None):  # a number costs less than texts, at every step
        errors = _gather(fabric, None if failed is None else (told_as(failed), str(failed)))
        if failed is not None:
            raise failed
        for rank, told in enumerate(errors):
            if told is not None:
                kind, text = told
                raise kind(f"process {rank + 1} of {fabric.world_size}: {text}")
    return result  # type: ignore[return-value]


def told_as(error: S5Error) -> type[S5Error]:
    """The nearest class of an error that takes a text alone; another process cannot make one that takes a file."""
    return next(base for base in type(error).__mro__ if base.__init__ is S5Error.__init__)  # type: ignore[misc]


def first(fabric: Any, action: Callable[[], object]) -> None:
    """Do something in the first process alone, while the others wait; `everywhere` says what errors do."""
    everywhere(fabric, action if fabric.global_rank == 0 else lambda: None)


def alike(fabric: Any, seen: str, what: str) -> None:
    """Make sure that every process has seen the same.

    Raises:
        UsageError: one has not; `what` says what it is that all have to see.
    """
    if fabric.world_size == 1:
        return
    for rank, other in enumerate(_gather(fabric, seen)):
        if other != seen:
            raise UsageError(
                f"process {fabric.global_rank + 1} of {fabric.world_size} has found {seen}, "
                f"process {rank + 1} {other}: {what}"
            )


def anyone(fabric: Any, value: bool) -> bool:
    """Whether it holds in any of the processes."""
    if fabric.world_size == 1:
        return value
    return bool(fabric.all_reduce(torch.tensor(float(value), device=fabric.device), reduce_op="sum") > 0)


def leave() -> None:
    """Part from the other processes before this one ends, however it ends.

    The group's threads must not outlive the interpreter: one that still runs when C++ takes it down aborts the
    process (SIGABRT), after everything was done and said.
    """
    if distributed.is_initialized():
        distributed.destroy_process_group()


def _gather(fabric: Any, value: object) -> list[Any]:
    values: list[Any] = [None] * fabric.world_size
    distributed.all_gather_object(values, value)
    return values

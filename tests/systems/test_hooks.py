"""The hooks protocol: who is told what, and what a hook that fails costs."""

import sys
from pathlib import Path
from typing import Any

import pytest
from planted import Plant

from s5eval.data_manifests.common.errors import UsageError
from s5eval.systems.hooks import Hook, Hooks, load_hook


class Listener(Hook):
    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []

    def start(self, kind: str, folder: Path, facts: Any) -> None:
        self.heard.append((kind, folder))

    def step(self, step: int, steps: int, figures: Any) -> None:
        figures["loss"] = -1.0
        self.heard.append((step, steps))

    def end(self, status: str, figures: Any) -> None:
        self.heard.append((status,))


class Faulty(Hook):
    def step(self, step: int, steps: int, figures: Any) -> None:
        raise ValueError("no space left")


def test_a_hook_that_fails_is_named_and_told_no_more_and_the_others_are() -> None:
    said: list[str] = []
    listener = Listener()
    hooks = Hooks([Faulty(), listener], say=said.append)
    figures = {"loss": 1.0}
    hooks.tell("start", "training", Path("out"), {})
    for step in (1, 2):
        hooks.tell("step", step, 2, figures)
    hooks.tell("end", "finished", figures)
    assert listener.heard == [("training", Path("out")), (1, 2), (2, 2), ("finished",)]
    assert said == ["hook Faulty failed in step (ValueError: no space left); it is told no more"]
    assert figures == {"loss": 1.0}, "a hook gets copies"


def test_a_hook_that_wants_to_end_the_process_ends_nothing() -> None:
    """`sys.exit()` in somebody's script is no wish of whoever runs the system."""

    class Leaving(Hook):
        def mixture(self, mixture_id: str, values: Any) -> None:
            sys.exit("no project")

    said: list[str] = []
    listener = Listener()
    hooks = Hooks([Leaving(), listener], say=said.append)
    hooks.tell("mixture", "m_1", {})
    hooks.tell("end", "complete", {})
    assert said == ["hook Leaving failed in mixture (SystemExit: no project); it is told no more"]
    assert listener.heard == [("complete",)]


def test_what_ends_the_process_is_not_held_up() -> None:
    class Stop(Hook):
        def mixture(self, mixture_id: str, values: Any) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Hooks([Stop()]).tell("mixture", "m_1", {})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("listeners", "expected module:attribute"),
        ("no_such_module:Hook", "cannot be loaded: ModuleNotFoundError"),
        ("pathlib:Path", "gives a PosixPath, expected an s5eval.Hook"),
        ("pathlib:Pat", "cannot be loaded: AttributeError"),
    ],
)
def test_names_that_are_no_hook(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_hook(name)


def test_a_module_that_ends_the_process_is_named(plant: Plant) -> None:
    plant("ending_hooks", "import sys\nsys.exit(0)\n")
    with pytest.raises(UsageError, match="'ending_hooks:Mine' cannot be loaded: SystemExit: 0"):
        load_hook("ending_hooks:Mine")


def test_a_class_that_is_named_is_made(plant: Plant) -> None:
    plant("my_hooks", "import s5eval\nclass Mine(s5eval.Hook):\n    pass\n")
    assert isinstance(load_hook("my_hooks:Mine"), Hook)
    with pytest.raises(UsageError, match=r"expected an s5eval\.Hook"):
        Hooks([object()])  # type: ignore[list-item]

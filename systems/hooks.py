"""What a run and a training tell whoever wants to know: start, step, mixture, end.

    class Tally(s5eval.Hook):
        def mixture(self, mixture_id, values):
            print(mixture_id, values["capi_sdri"])

    s5eval.run("multistage", "path/to/data", "runs/first", hooks=[Tally()])

On the command line `--hook my_module:Tally` names a class, or a function that returns a hook.
"""

import copy
import importlib
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from s5eval.data_manifests.common.errors import UsageError

log = logging.getLogger("s5eval.hooks")


class Hook:
    """Is told how a run or a training goes. Every method does nothing unless it is written anew.

    What a hook raises ends nothing: it is said, and the hook is told no more. Values are plain JSON types; they are
    copies, and changing them changes nothing.
    """

    def start(self, kind: Literal["run", "training"], folder: Path, facts: Mapping[str, Any]) -> None:
        """It begins, or goes on.

        Args:
            kind: which of the two.
            folder: the run folder, or that of the checkpoints.
            facts: of a run `config`, `decision`, `fingerprint`, `about` and so on, as in `run.json`, and `done`, how
                many mixtures are done already; of a training `name`, `plan`, `steps`, and `done`, the steps.
        """

    def step(self, step: int, steps: int, figures: Mapping[str, float]) -> None:
        """`step` of `steps` of a training are done; `figures` are running means of loss terms and accuracies."""

    def mixture(self, mixture_id: str, values: Mapping[str, Any]) -> None:
        """A mixture of a run has its outcome, which stands in the journal: `values` is its line (`MixtureScore`)."""

    def end(self, status: str, figures: Mapping[str, Any]) -> None:
        """It ended, or was interrupted.

        Args:
            status: of a run as in `run.json` (`complete`, `partial`, …); of a training `finished` or `interrupted`.
            figures: a run's summary, or the last figures of a training.
        """


class Hooks:
    """Several hooks, told in their order."""

    def __init__(self, hooks: Sequence[Hook] = (), *, say: Callable[[str], None] | None = None) -> None:
        """Take the hooks, and who is told when one of them fails; raises `UsageError` for what is no hook."""
        if isinstance(hooks, Hook):
            raise UsageError(f"`hooks` is one {type(hooks).__name__}, expected a list of them")
        for hook in hooks:
            if not isinstance(hook, Hook):
                raise UsageError(f"hook {hook!r} is a {type(hook).__name__}, expected an s5eval.Hook")
        self._hooks, self._say = list(hooks), say

    def add(self, hook: Hook) -> None:
        """One more, told after the others."""
        self._hooks.append(hook)

    def __bool__(self) -> bool:
        """Whether there is anybody to tell."""
        return bool(self._hooks)

    def tell(self, what: Literal["start", "step", "mixture", "end"], *values: Any) -> None:
        """Call the method `what` of every hook; one that raises is named, and dropped."""
        for hook in list(self._hooks):
            try:
                getattr(hook, what)(*copy.deepcopy(values))
            except (Exception, SystemExit) as error:  # whatever code of others does
                problem = f"{type(error).__name__}: {error}"
                text = f"hook {type(hook).__name__} failed in {what} ({problem}); it is told no more"
                log.warning("%s", text, exc_info=error)
                if self._say is not None:
                    self._say(text)
                self._hooks.remove(hook)


def load_hook(name: str) -> Hook:
    """The hook that `module:attribute` names: a class without arguments, a function that returns a hook, or a hook.

    Raises:
        UsageError: it cannot be imported, or is no hook.
    """
    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute):
        raise UsageError(f"`hook` {name!r}: expected module:attribute, such as my_module:MyHook")
    if "" not in sys.path:
        sys.path.insert(0, "")  # as for systems: from the folder one is in
    try:
        made = getattr(importlib.import_module(module), attribute)
        hook = made() if callable(made) else made
    except (Exception, SystemExit) as error:  # whatever a module does when it is imported
        raise UsageError(f"`hook` {name!r} cannot be loaded: {type(error).__name__}: {error}") from error
    if not isinstance(hook, Hook):
        raise UsageError(f"`hook` {name!r} gives a {type(hook).__name__}, expected an s5eval.Hook")
    return hook

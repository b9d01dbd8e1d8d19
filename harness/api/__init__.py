"""s5eval: evaluate systems for Spatial Semantic Segmentation of Sound Scenes (DCASE 2026 Task 4).

Score what you have in memory, 32 kHz, in dB:

    >>> import numpy as np, s5eval
    >>> rng = np.random.default_rng(0)
    >>> speech, cough = 0.1 * rng.normal(size=(2, 3200))
    >>> foa = np.stack([speech + cough] * 4)                       # (4, T), channel 0 is what scores refer to
    >>> score = s5eval.score_mixture(
    ...     estimates={"Speech": speech + 0.1 * cough, "Cough": cough + 0.1 * speech},
    ...     references={"Speech": speech, "Cough": cough},
    ...     mixture=foa,
    ... )
    >>> round(score.capi_sdri, 1)
    20.0

Run a system over scenes, and look at what came out:

    run = s5eval.run("multistage", "path/to/data", "runs/first", split="valid")
    run.mixtures.sort_values("capi_sdri").head()                   # pandas
    tuned = s5eval.rescore(run, "runs/second", decision=s5eval.tune(run).file)
    s5eval.compare(run, tuned).differences["metrics", "capi_sdri"]

What is listed in `dir(s5eval)` is public, and so is `s5eval.metrics`. Every other module (`s5eval.harness`,
`s5eval.systems`, `s5eval.data_manifests`, `s5eval.submissions`) is private: it may change without notice.

Nothing is imported before it is asked for: `import s5eval` loads neither numpy nor torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from s5eval import metrics
    from s5eval.data_manifests.common.errors import DataError, S5Error, UsageError
    from s5eval.data_manifests.labels import CLASSES
    from s5eval.data_manifests.manifest import Manifest
    from s5eval.data_manifests.records import Mixture, Reference, Scene
    from s5eval.evaluation import ablate, open_data, run, validate
    from s5eval.finished_runs import Comparison, compare, rescore, tune
    from s5eval.frames import Run, read_run
    from s5eval.harness.record.run_record import RunRecord
    from s5eval.harness.record.run_summary import Summary
    from s5eval.harness.record.tables import MixtureScore
    from s5eval.loaded_system import LoadedSystem, load_system
    from s5eval.run_mixture import RunMixture
    from s5eval.single_score import score_mixture
    from s5eval.systems.decision import Decision
    from s5eval.systems.expected_score import ExpectedScore
    from s5eval.systems.hooks import Hook
    from s5eval.systems.interface import Candidates, Estimate, Stage, System
    from s5eval.systems.pipeline import Pipeline

    __version__: str

__all__ = [
    "CLASSES",
    "Candidates",
    "Comparison",
    "DataError",
    "Decision",
    "Estimate",
    "ExpectedScore",
    "Hook",
    "LoadedSystem",
    "Manifest",
    "Mixture",
    "MixtureScore",
    "Pipeline",
    "Reference",
    "Run",
    "RunMixture",
    "RunRecord",
    "S5Error",
    "Scene",
    "Stage",
    "Summary",
    "System",
    "UsageError",
    "ablate",
    "compare",
    "load_system",
    "metrics",
    "open_data",
    "read_run",
    "rescore",
    "run",
    "score_mixture",
    "tune",
    "validate",
]

_HOMES = {
    "s5eval.data_manifests.common.errors": ("DataError", "S5Error", "UsageError"),
    "s5eval.data_manifests.labels": ("CLASSES",),
    "s5eval.data_manifests.manifest": ("Manifest",),
    "s5eval.data_manifests.records": ("Mixture", "Reference", "Scene"),
    "s5eval.evaluation": ("ablate", "open_data", "run", "validate"),
    "s5eval.finished_runs": ("Comparison", "compare", "rescore", "tune"),
    "s5eval.frames": ("Run", "read_run"),
    "s5eval.harness.record.run_record": ("RunRecord",),
    "s5eval.harness.record.run_summary": ("Summary",),
    "s5eval.harness.record.tables": ("MixtureScore",),
    "s5eval.run_mixture": ("RunMixture",),
    "s5eval.loaded_system": ("LoadedSystem", "load_system"),
    "s5eval.single_score": ("score_mixture",),
    "s5eval.systems.decision": ("Decision",),
    "s5eval.systems.expected_score": ("ExpectedScore",),
    "s5eval.systems.hooks": ("Hook",),
    "s5eval.systems.interface": ("Candidates", "Estimate", "Stage", "System"),
    "s5eval.systems.pipeline": ("Pipeline",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


if not TYPE_CHECKING:  # to type checkers it would say that any name is there

    def __getattr__(name: str) -> object:
        """Import what is asked for, once (PEP 562)."""
        if name == "metrics":
            return import_module("s5eval.metrics")
        if name == "__version__":
            return import_module("importlib.metadata").version("s5eval")
        if name not in _HOME_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(_HOME_OF[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return [*__all__, "__doc__", "__version__"]

"""What every file of tests that trains at toy size begins with: its optional packages, or all of them are skipped."""

from collections.abc import Callable

import pytest

pytest.importorskip("lightning.fabric")
pytest.importorskip("transformers")

from s5eval.systems.training.loop import TrainingResult
from s5eval.systems.training.training_plan import TrainingPlan

ToyPlan = Callable[..., TrainingPlan]
ToyTrain = Callable[..., TrainingResult]

OTHERS_WARN = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
"""Of what lightning and transformers import."""

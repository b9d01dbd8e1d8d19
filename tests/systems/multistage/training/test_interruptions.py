"""A training on machines as they are: signals, batch systems, little shared memory, a folder in use, files that go."""

import os
import pickle
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from s5eval.data_manifests.common.errors import UsageError
from s5eval.systems.hooks import Hook, Hooks
from s5eval.systems.training import checkpoint
from s5eval.systems.training.learner import Learner
from s5eval.systems.training.loop import TrainingResult, train
from s5eval.systems.training.sitting import TrainingSitting
from s5eval.systems.training.training_plan import TrainingPlan

pytest.importorskip("lightning.fabric")
pytest.importorskip("transformers")

ToyPlan = Callable[..., TrainingPlan]
ToyTrain = Callable[..., TrainingResult]

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning",
    "ignore::FutureWarning",
    "ignore:This DataLoader will create:UserWarning",  # on one core
)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_training_saves_the_step_under_way(
    toy_plan: ToyPlan, tmp_path: Path, number: signal.Signals
) -> None:
    from s5eval.harness.process import interrupt_on_signals

    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    interrupt_on_signals()
    sitting = TrainingSitting(tmp_path / "w", tmp_path / "c", device="cpu", checkpoint_minutes=60)
    said: list[str] = []
    threads = set(threading.enumerate())

    class Killer(Hook):
        def step(self, step: int, steps: int, figures: object) -> None:
            if step == 2:
                os.kill(os.getpid(), number)

    try:
        with pytest.raises(KeyboardInterrupt):
            train(toy_plan("uss", steps=50), sitting, hooks=Hooks([Killer()]), say=said.append)
    finally:
        for each, handler in handlers.items():
            signal.signal(each, handler)
    assert said[0].startswith("no recording of ")  # of the classes that the small set has none of
    assert said[1:] == ["the step under way is ended and saved; once more ends at once"]
    assert set(threading.enumerate()) <= threads, "the writer of figures has ended, too"
    assert "step-00000003" in {path.name for path in (tmp_path / "c").iterdir()}


def _loaders() -> list[int]:
    """The processes that make scenes for this one, from /proc."""
    tasks = [path.read_text().split() for path in Path("/proc/self/task").glob("*/children")]
    return [int(pid) for task in tasks for pid in task if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def _end_the_group() -> None:
    """SIGTERM to the process and to those that make scenes for it, as a batch system sends it."""
    loaders = _loaders()
    assert len(loaders) == 2
    # by another process: torch's ends in order when its parent sends it
    # The shell's own `kill`: a small machine may have no program of that name.
    subprocess.run(["sh", "-c", 'kill -TERM "$@"', "sh", *map(str, (os.getpid(), *loaders))], check=True)
    deadline = time.monotonic() + 60
    while set(loaders) & set(_loaders()) and time.monotonic() < deadline:
        time.sleep(0.01)  # torch hears of their end here


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks into /proc")
@pytest.mark.parametrize("within", [True, False])
def test_a_signal_to_the_whole_group_loses_no_step(
    toy_plan: ToyPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, within: bool
) -> None:
    """Within the second step, which is ended; or before it: it wants more batches than were made ahead."""
    sitting = TrainingSitting(tmp_path / "w", tmp_path / "c", device="cpu", checkpoint_minutes=60)
    plan = toy_plan("uss", steps=50, batch=1, accumulate=1 if within else 40, data={"workers": 2})
    average = Learner._update_average

    def updated(learner: Learner) -> None:
        if within and learner.step == 2:
            _end_the_group()
        average(learner)

    class Killer(Hook):
        def step(self, step: int, steps: int, figures: object) -> None:
            if not within and step == 1:
                _end_the_group()

    monkeypatch.setattr(Learner, "_update_average", updated)
    with pytest.raises(KeyboardInterrupt):
        train(plan, sitting, hooks=Hooks([Killer()]))
    state = checkpoint.load(tmp_path / "c", plan.digest())
    assert state is not None
    assert state.step == (2 if within else 1)


def test_two_trainings_do_not_share_a_folder(toy_plan: ToyPlan, tmp_path: Path) -> None:
    sitting = TrainingSitting(tmp_path / "w", tmp_path / "c", device="cpu", max_minutes=0)
    refused: list[str] = []

    class Rival(Hook):
        def step(self, step: int, steps: int, figures: object) -> None:
            with pytest.raises(UsageError, match="another process trains in"):
                train(toy_plan("uss", steps=5), sitting)
            refused.append("once")

    train(toy_plan("uss", steps=5), sitting, hooks=Hooks([Rival()]))
    assert refused == ["once"]
    assert train(toy_plan("uss", steps=5), sitting).step == 2, "the lock goes with its holder"


def test_what_slurm_says_of_a_whole_job_does_not_concern_a_training(
    toy_plan: ToyPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {"NTASKS": "4", "NTASKS_PER_NODE": "4", "JOB_ID": "77", "JOB_NAME": "train", "PROCID": "0", "LOCALID": "0"}
    for name, value in {**told, "NODEID": "0", "NNODES": "1", "NODELIST": "node[1-2]"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    sitting = TrainingSitting(tmp_path / "w", tmp_path / "c", device="cpu", max_minutes=0)
    result = train(toy_plan("uss", steps=5), sitting)
    assert (result.step, result.rank) == (1, 0)


def test_a_training_needs_no_tensorboard(toy_plan: ToyPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import lightning.fabric.loggers.tensorboard as module

    def missing(*_: object, **__: object) -> None:
        raise ModuleNotFoundError("neither tensorboard nor tensorboardX")

    monkeypatch.setattr(module, "TensorBoardLogger", missing)
    sitting = TrainingSitting(tmp_path / "w", tmp_path / "c", device="cpu")
    assert train(toy_plan("uss", steps=2), sitting).finished


@pytest.mark.skipif(sys.platform != "linux", reason="shared memory as Linux has it")
def test_loaders_need_no_shared_memory(toy_plan: ToyPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    from s5eval.systems.training import batches as module

    plan = toy_plan("uss", data={"workers": 2})
    recipe = plan.recipe

    def loaded() -> list[module.Batch]:
        return list(module.batches(recipe.data, recipe.seed, recipe.batch, first=0, last=2))

    small = type("Usage", (), {"free": 1 << 10})
    with monkeypatch.context() as patch:
        patch.setattr(module.shutil, "disk_usage", lambda _: small)
        through_pipes = loaded()
    for one, other in zip(loaded(), through_pipes, strict=True):
        for first, second in zip(one, other, strict=True):
            assert torch.equal(first, second)


def test_moved_recordings_go_on_and_others_do_not(
    toy_plan: ToyPlan, tmp_path: Path, tiny_dev_set: SimpleNamespace
) -> None:
    sitting = TrainingSitting(tmp_path / "w", tmp_path / "c", device="cpu", max_minutes=0)
    train(toy_plan("uss", steps=5), sitting)
    moved = shutil.copytree(tiny_dev_set.dev, tmp_path / "moved")
    assert train(toy_plan("uss", steps=5, data={"folder": str(moved)}), sitting).step == 2
    other = shutil.copytree(tiny_dev_set.dev, tmp_path / "other")
    path = next(path for path in (other / "sound_event" / "train").rglob("*") if path.is_file())
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255  # the same name and size
    path.write_bytes(content)
    with pytest.raises(UsageError, match="another recipe or other settings"):
        train(toy_plan("uss", steps=5, data={"folder": str(other)}), sitting)


_PRIVATE = ["unshare", "--mount", *(["--map-root-user"] if os.geteuid() else [])]
_SMALL = "mount -t tmpfs -o size=1m tmpfs /dev/shm"

_LOADED = """
import pickle, sys
from s5eval.systems.training.batches import batches
if __name__ == "__main__":
    settings = pickle.load(open(sys.argv[1], "rb"))
    print(sum(len(batch.mixture) for batch in batches(settings, 1, 2, first=0, last=3)))
"""


def _can_mount() -> bool:
    if sys.platform != "linux" or shutil.which("unshare") is None:
        return False
    return subprocess.run([*_PRIVATE, "sh", "-c", _SMALL], capture_output=True, check=False).returncode == 0


def test_batches_come_through_a_shared_memory_of_one_megabyte(toy_plan: ToyPlan, tmp_path: Path) -> None:
    """A real mount in a namespace of its own: two processes, batches that are larger than what it holds."""
    if not _can_mount():
        pytest.skip("needs the right to mount")
    plan = toy_plan("uss", data={"workers": 2, "seconds": 4.0})
    (tmp_path / "settings").write_bytes(pickle.dumps(plan.recipe.data))
    (tmp_path / "load.py").write_text(_LOADED)
    command = [sys.executable, str(tmp_path / "load.py"), str(tmp_path / "settings")]
    shell = f"{_SMALL} && exec {shlex.join(command)}"
    found = subprocess.run([*_PRIVATE, "sh", "-c", shell], capture_output=True, text=True, timeout=300, check=False)
    assert (found.returncode, found.stdout.strip()) == (0, "6"), found.stderr

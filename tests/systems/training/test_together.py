"""An error in one of several processes ends all of them, with its text, and each parts from the others as it ends."""

import errno
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from s5eval.data_manifests.common.errors import DataError, S5Error, UsageError
from s5eval.data_manifests.common.files import WriteError
from s5eval.systems.training import together

FULL = WriteError(Path("out/slots"), OSError(errno.ENOSPC, "full"))


@pytest.mark.parametrize("failed", [FULL, DataError("a file is damaged"), UsageError("no such key")])
def test_the_others_end_with_the_text_of_the_one_that_failed(failed: S5Error, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []

    def gather(fabric: object, value: object) -> list[object]:
        told.append(value)
        return [None, told[0]]

    def fail() -> None:
        raise failed

    monkeypatch.setattr(together, "_gather", gather)
    fabric = SimpleNamespace(world_size=2, device="cpu", all_reduce=lambda value, reduce_op: value + 1)
    with pytest.raises(type(failed)):  # the process itself
        together.everywhere(fabric, fail)
    with pytest.raises(S5Error, match="process 2 of 2: ") as caught:  # another one
        together.everywhere(fabric, lambda: None)
    assert str(failed) in str(caught.value)
    assert caught.value.exit_code == failed.exit_code


def test_processes_that_have_found_different_things_say_so_and_what_they_must_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = ["step 3", "step 3", "step 5"]
    monkeypatch.setattr(together, "_gather", lambda fabric, value: found)
    with pytest.raises(UsageError, match="process 2 of 3 has found step 3, process 3 step 5: one folder"):
        together.alike(SimpleNamespace(world_size=3, global_rank=1), "step 3", "one folder")
    found[2] = "step 3"
    together.alike(SimpleNamespace(world_size=3, global_rank=1), "step 3", "one folder")


@pytest.mark.parametrize("others", [0.0, 2.0])
@pytest.mark.parametrize("own", [False, True])
def test_anyone_is_this_process_or_another(own: bool, others: float) -> None:
    fabric = SimpleNamespace(world_size=3, device="cpu", all_reduce=lambda value, reduce_op: value + others)
    assert together.anyone(fabric, own) == (own or others > 0)
    assert together.anyone(together.ALONE, own) == own


ENDING = """
import atexit
import sys

import lightning.fabric

from s5eval.systems.training.sitting import TrainingSitting, make_fabric

class Fabric:
    world_size = 2
    def __init__(self, **_): pass
    def launch(self):
        from torch import distributed
        store = distributed.HashStore()
        distributed.init_process_group("gloo", store=store, rank=0, world_size=1)

def look():
    from torch import distributed
    print("left" if not distributed.is_initialized() else "still there")

atexit.register(look)  # called after what is registered later
lightning.fabric.Fabric = Fabric
make_fabric(TrainingSitting(sys.argv[1], sys.argv[1], device="cpu", devices=2), precision="float32")
raise SystemExit(2)
"""


def test_a_process_parts_from_the_others_however_it_ends(tmp_path: Path) -> None:
    pytest.importorskip("lightning.fabric")
    done = subprocess.run([sys.executable, "-c", ENDING, str(tmp_path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "left\n"), done.stderr

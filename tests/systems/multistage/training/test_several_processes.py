"""Several processes are one training, whoever starts them: `--devices`, torchrun, srun, on one node or two.

The nodes are processes on this machine that were told so; there is no SLURM, only what it would leave behind.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from s5eval.systems.training.loop import TrainingResult, train
from s5eval.systems.training.sitting import TrainingSitting
from s5eval.systems.training.training_plan import TrainingPlan
from s5eval.systems.weight_files import file_digest

pytest.importorskip("lightning.fabric")
pytest.importorskip("transformers")

ToyPlan = Callable[..., TrainingPlan]
ToyTrain = Callable[..., TrainingResult]

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

STARTS: dict[str, dict[str, str | None]] = {
    "uss": {"uss": None},
    "segmentation": {},
    "dpc": {"uss": None, "dpc1": "dpc1"},
}


def words(plan: TrainingPlan, name: str, script: Path, weights: Path, out: Path) -> list[str]:
    """`s5eval train` of a toy plan as a command of its own, from the script's name on."""
    script.write_text("import sys\nfrom s5eval.harness.cli import main\nif __name__ == '__main__':\n    main()\n")
    content = plan.as_dict()
    recipe = {**content["recipe"], "starts_from": STARTS[name]}
    changes = {**recipe, **{f"system.{key}": value for key, value in content["system"].items()}}
    sets = [word for key, value in changes.items() for word in ("--set", f"{key}={json.dumps(value)}")]
    folders = ["--weights", str(weights), "--out", str(out)]
    return [str(script), "train", f"mini/{name}", *folders, "--device", "cpu", "--threads", "1", "--json", *sets]


def start(command: Sequence[str], **environ: str) -> "subprocess.Popen[str]":
    clean = {key: value for key, value in os.environ.items() if not key.startswith("SLURM")}
    told = {**clean, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", **environ}
    return subprocess.Popen(command, env=told, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(processes: Sequence["subprocess.Popen[str]"]) -> list[tuple[int, str, str]]:
    try:
        texts = [process.communicate(timeout=1200) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(process.returncode, *text) for process, text in zip(processes, texts, strict=True)]


def free_port() -> str:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return str(listening.getsockname()[1])


def task(rank: int, nodes: int, tasks: int, port: str) -> dict[str, str]:
    """What srun leaves to a task."""
    each = tasks // nodes
    values = {
        "JOB_ID": "4177",
        "NTASKS": str(tasks),
        "STEP_ID": "0",
        "STEP_NUM_TASKS": str(tasks),
        "STEP_NUM_NODES": str(nodes),
        "STEP_TASKS_PER_NODE": str(each) if nodes == 1 else f"{each}(x{nodes})",
        "STEP_NODELIST": "localhost",
        "PROCID": str(rank),
        "LOCALID": str(rank % each),
        "NODEID": str(rank // each),
    }
    return {**{f"SLURM_{name}": value for name, value in values.items()}, "MASTER_PORT": port}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["uss", "segmentation"])
def test_two_processes_share_a_batch_in_two_sittings(toy_plan: ToyPlan, tmp_path: Path, name: str) -> None:
    plan = toy_plan(name, steps=2, batch=2, export="float32")
    train(plan, TrainingSitting(tmp_path / "one", tmp_path / "a", device="cpu"))
    call = [sys.executable, *words(plan, name, tmp_path / "program.py", tmp_path / "two", tmp_path / "b")]
    for last in (["--max-minutes", "0"], []):
        ((code, out, err),) = ended([start([*call, "--devices", "2", *last])])
        assert code == 0, err
        said = json.loads(out)  # of one process alone
        assert said["finished"] is (last == [])
    one, two = load_file(tmp_path / "one" / "uss.safetensors"), load_file(tmp_path / "two" / "uss.safetensors")
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, atol=1e-3, rtol=1e-2)


@pytest.mark.slow
def test_two_processes_make_kept_slots_in_turns_and_share_a_batch_of_them(
    toy_plan: ToyPlan, toy_train: ToyTrain, tmp_path: Path
) -> None:
    for name in ("m2d", "uss", "dpc"):
        toy_train(name)
    trains = {"trains": ["dpc1"], "starts_from": STARTS["dpc"]}
    slots = {"scenes": 120, "batch": 8, "silent": 0.5, "alone": 0.0, "equalise": 3.0}  # three shards for two
    plan = toy_plan("dpc", **trains, slots=slots, steps=3, export="float32")
    for folder in ("one", "two"):
        shutil.copytree(tmp_path / "weights", tmp_path / folder)
    train(plan, TrainingSitting(tmp_path / "one", tmp_path / "a", device="cpu"))
    call = [sys.executable, *words(plan, "dpc", tmp_path / "program.py", tmp_path / "two", tmp_path / "b")]
    ((code, _, err),) = ended([start([*call, "--devices", "3"])])
    assert (code, "a batch of 8 slots does not divide among 3 devices" in err) == (2, True), err
    ((code, out, err),) = ended([start([*call, "--devices", "2"])])
    assert code == 0, err
    assert json.loads(out)["finished"]
    made = [sorted((tmp_path / folder / "slots").glob("*.safetensors")) for folder in ("a", "b")]
    assert [path.name for path in made[0]] == [path.name for path in made[1]]
    assert len(made[0]) == 3
    for ours, theirs in zip(*made, strict=True):
        one, two = load_file(ours), load_file(theirs)
        for name, value in one.items():
            torch.testing.assert_close(two[name], value, atol=1e-2, rtol=1e-2)
    one, two = load_file(tmp_path / "one" / "dpc1.safetensors"), load_file(tmp_path / "two" / "dpc1.safetensors")
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, atol=1e-3, rtol=1e-2)


@pytest.mark.slow
def test_weights_are_the_same_to_the_bit_whoever_started_the_two(toy_plan: ToyPlan, tmp_path: Path) -> None:
    plan = toy_plan("segmentation", steps=2, batch=2, export="float32")
    digests = {}

    def weights_of(how: str, commands: Callable[[list[str]], list["subprocess.Popen[str]"]]) -> None:
        call = words(plan, "segmentation", tmp_path / "program.py", tmp_path / how, tmp_path / f"{how}-steps")
        results = ended(commands(call))
        assert [code for code, _, _ in results] == [0] * len(results), (how, results)
        assert sum('"finished": true' in out for _, out, _ in results) == 1, (how, results)
        digests[how] = file_digest(tmp_path / how / "uss.safetensors")

    def torchrun(call: list[str], nodes: int, each: int) -> list["subprocess.Popen[str]"]:
        meeting = ["--rdzv-backend", "c10d", "--rdzv-endpoint", f"127.0.0.1:{free_port()}", "--local-addr", "127.0.0.1"]
        words = ["-m", "torch.distributed.run", "--nnodes", str(nodes), "--nproc-per-node", str(each), *meeting]
        return [start([sys.executable, *words, *call]) for _ in range(nodes)]

    def srun(call: list[str], nodes: int) -> list["subprocess.Popen[str]"]:
        port = free_port()
        return [start([sys.executable, *call], **task(rank, nodes, 2, port)) for rank in range(2)]

    def by_hand(call: list[str]) -> list["subprocess.Popen[str]"]:
        told: dict[str, Any] = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
        call = [sys.executable, *call, "--nodes", "2", "--devices", "1"]
        return [start(call, **told, NODE_RANK=str(node)) for node in range(2)]

    weights_of("devices", lambda call: [start([sys.executable, *call, "--devices", "2"])])
    weights_of("torchrun", lambda call: torchrun(call, 1, 2))
    weights_of("torchrun-two-nodes", lambda call: torchrun(call, 2, 1))
    weights_of("srun", lambda call: srun(call, 1))
    weights_of("srun-two-nodes", lambda call: srun(call, 2))
    weights_of("by-hand", by_hand)
    # a task of its own that starts the second process itself, in a job of more tasks
    one = task(0, 1, 1, free_port())
    weights_of("one-task", lambda call: [start([sys.executable, *call, "--devices", "2"], **one)])
    assert len(set(digests.values())) == 1, digests


@pytest.mark.slow
def test_nodes_that_do_not_see_the_same_files_are_refused(toy_plan: ToyPlan, tmp_path: Path) -> None:
    plan = toy_plan("segmentation", steps=3, batch=2)
    script, weights = tmp_path / "program.py", tmp_path / "w"
    first, second = (words(plan, "segmentation", script, weights, tmp_path / out) for out in ("a", "b"))
    ((code, _, err),) = ended([start([sys.executable, *first, "--devices", "2", "--max-minutes", "0"])])
    assert code == 0, err
    port = free_port()
    results = ended([start([sys.executable, *c], **task(k, 2, 2, port)) for k, c in enumerate((first, second))])
    assert [code for code, _, _ in results] == [2, 2], results
    assert all("all nodes must see the same --out" in err for _, _, err in results), results


_FAILING = """
from s5eval.data_manifests.common.errors import DataError
from s5eval.systems.training import checkpoint
from s5eval.systems.training.learner import Learner

save = checkpoint.save
def fails(folder, state):
    if state.step < 2:
        return save(folder, state)
    raise DataError("the disk is full")

def export(self, folder, known):
    raise DataError("the card cannot be written")

if FAILS == "checkpoint":
    checkpoint.save = fails
else:
    Learner.export = export
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fails", "text"), [("checkpoint", "the disk is full"), ("export", "the card cannot be written")]
)
def test_what_the_first_process_cannot_write_ends_all_with_its_text(
    toy_plan: ToyPlan, tmp_path: Path, fails: str, text: str
) -> None:
    plan = toy_plan("segmentation", steps=3, batch=2)
    script = tmp_path / "program.py"
    call = [*words(plan, "segmentation", script, tmp_path / "w", tmp_path / "a"), "--checkpoint-minutes", "0"]
    script.write_text(f"FAILS = {fails!r}\n{_FAILING}\n{script.read_text()}")
    port = free_port()
    results = ended([start([sys.executable, *call], **task(k, 2, 2, port)) for k in range(2)])
    assert [code for code, _, _ in results] == [3, 3], results
    assert text in results[0][2] and f"process 1 of 2: {text}" in results[1][2], results
    assert "Traceback" not in "".join(err for _, _, err in results)


@pytest.mark.slow
def test_an_error_of_one_process_ends_all(toy_plan: ToyPlan, tmp_path: Path) -> None:
    plan = toy_plan("segmentation", steps=3, batch=2)
    script = tmp_path / "program.py"
    (tmp_path / "file").write_text("in the way")
    here = words(plan, "segmentation", script, tmp_path / "w", tmp_path / "a")
    there = words(plan, "segmentation", script, tmp_path / "w", tmp_path / "file")
    port = free_port()
    # the first cannot write where it shall: the second does not wait for it
    results = ended([start([sys.executable, *c], **task(k, 2, 2, port)) for k, c in enumerate((there, here))])
    assert [code for code, _, _ in results] == [3, 3], results
    assert "process 1 of 2: " in results[1][2]

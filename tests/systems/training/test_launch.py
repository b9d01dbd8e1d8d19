"""What a launcher left in the environment against --nodes and --devices: right, or an error that says what to write."""

import pytest

from s5eval.data_manifests.common.errors import UsageError
from s5eval.systems.training.launch import agree, check_count, find_launch, note

TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "x",
    "WORLD_SIZE": "4",
    "LOCAL_WORLD_SIZE": "2",
    "GROUP_WORLD_SIZE": "2",
    "LOCAL_RANK": "1",
    "RANK": "3",
}
BATCH = {
    "SLURM_JOB_ID": "4177",
    "SLURM_JOB_NAME": "train",
    "SLURM_NTASKS": "4",
    "SLURM_NNODES": "2",
    "SLURM_PROCID": "0",
    "SLURM_LOCALID": "0",
    "SLURM_NODEID": "0",
    "SLURM_NODELIST": "node[07-08]",
}
"""The body of a batch script with `#SBATCH --nodes=2 --ntasks=4`, as SLURM leaves it to one process."""

STEP = {
    **BATCH,
    "SLURM_STEP_ID": "1",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_STEP_TASKS_PER_NODE": "2(x2)",
    "SLURM_STEP_NODELIST": "node[07-08]",
    "SLURM_PROCID": "3",
    "SLURM_LOCALID": "1",
    "SLURM_NODEID": "1",
}
"""The last task of `srun s5eval train …` in that script."""


@pytest.mark.parametrize(
    ("environ", "nodes", "devices", "expected"),
    [
        ({}, "auto", "auto", (1, "auto")),
        ({}, 1, 2, (1, 2)),
        (TORCHRUN, "auto", "auto", (2, 2)),
        (TORCHRUN, 2, 2, (2, 2)),
        (STEP, "auto", "auto", (2, 2)),
        (STEP, 2, 2, (2, 2)),
        # all tasks of the job were not asked to train: what the script says of the whole job is not our concern
        (BATCH, "auto", "auto", (1, "auto")),
        (BATCH, "auto", 2, (1, 2)),
        # one task, which starts its processes itself
        ({**BATCH, "SLURM_NTASKS": "1", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "1"}, "auto", 2, (1, 2)),
        ({"NODE_RANK": "1", "MASTER_ADDR": "h", "MASTER_PORT": "1"}, 2, 1, (2, 1)),
        # torchrun within srun's one task per node: torchrun knows
        ({**STEP, **TORCHRUN}, "auto", "auto", (2, 2)),
    ],
)
def test_what_was_started_is_what_trains(
    environ: dict[str, str], nodes: int | str, devices: int | str, expected: tuple[int, int | str]
) -> None:
    assert agree(find_launch(environ), nodes, devices, environ) == expected


@pytest.mark.parametrize(
    ("environ", "nodes", "devices", "message"),
    [
        (TORCHRUN, "auto", 3, r"torchrun started 2 processes on each of 2 nodes, but --devices says 3: write torchrun"),
        (TORCHRUN, 1, "auto", r"--nodes says 1: write torchrun --nnodes 1 --nproc-per-node M --no-python s5eval train"),
        (STEP, "auto", 4, r"--devices says 4: write srun --nodes=2 --ntasks-per-node=4 s5eval train"),
        (STEP, 4, 2, r"--nodes says 4: write srun --nodes=4 --ntasks-per-node=2 .* --nodes 4 --devices 2"),
        (BATCH, 2, 2, r"NODE_RANK, .* not set\): write srun --nodes=2 --ntasks-per-node=2 s5eval train"),
        (
            {},
            2,
            8,
            r"write torchrun --nnodes 2 --nproc-per-node 8 --rdzv-backend c10d --rdzv-endpoint FIRST_NODE:29500",
        ),
        ({"MASTER_ADDR": "h", "MASTER_PORT": "1"}, 2, 1, r"\(NODE_RANK not set\)"),
        ({}, 0, 1, "nodes is 0"),
        ({}, "two", 1, "nodes is 'two'"),
    ],
)
def test_contradictions_say_what_to_write(
    environ: dict[str, str], nodes: int | str, devices: int | str, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        agree(find_launch(environ), nodes, devices, environ)


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({**TORCHRUN, "WORLD_SIZE": "3"}, "give every node the same --nproc-per-node"),
        ({**STEP, "SLURM_STEP_TASKS_PER_NODE": "3,1"}, r"srun started 4 tasks on 2 nodes \(3,1\)"),
        ({**STEP, "SLURM_STEP_NUM_TASKS": "3", "SLURM_STEP_TASKS_PER_NODE": "2,1"}, "--ntasks-per-node=2 s5eval"),
        ({**STEP, "SLURM_LOCALID": "first"}, "SLURM_LOCALID is 'first'"),
        ({"OMPI_COMM_WORLD_SIZE": "2"}, "mpirun started 2 processes, .* OMPI_COMM_WORLD_SIZE unset"),
        ({"WORLD_SIZE": "2", "RANK": "1", "MASTER_ADDR": "h"}, "WORLD_SIZE unset"),
    ],
)
def test_launches_that_would_train_copies_are_refused(environ: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        find_launch(environ)


def test_a_task_of_srun_finds_its_rank_and_the_others() -> None:
    launch = find_launch(STEP)
    found = dict(launch.variables)
    port = int(found.pop("MASTER_PORT"))
    assert found == {"LOCAL_RANK": "1", "NODE_RANK": "1", "WORLD_SIZE": "4"}
    assert (launch.head, 15_000 <= port < 30_000) == ("node[07-08]", True)
    assert find_launch({**STEP, "SLURM_PROCID": "0", "SLURM_NODEID": "0"}).variables["MASTER_PORT"] == str(port)
    assert find_launch({**STEP, "SLURM_STEP_ID": "2"}).variables["MASTER_PORT"] != str(port), "steps beside each other"
    own = find_launch({**STEP, "MASTER_PORT": "7", "MASTER_ADDR": "10.0.0.1"}).variables
    assert (own["MASTER_PORT"], own["MASTER_ADDR"]) == ("7", "10.0.0.1")


def test_processes_that_were_started_are_counted() -> None:
    launch = find_launch({"LOCAL_RANK": "0", "WORLD_SIZE": "4"})
    check_count(launch, 4)
    with pytest.raises(UsageError, match=r"4 processes were started .* come to 1"):
        check_count(launch, 1)
    check_count(find_launch({"LOCAL_RANK": "0"}), 8)


def test_tasks_that_do_not_train_are_mentioned() -> None:
    assert "4 tasks" in str(note(find_launch(BATCH)))
    assert [note(find_launch(environ)) for environ in ({}, STEP, TORCHRUN)] == [None] * 3

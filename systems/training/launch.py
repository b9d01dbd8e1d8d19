"""How many processes were started to train together, and by whom: torchrun, SLURM's srun, somebody's hand, or nobody.

A process that takes itself for the only one while another like it is at work trains a second copy into the same
folder, and says nothing. So what a launcher has left in the environment is held against --nodes and --devices before
anything else is done.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from s5eval.data_manifests.common.errors import UsageError

_OTHERS = {"OMPI_COMM_WORLD_SIZE": "mpirun", "PMI_SIZE": "mpiexec", "WORLD_SIZE": "somebody (WORLD_SIZE)"}


@dataclass(frozen=True, slots=True)
class Launch:
    """What started this process.

    Attributes:
        by: `torchrun`, `srun`, `LOCAL_RANK` (Lightning, or a hand), or empty: it stands alone and may start others.
        nodes: machines that take part; None: not said.
        each: processes on each of them; None: not said.
        total: of processes; None: not said.
        job: tasks of the SLURM job that it is in, 1 outside; not this training's unless srun started them.
        variables: what Lightning has to find in the environment.
        head: SLURM's list of nodes, the first of which the others turn to; empty: not SLURM's.
    """

    by: str = ""
    nodes: int | None = None
    each: int | None = None
    total: int | None = None
    job: int = 1
    variables: Mapping[str, str] = field(default_factory=dict)
    head: str = ""


def find_launch(environ: Mapping[str, str]) -> Launch:
    """Read what a launcher has left in the environment.

    Raises:
        UsageError: nodes were given different numbers of processes, or a launcher was used that leaves no ranks
            which can be relied on.
    """
    if "TORCHELASTIC_RUN_ID" in environ:
        total, each = _number(environ, "WORLD_SIZE"), _number(environ, "LOCAL_WORLD_SIZE")
        nodes = _number(environ, "GROUP_WORLD_SIZE")
        if nodes * each != total:
            raise UsageError(
                f"torchrun started {total} processes on {nodes} nodes, {each} of them here; give every node the same "
                "--nproc-per-node"
            )
        return Launch("torchrun", nodes, each, total)
    if "LOCAL_RANK" in environ:
        return Launch("LOCAL_RANK", total=_number(environ, "WORLD_SIZE") if "WORLD_SIZE" in environ else None)
    job = _number(environ, "SLURM_NTASKS", 1)
    tasks = _number(environ, "SLURM_STEP_NUM_TASKS", job if "SLURM_STEP_ID" in environ else 1)
    if tasks > 1:
        return _of_srun(environ, tasks, job)
    for name, program in _OTHERS.items():
        if (count := _number(environ, name, 1)) > 1:
            raise UsageError(
                f"{program} started {count} processes, and nothing says which of them trains what: start them by "
                f"torchrun --nnodes N --nproc-per-node M, or by srun; one that is to train alone needs {name} unset"
            )
    return Launch(job=job)


def _of_srun(environ: Mapping[str, str], tasks: int, job: int) -> Launch:
    nodes = _number(environ, "SLURM_STEP_NUM_NODES", _number(environ, "SLURM_NNODES", 1))
    spread = environ.get("SLURM_STEP_TASKS_PER_NODE", "")
    if tasks % nodes or "," in spread:
        raise UsageError(
            f"srun started {tasks} tasks on {nodes} nodes ({spread or 'unevenly'}); every node must have as many: "
            f"srun --nodes={nodes} --ntasks-per-node={-(-tasks // nodes)} s5eval train …"
        )
    number = _number(environ, "SLURM_JOB_ID", 0) + 31 * _number(environ, "SLURM_STEP_ID", 0)
    variables = {
        "LOCAL_RANK": str(_number(environ, "SLURM_LOCALID")),
        "NODE_RANK": str(_number(environ, "SLURM_NODEID")),
        "WORLD_SIZE": str(tasks),
        "MASTER_PORT": environ.get("MASTER_PORT", str(15_000 + number % 15_000)),
    }
    if "MASTER_ADDR" in environ:
        variables["MASTER_ADDR"] = environ["MASTER_ADDR"]
    head = environ.get("SLURM_STEP_NODELIST") or environ.get("SLURM_NODELIST") or "127.0.0.1"
    return Launch("srun", nodes, tasks // nodes, tasks, job, variables, head)


def agree(launch: Launch, nodes: int | str, devices: int | str, environ: Mapping[str, str]) -> tuple[int, int | str]:
    """Nodes and devices of each, as they were asked for and started.

    Args:
        launch: what `find_launch` read.
        nodes: as asked for, or `auto`.
        devices: on every node, or `auto`.
        environ: of the process.

    Returns:
        Both; devices remain `auto` where nobody has counted them.

    Raises:
        UsageError: what was asked for is not what was started; says what to write.
    """
    if nodes != "auto" and (not isinstance(nodes, int) or nodes < 1):
        raise UsageError(f"nodes is {nodes!r}, expected auto or a number from 1")
    if launch.nodes is not None and launch.each is not None:
        started = f"{launch.by} started {launch.each} processes on each of {launch.nodes} nodes"
        if nodes not in ("auto", launch.nodes):
            raise UsageError(f"{started}, but --nodes says {nodes}: {_write(launch.by, int(nodes), devices)}")
        if devices not in ("auto", launch.each):
            raise UsageError(f"{started}, but --devices says {devices}: {_write(launch.by, launch.nodes, devices)}")
        return launch.nodes, launch.each
    count = 1 if nodes == "auto" else int(nodes)
    missing = [name for name in ("NODE_RANK", "MASTER_ADDR", "MASTER_PORT") if name not in environ]
    if count > 1 and missing:
        program = "srun" if "SLURM_JOB_ID" in environ else "torchrun"
        raise UsageError(
            f"--nodes {count}, but nothing says which of them this one is ({', '.join(missing)} not set): "
            f"{_write(program, count, devices)}"
        )
    return count, devices


def check_count(launch: Launch, count: int) -> None:
    """Make sure that as many processes were started as will train.

    Raises:
        UsageError: there are more, of which some would train copies, or fewer, which would wait for the rest for ever.
    """
    if launch.total not in (None, count):
        raise UsageError(
            f"{launch.total} processes were started ({launch.by}), but --nodes and --devices come to {count}: give "
            "both as they were started, or start the processes by torchrun"
        )


def note(launch: Launch) -> str | None:
    """What the reader of a batch script's output should know: tasks that the job has and this training does not."""
    if launch.by or launch.job == 1:
        return None
    return (
        f"this SLURM job has {launch.job} tasks; srun did not start this one, so it trains alone, with its own "
        "--devices (srun s5eval train … takes all tasks)"
    )


def _write(program: str, nodes: int, devices: int | str) -> str:
    each = "M" if devices == "auto" else str(devices)
    said = f"--nodes {nodes} --devices {each}"
    if program == "srun":
        return f"write srun --nodes={nodes} --ntasks-per-node={each} s5eval train … {said}"
    place = " --rdzv-backend c10d --rdzv-endpoint FIRST_NODE:29500" if nodes > 1 else ""
    return f"write torchrun --nnodes {nodes} --nproc-per-node {each}{place} --no-python s5eval train … {said}"


def _number(environ: Mapping[str, str], name: str, default: int | None = None) -> int:
    text = environ.get(name)
    if text is None and default is not None:
        return default
    if text is None or not re.fullmatch(r"\d+", text):
        raise UsageError(f"the environment's {name} is {text!r}, expected a number; a launcher sets it")
    return int(text)

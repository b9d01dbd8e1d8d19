"""What single factors of a training are worth, each alone and under one equal budget of CPU time.

Stage 1's classifier and M2D go on from the shipped weights on kept slots (`slots.scenes`): 0.6 of the budget makes
scenes and hears them, the rest is steps, so what a factor costs is in its result; one factor makes new scenes in
every step instead. Every factor is then heard on the same real mixtures, whose sounds nobody trained on: the share of
sources that it names right, what it gained per hour over the weights that it began with, and the difference to the
first factor, paired over mixtures. One seed: what another seed would bring is not in the intervals.

    make bench ONLY="factors --recordings DIR --valid DIR [--also DIR] [--out OUT] [--budget S] [--factors A,B]"

`--valid` is a set made by `s5eval data make`. What is in OUT is not done again: a killed one goes on.
"""

import argparse
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from s5eval import open_data
from s5eval.data_manifests.common.files import write_atomically
from s5eval.data_manifests.labels import CLASS_INDEX
from s5eval.systems.multistage.training.classification import SlotSource
from s5eval.systems.multistage.training.kept_slots import Heard, KeptSlots, SlotBatch
from s5eval.systems.multistage.training.slot_draws import draw
from s5eval.systems.multistage.training.trainer import make_job
from s5eval.systems.training.batches import Batch
from s5eval.systems.training.parts import PartsFolder
from s5eval.systems.training.steps import seed_step
from s5eval.systems.training.training_plan import TrainingPlan, read_plan

SHIPPED = Path(__file__).parents[2] / "systems" / "multistage" / "weights"
KINDS = {"equalise": 8.0, "speed": 0.25, "gain": 4.0, "reverse": 0.5, "mix": 0.25, "join": 0.3}
SCENES = 0.6
"""Share of the budget that makes scenes."""

_SHARD = 10  # scenes between two looks at the clock


@dataclass(frozen=True)
class Factor:
    """One row: which augmentation is left out, how much of the material is foley, whether the task is compiled, and
    whether slots are kept or new in every step.
    """

    without: tuple[str, ...] = ()
    foley: float = 0.35
    compiled: bool = False
    kept: bool = True


FACTORS: Mapping[str, Factor] = {
    "all kinds": Factor(),
    **{f"without {kind}": Factor((kind,)) for kind in KINDS},
    "without any": Factor(tuple(KINDS)),
    "foley 0": Factor(foley=0.0),
    "foley 0.7": Factor(foley=0.7),
    "compiled": Factor(compiled=True),
    "nothing kept": Factor(kept=False),
}


def plan_of(factor: Factor, folders: list[Path], rooms: int) -> TrainingPlan:
    """The recipe of a factor; folders of recordings share what foley leaves."""
    share = (1 - factor.foley) / len(folders)
    return read_plan(
        "mini/adapt",
        {
            "trains": ["dpc1", "m2d"],
            "starts_from": {"uss": None, "dpc1": "dpc1", "m2d": "m2d"},
            "seed": 801,
            "data": {
                "material": {"foley": factor.foley, **{str(folder): share for folder in folders}},
                "augmentation": {kind: 0.0 if kind in factor.without else value for kind, value in KINDS.items()},
                "rooms": rooms,
                "seconds": 10.0,
            },
            "optimiser": {"learning_rate": 5e-4, "factors": {"m2d": 0.5}},
            "loss": {"classes": 1.0},
            "slots": {"scenes": 1},
        },
    )


def train(factor: Factor, plan: TrainingPlan, weights: Path, out: Path, budget: float) -> tuple[Any, dict[str, float]]:
    """The task, trained for `budget` CPU seconds, and what came of them."""
    parts = PartsFolder(weights, torch.device("cpu"))
    torch.manual_seed(plan.recipe.seed)
    job = make_job(plan, parts)
    source: Any = job.batches
    scenes, spent, batches = 0, 0.0, new_batches(source, plan, out)
    if factor.kept:
        kept, scenes, spent = kept_scenes(source, out, SCENES * budget)
        batches = draw(kept, plan.recipe.slots, plan.recipe.seed, first=0, last=10**9)
    task = job.task.train()
    if factor.compiled:
        task.compile()
    parameters = [p for p in task.parameters() if p.requires_grad]
    groups = [
        {"params": list(part.network.parameters()), "lr": 5e-4 * plan.recipe.optimiser.factors.get(name, 1.0)}
        for name, part in job.parts.items()
    ]
    optimiser = torch.optim.AdamW(groups, weight_decay=0.05)
    average = {name: value.clone() for name, value in task.state_dict().items()}
    begun, step = time.process_time(), 0
    for batch in batches:
        if time.process_time() - begun >= budget - spent:
            break
        seed_step(plan.recipe.seed, step, 0, 0)
        terms = task(batch)
        torch.stack([value for name, value in terms.items() if not name.startswith("_")]).sum().backward()
        torch.nn.utils.clip_grad_norm_(parameters, plan.recipe.optimiser.clip)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        step += 1
        decay = min(0.98, (1 + step) / (10 + step))
        for name, value in task.state_dict().items():
            average[name] = average[name].lerp(value, 1 - decay) if value.is_floating_point() else value.clone()
    task.load_state_dict(average)
    return task.eval(), {"scenes": scenes if factor.kept else step * _SHARD, "steps": step}


def new_batches(source: SlotSource, plan: TrainingPlan, out: Path) -> Iterator[SlotBatch]:
    """Batches without end, each of scenes that are heard for it and then thrown away."""
    for number in itertools.count():
        begin = number * _SHARD
        with tempfile.TemporaryDirectory(dir=out) as folder:
            slots = KeptSlots(Path(folder), source.made_by)
            slots.prepare(_SHARD, lambda first, last, base=begin: source._hear(base + first, base + last))
            yield from draw(slots, plan.recipe.slots, plan.recipe.seed, first=number, last=number + 1)


def kept_scenes(source: SlotSource, out: Path, budget: float) -> tuple[KeptSlots, int, float]:
    """Kept slots that took `budget` CPU seconds to make, how many scenes, and the seconds; goes on in `out`."""
    done = out / "scenes.json"
    told = json.loads(done.read_text()) if done.is_file() else {"scenes": 0, "seconds": 0.0}
    while told["seconds"] < budget:
        begun = time.process_time()
        scenes = told["scenes"] + _SHARD
        KeptSlots(out / f"slots-{scenes:05d}", source.made_by).prepare(
            _SHARD, lambda first, last, base=told["scenes"]: source._hear(base + first, base + last)
        )
        told = {"scenes": scenes, "seconds": told["seconds"] + time.process_time() - begun}
        write_atomically(done, json.dumps(told))
    return Joined(out, source.made_by, told["scenes"]), told["scenes"], told["seconds"]


class Joined(KeptSlots):
    """The shards of a factor as one."""

    def __init__(self, out: Path, made_by: Mapping[str, object], scenes: int) -> None:
        super().__init__(out, made_by)
        for last in range(_SHARD, scenes + 1, _SHARD):
            part = KeptSlots(out / f"slots-{last:05d}", made_by)
            part.prepare(_SHARD, _never)
            for shard in part._shards:
                self._take(shard)


def _never(first: int, last: int) -> Heard:
    raise RuntimeError(f"kept scenes {first} to {last} are gone; remove the folder of their factor")


def valid_slots(valid: Path, limit: int, plan: TrainingPlan, weights: Path, out: Path) -> list[SlotBatch]:
    """The slots of every real mixture, made once."""
    path = out / f"valid-{limit}.pt"
    if not path.is_file():
        source: Any = make_job(plan, PartsFolder(weights, torch.device("cpu"))).batches
        kept = []
        for scene in list(open_data(valid).scenes)[:limit]:
            mixture = torch.from_numpy(np.asarray(scene.mixture.audio(), np.float32))[None]
            targets = torch.zeros(1, 3, mixture.shape[2])
            labels = torch.full((1, 3), -1)
            for k, reference in enumerate(scene.references):
                audio = torch.from_numpy(np.asarray(reference.audio(), np.float32)).reshape(-1)[: mixture.shape[2]]
                targets[0, k, : len(audio)] = audio
                labels[0, k] = CLASS_INDEX[reference.label]
            with torch.no_grad():
                kept.append(tuple(source.hear(Batch(mixture, targets, labels, targets[:, :0], targets[:, :0]))))
        write_torch(path, kept)
    return [SlotBatch(*values) for values in torch.load(path, weights_only=True)]


def write_torch(path: Path, content: object) -> None:
    """Under its name only when it is whole."""
    partial = path.with_suffix(".partial")
    torch.save(content, partial)
    partial.replace(path)


@torch.no_grad()
def right(task: Any, batches: list[SlotBatch]) -> list[list[int]]:
    """For every mixture how many sources are named right, and how many it has."""
    rows = []
    for batch in batches:
        out = task.dpc(batch.features, task._hears[0].backbone(batch.log_mel), batch.level)
        there = batch.labels >= 0
        hits: Tensor = (out.plain.argmax(1) == batch.labels) & there
        rows.append([int(hits.sum()), int(there.sum())])
    return rows


def interval(values: Callable[[np.ndarray[Any, Any]], float], mixtures: int) -> tuple[float, float]:
    """95 % of what 2,000 draws of mixtures give."""
    rng = np.random.default_rng(0)
    drawn = [values(rng.integers(0, mixtures, mixtures)) for _ in range(2000)]
    return float(np.percentile(drawn, 2.5)), float(np.percentile(drawn, 97.5))


def share(rows: list[list[int]]) -> Callable[[np.ndarray[Any, Any]], float]:
    """Percent of the sources of some mixtures that are named right."""
    table = np.array(rows)
    return lambda chosen: float(100 * table[chosen, 0].sum() / max(1, table[chosen, 1].sum()))


def report(results: Mapping[str, Any], budget: float) -> None:
    """The table, as far as it goes."""
    start = results["before"]["rows"]
    n = len(start)
    every = np.arange(n)
    sources = sum(count for _, count in start)
    print(
        f"\n{n} real mixtures, {sources} sources; {budget:g} CPU s a factor; named right, %, 95 % over mixtures, paired"
    )
    print(f"{'factor':18} {'scenes':>6} {'steps':>5} {'right':>6} {'per hour':>9}  minus before, minus the first")
    base = next((results[name]["rows"] for name in FACTORS if name in results), start)
    for name, result in results.items():
        own = share(result["rows"])
        cells = []
        for other in (share(start), share(base)):
            low, high = interval(lambda c, own=own, other=other: own(c) - other(c), n)
            cells.append(f"{own(every) - other(every):+z.1f} [{low:+z.1f}, {high:+z.1f}]")
        hourly = "" if name == "before" else f"{(own(every) - share(start)(every)) * 3600 / budget:+z.0f}"
        told = f"{result.get('scenes', ''):>6} {result.get('steps', ''):>5}"
        print(f"{name:18} {told} {own(every):6.1f} {hourly:>9}  {cells[0]}, {cells[1]}")


def main(options: argparse.Namespace) -> int:
    """Every factor that is not done, then the table."""
    if options.recordings is None or options.valid is None:
        print("left out: it needs --recordings DIR and --valid DIR, a set that `s5eval data make` has made")
        return 0
    torch.set_num_threads(1)
    out = options.out / f"{options.budget:g}s"
    out.mkdir(parents=True, exist_ok=True)
    folders = [options.recordings, *options.also]
    first = plan_of(Factor(), folders, options.rooms)
    batches = valid_slots(options.valid, options.limit, first, options.weights, options.out)
    results: dict[str, Any] = {}
    for name in ("before", *options.factors):
        folder = out / name.replace(" ", "-")
        path = folder / f"result-{options.limit}.json"
        if not path.is_file():
            folder.mkdir(exist_ok=True)
            factor = FACTORS.get(name, Factor())
            plan = plan_of(factor, folders, options.rooms)
            if name == "before":
                parts = PartsFolder(options.weights, torch.device("cpu"))
                task, told = make_job(plan, parts).task.eval(), {}
            else:
                task, told = train(factor, plan, options.weights, folder, options.budget)
            write_atomically(path, json.dumps({**told, "rows": right(task, batches)}))
        results[name] = json.loads(path.read_text())
        print(f"{name}: {share(results[name]['rows'])(np.arange(len(batches))):.1f} %", flush=True)
    report(results, options.budget)
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", type=Path, help="Folder of recordings, its `train` part is heard.")
    parser.add_argument("--also", type=Path, action="append", default=[], help="Another one.")
    parser.add_argument("--valid", type=Path, help="A set of real mixtures.")
    parser.add_argument("--limit", type=int, default=300, help="Mixtures of it.")
    parser.add_argument("--out", type=Path, default=Path("factors"))
    parser.add_argument("--budget", type=float, default=240.0, help="CPU seconds of a factor.")
    parser.add_argument("--rooms", type=int, default=24)
    parser.add_argument("--weights", type=Path, default=SHIPPED)
    parser.add_argument("--factors", type=lambda text: text.split(","), default=list(FACTORS))
    chosen = parser.parse_args()
    if unknown := set(chosen.factors) - set(FACTORS):
        parser.error(f"no factor {', '.join(sorted(unknown))}; there are {', '.join(FACTORS)}")
    sys.exit(main(chosen))

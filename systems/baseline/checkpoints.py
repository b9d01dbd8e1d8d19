"""The published checkpoints: Lightning files, read without executing code, compared tensor by tensor."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.common.words import first_of
from s5eval.systems.baseline.models.frozen import TOLERANCE, frozen_tensors
from s5eval.systems.weight_files import NeedsTrustError, load_strictly, read_tensors, refuse_several, weight_sets

SOURCE = (
    "https://github.com/nttcslab/dcase2026_task4_baseline/releases/tag/v1.0.0, baseline_checkpoint.zip, "
    "whose folder checkpoint/ is what system.checkpoint_dir names"
)
"""Where the published weights come from."""

_LISTED = 5


def load_checkpoint(module: nn.Module, path: Path, *, trusted: bool, chosen: str | None = None) -> None:
    """Load a network from a Lightning checkpoint, strictly.

    Args:
        module: its state has the official names.
        path: the file; weights under `state_dict`, every name behind one prefix (`model.`).
        trusted: read it even if it has to execute code.
        chosen: which set of weights is meant, where a file holds several (`model`, `ema_model`); None: the only one.

    Raises:
        DataError: the file is missing or unreadable, or needs trust; it holds several sets of weights and none is
            chosen, or not the chosen one; tensors are missing, misshapen or unknown (all
            of them are counted, the first ones listed); or its transforms are of another window than these settings'.
    """
    try:
        content = read_tensors(path, SOURCE, trusted=trusted)
    except NeedsTrustError as error:
        raise DataError(
            f"{path}: cannot be read without running code from it: besides weights it holds Python objects, as "
            "Lightning's files may, or it is damaged. If you trust where it comes from, say `trust_checkpoint` "
            f"(or `system.trust_checkpoint=true`); the published file is at {SOURCE}"
        ) from error
    table = content.get("state_dict", content)
    if not isinstance(table, Mapping):
        raise DataError(f"{path}: state_dict is a {type(table).__name__}, expected a table of tensors; see {SOURCE}")
    names = module.state_dict().keys()
    sets = weight_sets(content, names)
    if chosen is None:
        refuse_several(sets, path, f"say which with `system.checkpoint_weights={max(sets, default='')}`")
        tensors = strip_prefix({str(name): value for name, value in table.items()}, next(iter(names)))
    elif chosen in sets:
        tensors = sets[chosen]
    else:
        listed = ", ".join(map(repr, sets)) or "none at all"
        raise DataError(f"{path}: holds no weights named {chosen!r} for this network; it holds {listed}")
    _compare(module, tensors, path)
    _check_frozen(module, tensors, path)
    load_strictly(module, tensors, path=path, source=SOURCE)


def strip_prefix(tensors: Mapping[str, object], name: str) -> dict[str, object]:
    """Take what precedes the known `name` in a table's names off all of them.

    What does not begin with that prefix belongs to something else (a loss, say) and is left out. A table in which no
    name ends with the known one is returned as it is.
    """
    if name in tensors:
        return dict(tensors)
    prefix = next((key[: -len(name)] for key in tensors if key.endswith("." + name)), "")
    return {key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)}


def _compare(module: nn.Module, tensors: Mapping[str, object], path: Path) -> None:
    own = module.state_dict()
    found = {name: tuple(value.shape) for name, value in tensors.items() if isinstance(value, Tensor)}
    findings = [
        ("missing", [f"{name} {tuple(own[name].shape)}" for name in own if name not in found]),
        ("unknown", [f"{name} {found[name]}" for name in found if name not in own]),
        (
            "of another shape",
            [
                f"{name} {found[name]}, expected {tuple(own[name].shape)}"
                for name in own
                if name in found and found[name] != tuple(own[name].shape)
            ],
        ),
    ]
    texts = [f"{len(names)} {what}: {first_of(names, _LISTED)}" for what, names in findings if names]
    if texts:
        raise DataError(
            f"{path}: {len(found)} tensors do not fit the network's {len(own)}; {'; '.join(texts)}. "
            f"Is it the file of another network, or of another preset? Expected the one from {SOURCE}"
        )


def _check_frozen(module: nn.Module, tensors: Mapping[str, object], path: Path) -> None:
    for name, expected in frozen_tensors(module).items():
        found = tensors[name]
        if not isinstance(found, Tensor):
            continue
        # the sign of a sine is a convention; powers are all that is taken of these
        candidates = (found, -found) if name.endswith(".wsin") else (found,)
        bound = TOLERANCE * float(expected.abs().max())
        if not any(bool(((value - expected).abs() <= bound).all()) for value in candidates):
            raise DataError(
                f"{path}: tensor {name!r} is not the transform of a Hann window (or filter bank) of these sizes; "
                f"this implementation computes that one and no other. Expected the file from {SOURCE}"
            )

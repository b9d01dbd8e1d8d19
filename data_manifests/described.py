"""A manifest with what metadata tell of its scenes, where there are metadata."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.common.findings import Finding
from s5eval.data_manifests.conditions import Conditions, conditions_of_metadata
from s5eval.data_manifests.manifest import Manifest
from s5eval.data_manifests.records import Scene
from s5eval.data_manifests.sets.known import MINI, VALID_LISTING, Split

METADATA = "metadata"
"""The folder beside `soundscape/` in which `<mixture id>.json` describes a scene, in the official form."""

_Find = Callable[[Scene], Conditions | None]


def with_conditions(manifest: Manifest, data: Path | None) -> Manifest:
    """The manifest with the conditions of its scenes; those without metadata have none.

    The embedded set is described by its own draws, the official validation split by the files that it is made from,
    everything else by `metadata/<mixture id>.json` beside `soundscape/`.

    A metadata file that cannot be used is one more finding, a warning: its mixture has no conditions.

    Args:
        manifest: the scenes.
        data: the data root that was named; None: the embedded set.
    """
    find = _finder(manifest.dataset, manifest.split, manifest.root, data)
    described, findings = [], list(manifest.findings)
    for scene in manifest.scenes:
        try:
            conditions = find(scene)
        except (DataError, ValueError, KeyError, TypeError, IndexError) as error:
            conditions = None
            what = str(error) if isinstance(error, DataError) else f"not a scene's metadata: {error!r}"
            findings.append(Finding("metadata", "warning", scene.mixture.id, f"in no slice by condition: {what}"))
        described.append(replace(scene, conditions=conditions))
    return replace(manifest, scenes=tuple(described), findings=tuple(findings))


def _finder(dataset: str, split: Split, folder: Path, data: Path | None) -> _Find:
    if dataset == MINI:
        from s5eval.data_manifests.sets.mini import mini_conditions

        return lambda scene: None if scene.labels is None else mini_conditions(scene.mixture.id, scene.labels)
    if split.made_from == METADATA and data is not None:
        from s5eval.data_manifests.synthesis.metadata import list_metadata

        listed = dict(list_metadata(data / VALID_LISTING))
        return lambda scene: _read(listed.get(scene.mixture.id))
    beside = (folder / split.soundscape).parent / METADATA
    return (lambda scene: _read(beside / f"{scene.mixture.id}.json")) if beside.is_dir() else (lambda scene: None)


def _read(path: Path | None) -> Conditions | None:
    if path is None or not path.is_file():
        return None
    from s5eval.data_manifests.synthesis.metadata import read_metadata

    return conditions_of_metadata(read_metadata(path))

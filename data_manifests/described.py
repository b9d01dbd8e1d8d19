"""What is told of scenes beside their audio, where something is: conditions, and the recordings that sound in them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from s5eval.data_manifests.chosen_split import locate
from s5eval.data_manifests.common.digests import is_digest_start
from s5eval.data_manifests.common.errors import DataError, S5Error
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
    listed = _metadata_files(split, folder, data)
    return lambda scene: _read(listed.get(scene.mixture.id))


def _metadata_files(split: Split, folder: Path, data: Path | None) -> Mapping[str, Path]:
    """By mixture, where there are any."""
    if split.made_from == METADATA and data is not None:
        from s5eval.data_manifests.synthesis.metadata import list_metadata

        return dict(list_metadata(data / VALID_LISTING))
    return {path.stem: path for path in ((folder / split.soundscape).parent / METADATA).glob("*.json")}


def _read(path: Path | None) -> Conditions | None:
    if path is None or not path.is_file():
        return None
    from s5eval.data_manifests.synthesis.metadata import read_metadata

    return conditions_of_metadata(read_metadata(path))


def recordings_of(
    mixture_ids: Iterable[str], data: Path | None, *, dataset: str | None = None, split: str | None = None
) -> dict[str, frozenset[str] | None]:
    """The recordings that sound as targets in mixtures, for whoever keeps those apart that share one, as folds do.

    Two mixtures share a recording if they have a name in common; names are those that the set has for its files.
    Sets of recordings note them as they are made, as does what is made of official metadata, which name them too.
    Nothing is made, and no audio is read.

    Args:
        mixture_ids: of the set.
        data: the data root, as a run is given it; None: the embedded set.
        dataset: the set, likewise.
        split: of it, likewise.

    Returns:
        Names by mixture. Empty: no target, or none that could be in another mixture; procedural sounds, of which the
        embedded set consists, are drawn for every scene anew. None: not told, as by sets of others, and by those that
        were made before it was noted.

    Raises:
        UsageError: no such data set or split.
        DataError: the folder of data is not there, or the list of the official split's metadata is unusable.
    """
    name, chosen, folder = locate(data, dataset, split)
    if name == MINI:
        return dict.fromkeys(mixture_ids, frozenset())
    metadata, records = _metadata_files(chosen, folder, data), _records(chosen, folder)
    return {id_: _heard(records.get(id_), metadata.get(id_)) for id_ in mixture_ids}


def digests_of_recordings(
    mixture_ids: Iterable[str], data: Path | None, *, dataset: str | None = None, split: str | None = None
) -> dict[str, frozenset[str]]:
    """By what the recordings that sound as targets in mixtures are known wherever they lie; takes what `recordings_of`
    takes.

    Returns:
        Starts of digests (`digest_start`) by mixture: of the recordings' content, and of the folders of recordings that
        the set was made from, which is all that is told of sets from before contents were. Empty: no recordings,
        or none of which content is told, as by all sets but those of `s5eval data make --recordings`.

    Raises:
        UsageError, DataError: see `recordings_of`; or what is said of the set cannot be read.
    """
    name, chosen, folder = locate(data, dataset, split)
    records = {} if name == MINI else _records(chosen, folder)
    if not records:
        return dict.fromkeys(mixture_ids, frozenset())
    from s5eval.data_manifests.sets.material import contents_of_set

    contents = contents_of_set((folder / chosen.soundscape).parent)
    told = {id_: _heard(records.get(id_), None) or () for id_ in mixture_ids}
    return {id_: frozenset(_known_by(names, contents)) for id_, names in told.items()}


def _records(split: Split, folder: Path) -> Mapping[str, Path]:
    """What was noted of each mixture as the set was made, by mixture; empty where we have not made it."""
    from s5eval.data_manifests.synthesis.write import list_records

    # a split that is made from metadata lies elsewhere, and they tell all that its records would
    made = () if split.made_from == METADATA else list_records((folder / split.soundscape).parent)
    return {path.stem: path for path in made}


def _known_by(names: Iterable[str], contents: Mapping[str, str]) -> Iterator[str]:
    for name in names:
        folder = name.partition("/")[0]
        if is_digest_start(folder):
            yield folder
        if name in contents:
            yield contents[name]


def _heard(record: Path | None, metadata: Path | None) -> frozenset[str] | None:
    from s5eval.data_manifests.synthesis.write import read_record

    try:
        if record is not None and (told := read_record(record).recordings) is not None:
            return frozenset(told)
        if metadata is None or not metadata.is_file():
            return None
        from s5eval.data_manifests.synthesis.metadata import read_metadata, target_files

        return frozenset(target_files(read_metadata(metadata)))
    except (S5Error, ValueError, KeyError, TypeError, AttributeError):  # `verify` tells of it, a run of the metadata
        return None

"""From a data set and a split to scenes: the official folders, any folder with `soundscape/`, or a set made on use."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.common.findings import Finding
from s5eval.data_manifests.common.progress import CountProgress
from s5eval.data_manifests.common.suggestion import suggestion
from s5eval.data_manifests.common.words import counted
from s5eval.data_manifests.listing import is_hidden, refuse_absent
from s5eval.data_manifests.naming import AUDIO_SUFFIXES
from s5eval.data_manifests.records import Scene
from s5eval.data_manifests.scan import scan, scene_digests, scenes_digest, sizes_digest
from s5eval.data_manifests.sets.known import (
    MINI,
    Dataset,
    Split,
    is_of_2025,
    is_there,
    known_datasets,
    mini_root,
    where_it_lies,
)
from s5eval.data_manifests.sets.made import made_split

FOLDER = "folder"
"""Name of the data set, and of its only split, when the folder of data holds `soundscape/` itself."""


_LISTED = 10  # missing mixtures that are named one by one

_MINI_ID = re.compile(r"mini_([a-z]+)_[0-9]{4,}")


@dataclass(frozen=True, slots=True)
class Manifest:
    """The scenes of one split, in order of their ids.

    Attributes:
        dataset: name of the set (`folder` for a plain folder).
        split: the split.
        root: the folder of data.
        scenes: what is to be evaluated, after filters.
        all_ids: the mixture ids of the whole split, before filters.
        findings: files that belong to nothing, and a mixture count that is not the official one.
        digests: of the scenes, in their order: id, names of the references, content of all files.
        sha256: digest of these: two runs with the same one were made on the same data.
        sizes_sha256: digest of ids, reference names and file sizes: all that runs of version 1 recorded.
    """

    dataset: str
    split: Split
    root: Path
    scenes: tuple[Scene, ...]
    all_ids: tuple[str, ...]
    findings: tuple[Finding, ...]
    digests: tuple[str, ...]
    sha256: str
    sizes_sha256: str

    def __iter__(self) -> Iterator[Scene]:
        """The scenes, in order."""
        return iter(self.scenes)

    def __len__(self) -> int:
        return len(self.scenes)

    def __repr__(self) -> str:
        whole = counted(len(self.all_ids), "mixture")
        part = "" if len(self.scenes) == len(self.all_ids) else f"{len(self.scenes)} of "
        return f"<Manifest of {self.root}: {part}{whole}, {'with' if self.has_references else 'without'} references>"

    def part(self, first: int, step: int) -> "Manifest":
        """Every so many scenes from the given one on, as a manifest of their own."""
        scenes, digests = self.scenes[first::step], self.digests[first::step]
        return replace(
            self, scenes=scenes, digests=digests, sha256=scenes_digest(digests), sizes_sha256=sizes_digest(scenes)
        )

    @property
    def has_references(self) -> bool:
        """Whether the split ships references, so that its runs are scored."""
        return self.split.references is not None

    @property
    def n_split(self) -> int:
        """How many mixtures the whole split has: as known of it, else as found, before filters."""
        return max(len(self.all_ids), self.split.mixtures or 0)


def open_manifest(
    root: Path | None,
    *,
    dataset: str | None = None,
    split: str | None = None,
    limit: int | None = None,
    only: Sequence[str] = (),
    as_it_stands: bool = False,
    afresh: bool = False,
    progress: CountProgress | None = None,
) -> Manifest:
    """Find the scenes of a split; make their audio first where the split ships none.

    A plain folder whose ids are those of a split of the embedded set is that split, and may be tuned on only if it is.

    Args:
        root: the official root (holds `dev_set/` or `eval_set/`), or a folder with `soundscape/` and, if there are
            references, `oracle_target/`; None: the embedded set.
        dataset: a name of `known_datasets`; None: recognised from the folders.
        split: a split of the set; may be left out where only one is there. Default of the embedded set: `test`.
        limit: keep the first so many scenes (and make no more than these).
        only: keep these mixture ids (and make no others).
        as_it_stands: for checking: make and repair nothing, and let a missing reference folder be a finding.
        afresh: read every file for the digest of the content, instead of trusting sizes and times.
        progress: is told how far making is.

    Raises:
        DataError: the folder or the split is missing or empty; with `as_it_stands`, it has not been made yet.
        UsageError: no such data set or split, or an id of `only` does not exist.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"`limit` is {limit}, expected at least 1")
    if dataset is not None and dataset not in known_datasets():
        known = list(known_datasets())
        raise UsageError(f"no data set {dataset!r}{suggestion(dataset, known)} (known: {', '.join(known)})")
    name, chosen, folder = locate(root, dataset, split)
    whole: Sequence[str] = ()
    made = made_split(chosen, root)
    partly = made is not None and (limit is not None or bool(only))
    if made is not None:
        whole = made.ids
        _refuse_unknown(only, whole, name)
        folder = made.as_it_stands() if as_it_stands else made.make(count=limit, only=only, progress=progress)
    if not (chosen.references_required or _has_name(folder / str(chosen.references))):
        chosen = replace(chosen, references=None)
    scenes, findings = scan(
        folder / chosen.soundscape,
        None if chosen.references is None else folder / chosen.references,
        expected=None if partly or (whole and as_it_stands) else chosen.mixtures,
        as_it_stands=as_it_stands,
        numbered=chosen.numbered,
        part=name == MINI or partly,
    )
    here = tuple(scene.mixture.id for scene in scenes)
    if as_it_stands and whole:
        wanted = list(only or whole)[:limit]
        findings += _missing(wanted, here, folder / chosen.soundscape, chosen)
        only, limit = [id_ for id_ in wanted if id_ in here], None
    kept = _filtered(scenes, folder, limit=limit, only=only)
    if not as_it_stands:
        refuse_absent([file for scene in kept for file in scene.files])
    digests = scene_digests(kept, afresh=afresh)
    return Manifest(
        dataset=name,
        split=chosen,
        root=folder,
        scenes=kept,
        all_ids=tuple(whole) or here,
        findings=findings,
        digests=digests,
        sha256=scenes_digest(digests),
        sizes_sha256=sizes_digest(kept),
    )


def locate(root: Path | None, dataset: str | None, split: str | None) -> tuple[str, Split, Path]:
    """The data set, the split, and the folder that its paths begin at (empty for the embedded set, which is made on
    use), by the names of folders alone; arguments and errors as `open_manifest`.
    """
    if root is None and dataset not in (None, MINI):
        raise DataError(f"`dataset={dataset}` needs its folder: give `data` (commands take S5EVAL_DATA)")
    if root is None or dataset == MINI:
        return MINI, _split_of(known_datasets()[MINI], split or "test"), Path()
    if not root.is_dir():
        raise DataError(f"no data folder at {root}; give `data` (commands take S5EVAL_DATA)")
    if dataset is None and (root / "soundscape").is_dir():
        name, chosen = _plain_split(root)
        if split not in (None, FOLDER, chosen.name):
            what = "a plain folder with soundscape/" if name == FOLDER else f"the split {chosen.name!r} of {name}"
            raise UsageError(f"{root} is {what} and has no split {split!r}; leave `split` out")
        return name, chosen, root
    name, chosen = _choose_split(root, dataset, split)
    return name, chosen, root


def scenes_as_they_stand(
    root: Path | None, *, dataset: str | None = None, split: str | None = None
) -> tuple[Path, tuple[Scene, ...]]:
    """Where the files of a split lie, and its scenes, by names alone: nothing is made, no audio is read.

    For whoever looks for the audio of a known mixture; arguments and errors as `open_manifest`.
    """
    name, chosen, folder = locate(root, dataset, split)
    if chosen.made_from == "mini" and (mini_root() / chosen.name / chosen.soundscape).is_dir():
        folder = mini_root() / chosen.name  # what makes scenes is a second of imports, and none is made
    elif made := made_split(chosen, root):
        folder = made.as_it_stands()
    references = folder / chosen.references if chosen.references and _has_name(folder / chosen.references) else None
    scenes, _ = scan(
        folder / chosen.soundscape, references, as_it_stands=True, numbered=chosen.numbered, part=name == MINI
    )
    return folder, scenes


def _missing(wanted: Sequence[str], here: Sequence[str], folder: Path, split: Split) -> tuple[Finding, ...]:
    """Mixtures of a split that is made on use which are not there: one by one, or in one line where they are many."""
    missing = sorted(set(wanted) - set(here))
    if len(missing) <= _LISTED:
        message = "this mixture of the split is not there"
        return tuple(Finding("missing", "error", str(folder / id_), message) for id_ in missing)
    how = f"`s5eval data make mini --split {split.name}`" if split.made_from == "mini" else "a run over the whole split"
    message = (
        f"{len(missing)} of {len(wanted)} mixtures of the split {split.name!r} have not been made, {missing[0]} to "
        f"{missing[-1]}; {how} makes them"
    )
    if here and set(here) == set(wanted[: len(here)]):
        message += f", and `limit={len(here)}` checks those that are there"
    return (Finding("missing", "error", str(folder), message),)


def _plain_split(root: Path) -> tuple[str, Split]:
    """What a folder with `soundscape/` is: a split of the embedded set if all its ids are of one, else just a folder.

    How many scenes of the embedded set were wanted is not known, so no count is expected.
    """
    references = "oracle_target" if _has_name(root / "oracle_target") else None
    matches = [
        _MINI_ID.fullmatch(path.stem)
        for path in (root / "soundscape").iterdir()
        if path.suffix in AUDIO_SUFFIXES and not is_hidden(path.name)
    ]
    names = {match and match[1] for match in matches}
    for split in known_datasets()[MINI].splits.values():
        if names == {split.name}:
            return MINI, replace(split, references=references, mixtures=None, made_from=None)
    return FOLDER, Split(FOLDER, "soundscape", references)


def _has_name(path: Path) -> bool:
    """Whether something of this name is there, be it a link to a folder that has not been fetched."""
    return path.exists() or path.is_symlink()


def _split_of(dataset: Dataset, name: str) -> Split:
    if name not in dataset.splits:
        known = list(dataset.splits)
        raise UsageError(f"no split {name!r} in {dataset.name}{suggestion(name, known)} (known: {', '.join(known)})")
    return dataset.splits[name]


def _choose_split(root: Path, dataset: str | None, name: str | None) -> tuple[str, Split]:
    """The split that is meant: by name, or the only one that is there. Sets are told apart by their folders."""
    sets = (
        [known_datasets()[dataset]] if dataset else [known for known in known_datasets().values() if known.name != MINI]
    )
    there = [(known.name, split) for known in sets for split in known.splits.values() if is_there(root, split)]
    listed = ", ".join(f"{split.name} ({owner})" for owner, split in there)
    if name is None:
        if len(there) == 1:
            return there[0]
        if there:
            raise UsageError(f"{root} holds several splits; choose one with `split`: {listed}")
        example = f"expected for example {where_it_lies(root, next(iter(sets[-1].splits.values())))}"
        if dataset is not None:
            plain = "; it holds soundscape/ itself: leave `dataset` out" if (root / "soundscape").is_dir() else ""
            raise DataError(f"{root} holds no split of {dataset} ({example}){plain}")
        above = f"; did you mean {root.parent}?" if (root.parent / "soundscape").is_dir() else ""
        raise DataError(f"{root} holds neither soundscape/ nor an official split ({example}){above}")
    matching = [(owner, split) for owner, split in there if split.name == name]
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise UsageError(f"split {name!r} is in several sets at {root}; choose one with `dataset`")
    for known in sets:
        if name in known.not_made and (dataset is not None or known.name in {owner for owner, _ in there}):
            raise UsageError(f"split {name!r} of {known.name}: {known.not_made[name]}")
    names = sorted({split.name for known in sets for split in known.splits.values()})
    if name not in names:
        raise UsageError(f"no split {name!r}{suggestion(name, names)} (known: {', '.join(names)})")
    expected = next(known.splits[name] for known in sets if name in known.splits)
    if expected.made_from == "metadata" and is_of_2025(root):
        raise UsageError(
            f"split {name!r} at {root}, a root of dcase2025: {known_datasets()['dcase2025'].not_made[name]}"
        )
    hint = f"; splits that are there: {listed}" if there else ""
    raise DataError(f"split {name!r}: {where_it_lies(root, expected)} is not there{hint}")


def _filtered(scenes: tuple[Scene, ...], root: Path, *, limit: int | None, only: Sequence[str]) -> tuple[Scene, ...]:
    if only:
        _refuse_unknown(only, [scene.mixture.id for scene in scenes], str(root))
        scenes = tuple(scene for scene in scenes if scene.mixture.id in set(only))
    if limit is not None:
        scenes = scenes[:limit]
    return scenes


def _refuse_unknown(only: Sequence[str], ids: Sequence[str], where: str) -> None:
    known = set(ids)
    for wanted in only if ids else ():
        if wanted not in known:
            raise UsageError(f"`only`: no mixture {wanted!r} in {where}{suggestion(wanted, sorted(known))}")

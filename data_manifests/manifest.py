"""From a data set and a split to scenes: the official folders, any folder with `soundscape/`, or a set made on use."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from s5eval.data_manifests.chosen_split import locate
from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.common.findings import Finding
from s5eval.data_manifests.common.progress import CountProgress
from s5eval.data_manifests.common.suggestion import suggestion
from s5eval.data_manifests.common.words import counted
from s5eval.data_manifests.listing import has_name, refuse_absent
from s5eval.data_manifests.records import Scene
from s5eval.data_manifests.scan import scan, scene_digests, scenes_digest, sizes_digest
from s5eval.data_manifests.sets.known import MINI, Split, known_datasets, mini_root
from s5eval.data_manifests.sets.made import made_split

_LISTED = 10  # missing mixtures that are named one by one


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
    if not (chosen.references_required or has_name(folder / str(chosen.references))):
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
    references = folder / chosen.references if chosen.references and has_name(folder / chosen.references) else None
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

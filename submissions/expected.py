"""Which mixtures a submission has to answer, and how long its outputs have to be."""

import os
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from s5eval.data_manifests.audio import audio_length
from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.common.progress import CountProgress
from s5eval.data_manifests.common.words import counted
from s5eval.data_manifests.manifest import Manifest, open_manifest
from s5eval.data_manifests.records import SAMPLE_RATE
from s5eval.data_manifests.sets.known import MINI
from s5eval.submissions.rules import EVAL_FRAMES, EVAL_IDS


@dataclass(frozen=True, slots=True)
class Expected:
    """The mixtures that must be answered.

    Attributes:
        source: where the list comes from, for readers.
        ids: ids of the mixtures; None: not known, so completeness cannot be checked.
        frames: samples of every output, if all are equally long; None: not known.
        frames_of: samples by mixture id, where they are known one by one.
        official: it is the official evaluation set.
        told: somebody has said that these are to be answered; else a submission is held against the challenge's.
    """

    source: str
    ids: frozenset[str] | None
    frames: int | None = None
    frames_of: dict[str, int] = field(default_factory=dict)
    official: bool = False
    told: bool = True

    def length(self, mixture_id: str) -> int | None:
        """Samples that an output of this mixture must have; None: not known."""
        return self.frames_of.get(mixture_id, self.frames)


NOT_KNOWN = Expected("not known: nothing names a mixture that could be read", None, told=False)
OFFICIAL = Expected(
    f"the official evaluation set ({len(EVAL_IDS)} mixtures)",
    frozenset(EVAL_IDS),
    EVAL_FRAMES,
    official=True,
    told=False,
)


def find_expected(
    *,
    data: Path | None,
    dataset: str | None,
    split: str | None,
    mixtures: Path | None,
    progress: CountProgress | None = None,
) -> Expected | None:
    """The mixtures that options of the same names tell; None where none is given.

    `S5EVAL_DATA` stands in for `data` only where a data set is named: it says where data are, not that somebody's
    submission answers them. The split of an official root is `eval` by default, that of the embedded set `test`.

    Raises:
        UsageError: the options contradict each other, or name no data set or split.
        DataError: the data are missing.
    """
    if mixtures is not None and (data is not None or dataset is not None):
        raise UsageError("`mixtures` and `data` or `dataset` both say which mixtures there are; give one of them")
    if mixtures is not None:
        return expected_from_list(mixtures)
    if data is None and dataset is None:
        if split is not None:
            raise UsageError("`split` needs `data` or `dataset`")
        return None
    if dataset == MINI and data is not None:
        raise UsageError("`dataset=mini` is made in the cache and has no folder; leave `data` out")
    if dataset != MINI and data is None and (folder := os.environ.get("S5EVAL_DATA")):
        data = Path(folder)
    if dataset == MINI:
        return expected_from_mini(split or "test")
    plain = dataset is None and data is not None and (data / "soundscape").is_dir()
    split = split or (None if plain or dataset == MINI else "eval")
    return expected_from_manifest(open_manifest(data, dataset=dataset, split=split, progress=progress))


def expected_from_mini(split: str) -> Expected:
    """The mixtures of a split of the embedded set, and their length, from its recipe: nothing is made.

    Raises:
        UsageError: no such split, or the endless one.
    """
    from s5eval.data_manifests.sets.mini import RECIPE, mini_ids  # an import that costs

    ids = frozenset(mini_ids(split))
    if not ids:
        raise UsageError(f"mini/{split} has no end: give `data`, a folder of its scenes, or `mixtures`")
    return Expected(f"mini/{split} ({counted(len(ids), 'mixture')})", ids, round(RECIPE.duration * SAMPLE_RATE))


def expected_from_manifest(manifest: Manifest) -> Expected:
    """All mixtures of a split, with their lengths read from the files' headers. Raises `AudioError`."""
    lengths = {scene.mixture.id: audio_length(scene.mixture.path) for scene in manifest.scenes}
    ids = frozenset(lengths)
    return Expected(
        f"{manifest.root} ({counted(len(ids), 'mixture')})", ids, None, lengths, official=ids == OFFICIAL.ids
    )


def expected_from_list(path: Path) -> Expected:
    """Mixture ids from a text file, one a line; files are taken by their stems, `#` starts a comment.

    Raises:
        UsageError: the file cannot be read, or lists nothing.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"`mixtures` {path}: cannot be read: {error}") from error
    entries = [line.partition("#")[0].strip() for line in lines]
    names = [entry.replace("\\", "/").rpartition("/")[2] for entry in entries]
    ids = frozenset(name.removesuffix(".wav").removesuffix(".flac") for name in names if name)
    if not ids:
        raise UsageError(f"`mixtures` {path}: lists no mixture; expected one id a line")
    frames = EVAL_FRAMES if ids.issubset(EVAL_IDS) else None  # a list says nothing of lengths, the challenge does
    return Expected(f"{path} ({counted(len(ids), 'mixture')})", ids, frames, official=ids == OFFICIAL.ids)


def guess_expected(mixture_ids: Collection[str]) -> Expected:
    """The official evaluation set if any id is one of its ids; otherwise nothing is known of the mixtures."""
    if not mixture_ids or any(id_ in (OFFICIAL.ids or ()) for id_ in mixture_ids):
        return OFFICIAL
    return Expected(
        "not known: give `data` or `mixtures` to check that every mixture is answered; with `data`, lengths as well",
        None,
        told=False,
    )

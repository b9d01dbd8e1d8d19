"""Where the files of a submission stand, and where they should."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from s5eval.submissions.archive import Container
from s5eval.submissions.check_json import NoteOnFile
from s5eval.submissions.rules import AUDIO_FOLDER, DEV_RESULTS, EVAL_RESULTS, archive_label, parse_label


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the parts of a submission stand.

    Attributes:
        top: the folder that everything stands in, with its slash; empty where there is none.
        outputs: file name → name in the container, of every wav in `eval_out`.
    """

    top: str = ""
    outputs: dict[str, str] = field(default_factory=dict)


def check_layout(container: Container, archive: str, note: NoteOnFile, *, empty_is_known: bool) -> Layout:
    """The archive's name, its one folder, and what stands where.

    Args:
        container: what was handed in.
        archive: name of its file or folder, for findings.
        note: takes them.
        empty_is_known: that nothing can be read of it has been noted already.
    """
    sizes, wanted = container.sizes, archive_label(container.label)
    if parse_label(wanted) is None:
        note("archive-name", archive, "expected <Surname>_<Institute>_task4_<n>, n from 1 to 4")
    if not sizes and empty_is_known:
        return Layout()
    top = _top(sizes, wanted, archive, note)
    outputs = {file: name for name in sizes if (file := _output(name, top, note)) is not None}
    for required in (EVAL_RESULTS, DEV_RESULTS):
        if f"{top}{required}" not in sizes:
            note("missing-file", f"{top}{required}", "the file is missing")
    return Layout(top, outputs)


def _top(sizes: Mapping[str, int], wanted: str, archive: str, note: NoteOnFile) -> str:
    tops = sorted({name.partition("/")[0] for name in sizes if "/" in name})
    if wanted not in tops and (EVAL_RESULTS in sizes or DEV_RESULTS in sizes or AUDIO_FOLDER in tops):
        note("top-folder", archive, f"everything must stand in a folder of the archive's name, {wanted}")
        return ""
    top = wanted if wanted in tops or not tops else tops[0]
    if top != wanted:
        note("top-folder", top, f"the folder must have the archive's name, {wanted}")
    return f"{top}/"


def _output(name: str, top: str, note: NoteOnFile) -> str | None:
    """The file name of an output; None for any other file, with a finding where it has no place."""
    inner = name.removeprefix(top)
    if not name.startswith(top):
        note("top-folder", name, f"stands outside the folder {top[:-1]}")
    elif inner in (EVAL_RESULTS, DEV_RESULTS):
        pass
    elif not inner.startswith(f"{AUDIO_FOLDER}/"):
        note("foreign-file", name, "not part of a submission")
    elif "/" in (file := inner.removeprefix(f"{AUDIO_FOLDER}/")):
        note("nested-folder", name, f"wavs stand in {AUDIO_FOLDER} itself, not in folders of their own")
    elif not file.lower().endswith((".wav", ".flac")):
        note("foreign-file", name, f"not a wav; {AUDIO_FOLDER} holds the outputs only")
    elif not file.endswith(".wav"):
        note("suffix", name, "the suffix must be .wav in lower case")
    else:
        return file
    return None

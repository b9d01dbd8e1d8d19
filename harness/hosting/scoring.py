"""One archive against one set of references, as the flat numbers of a leaderboard."""

import tempfile
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.common.words import counted, first_of
from s5eval.data_manifests.download.archives import extract
from s5eval.data_manifests.listing import is_hidden
from s5eval.data_manifests.manifest import Manifest, open_manifest
from s5eval.data_manifests.naming import AUDIO_SUFFIXES
from s5eval.data_manifests.records import Scene
from s5eval.harness.record.config import RunConfig
from s5eval.harness.record.reading import read_run_record
from s5eval.harness.runs.run import RunResult, start_run
from s5eval.harness.terminal import echo
from s5eval.systems.estimates import OR_SILENCE
from s5eval.systems.folder import AVERAGING

_WITH_INTERVAL = ("capi_sdri", "ca_sdri", "mixture_accuracy", "source_accuracy")
_NAMED = 10  # mixtures whose reasons are told, and findings
_MONO = ". Hand in one channel, such as the average of several"  # whoever hands in can set no option
_VERIFY = "whoever holds them: `s5eval data verify` lists it all"  # names of references tell what is to be found


def score_archive(estimates: Path, data: Path, out: Path) -> RunResult:
    """Score a zip or folder of estimates, or a challenge submission, into a new run folder.

    What is found of the files goes to standard error, which platforms keep: of what was handed in by name, of the data
    by number alone.

    Args:
        estimates: what was handed in.
        data: holds `soundscape/` and `oracle_target/`.
        out: the run folder.

    Raises:
        DataError: it cannot be read; or one of its files, or the data, cannot be scored. A leaderboard has no room for
            the word *partial*, so there is no number without all mixtures.
    """
    config = RunConfig(system="folder", settings={"system": {"path": str(estimates)}}, data=data)
    try:
        result = start_run(config, out)
    except DataError as error:
        raise DataError(str(error).replace(OR_SILENCE, "")) from error
    manifest = open_manifest(data.resolve())
    for line in _found(manifest, read_run_record(out).findings):
        echo(line, err=True)
    summary = result.summary
    if summary.n_failed:
        if broken := _broken(manifest, summary.failures):
            said = f"the data of {counted(len(broken), 'mixture')} cannot be used: {first_of(broken, _NAMED)}"
            raise DataError(f"{said}; no submission can be scored on them. To {_VERIFY}")
        told = [f"{id_}: {error}" for id_, error in summary.failures.items()]
        listed = first_of((text.replace(AVERAGING, "") for text in told), _NAMED, between="; ")
        mono = _MONO if any(AVERAGING in text for text in told) else ""
        raise DataError(f"{summary.n_failed} of {summary.n_expected} mixtures cannot be scored: {listed}{mono}")
    if summary.metrics["capi_sdri"].value is None:
        raise DataError(f"CAPI-SDRi is undefined: {summary.undefined_reason}")
    return result


def _found(manifest: Manifest, findings: Sequence[str]) -> list[str]:
    """What is found of the files: of the data how much of every rule, of what was handed in the first names."""
    rules = Counter(finding.rule for finding in manifest.findings)
    told = ", ".join(f"{rule} {count}" for rule, count in sorted(rules.items()))
    said = f"warning: {counted(sum(rules.values()), 'finding')} about the data ({told}). To {_VERIFY}"
    of_data = {str(finding) for finding in manifest.findings}
    sent = [text for text in findings if text not in of_data]
    return [*([said] if rules else []), *([first_of(sent, _NAMED, between="\n")] if sent else [])]


def _broken(manifest: Manifest, failed: Collection[str]) -> list[str]:
    """Which of the mixtures fail whoever answers them: their own audio, or that of their references, is no good."""
    return [scene.mixture.id for scene in manifest if scene.mixture.id in failed and not _is_good(scene)]


def _is_good(scene: Scene) -> bool:
    try:
        length = scene.mixture.audio().shape[1]
        lengths = {reference.audio().shape[0] for reference in scene.references or ()}
    except DataError:
        return False
    return scene.problem is None and lengths <= {length}


def leaderboard(result: RunResult) -> dict[str, float]:
    """The numbers of a run by name: metrics with their 95 % intervals, dB and percent; how many mixtures are answered.

    A value that is undefined has no key.
    """
    summary = result.summary
    numbers: dict[str, float | None] = {}
    for name in _WITH_INTERVAL:
        metric = summary.metrics[name]  # type: ignore[index]
        numbers |= {name: metric.value, f"{name}_ci_low": metric.ci_low, f"{name}_ci_high": metric.ci_high}
    numbers["capi_sdri_zero_floor"] = summary.metrics["capi_sdri_zero_floor"].value
    numbers["mixtures"] = summary.n_expected
    numbers["answered"] = summary.n_expected if summary.answered is None else summary.answered
    return {name: value for name, value in numbers.items() if value is not None}


@contextmanager
def references(path: Path) -> Iterator[Path]:
    """The folder that holds `soundscape/`: of a folder or a zip, at its top or one below.

    Raises:
        DataError: there is none, or several side by side, or the archive is damaged or hostile.
    """
    with tempfile.TemporaryDirectory(prefix="s5eval-") as temporary:
        if path.is_file():
            extract([path], Path(temporary))
            root = Path(temporary)
        else:
            root = path
        places = [root, *(sorted(place for place in root.iterdir() if place.is_dir()) if root.is_dir() else [])]
        found = [place for place in places if (place / "soundscape").is_dir()]
        if not found:
            raise DataError(f"{path}: no folder or zip that holds soundscape/ and oracle_target/")
        if len(found) > 1 and found[0] != root:
            names = ", ".join(place.name for place in found)
            raise DataError(f"{path}: {len(found)} folders that hold soundscape/, expected one: {names}")
        yield found[0]


def shipped(folder: Path) -> Path:
    """What a platform's folder of the data holds: the data themselves, or their only zip.

    Raises:
        DataError: it holds several zips, of which none is the one to score against.
    """
    zips = [] if (folder / "soundscape").is_dir() else _zips(_shown(folder))
    if len(zips) > 1:
        raise DataError(f"{folder}: {len(zips)} zips, expected one: {', '.join(path.name for path in zips)}")
    return zips[0] if zips else folder


def _shown(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".")) if folder.is_dir() else []


def _zips(paths: Sequence[Path]) -> list[Path]:
    return [path for path in paths if path.suffix.lower() == ".zip"]


def handed_in(folder: Path) -> Path:
    """What a folder of a platform holds: its only zip, or the files themselves.

    Raises:
        DataError: it is not there, or empty, or holds several zips, or audio beside a zip.
    """
    names = _shown(folder)
    zips = _zips(names)
    if not names:
        raise DataError(f"{folder}: nothing was handed in")
    if len(zips) > 1:
        raise DataError(f"{folder}: {len(zips)} zips, expected one: {', '.join(path.name for path in zips)}")
    beside = (path.relative_to(folder) for path in folder.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES)
    if zips and any(not is_hidden(path.as_posix()) for path in beside):
        raise DataError(f"{folder}: holds audio beside {zips[0].name}; expected a zip, or the files themselves")
    return zips[0] if zips else folder

"""The waveforms of one mixture: what was mixed, what should have come out, what came out, stage by stage."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from s5eval.data_manifests.audio import read_audio
from s5eval.data_manifests.common.errors import DataError, S5Error, UsageError
from s5eval.data_manifests.naming import RUN_AUDIO
from s5eval.data_manifests.records import SAMPLE_RATE, Audio, Scene
from s5eval.data_manifests.wav_writing import wav_bytes
from s5eval.harness.record.inspection import file_problem
from s5eval.harness.record.lines import Line, source_file
from s5eval.harness.record.tables import PairTable
from s5eval.harness.report.sounds import decode_stereo
from s5eval.harness.view.audio_files import DataFolders, DataKey, Stamps, data_key, inside
from s5eval.harness.view.runs import Snapshot
from s5eval.harness.view.stored_stages import Stages, stages_of

WaveformKind = Literal["mixture", "stereo", "reference", "estimate", "stage"]

_KEPT = 6
"""Mixtures whose waveforms are kept; one of ten seconds with three stages takes some 25 MB."""


@dataclass(frozen=True, slots=True)
class Waveform:
    """One waveform that can be asked for, and why it cannot, if so.

    Attributes:
        name: what it is called in addresses: `mixture`, `stereo`, `reference-0`, `estimate-2`, `stage-stage1-2`.
        kind: what it is.
        index: of the reference or the candidate.
        problem: why it cannot be heard.
    """

    name: str
    kind: WaveformKind
    index: int = 0
    problem: str | None = None


class MixtureAudio:
    """The waveforms of a mixture of a run, each read when it is first asked for."""

    def __init__(self, run: Snapshot, mixture_id: str, data: DataFolders) -> None:
        """Look where everything is; nothing is read yet."""
        self.run, self.line = run, run.lines[mixture_id]
        scenes = data.of(run)
        self._root = scenes.root
        self.scene: Scene | None = scenes.by_id.get(mixture_id)
        self.problem = scenes.problem or (None if self.scene else f"{scenes.root} has no mixture of this name")
        if self.scene is not None and self.problem is None and data.differs(run, self.scene):
            self.problem = f"the files in {scenes.root} are others than those that the run was made on"
        self._lock = threading.Lock()
        self._readers: dict[str, Callable[[], Audio]] = {}
        self._read: dict[str, Audio] = {}
        self.table, self.table_problem = _table(run, self.line)
        self.stages = self._stages()
        self.sources = {source.name: source for source in self._sources()}

    def waveform(self, name: str) -> Audio:
        """Samples, float32 (T,) or (2, T) of `stereo`.

        Raises:
            UsageError: there is nothing of this name.
            DataError: it cannot be read.
        """
        source = self.sources.get(name)
        if source is None:
            raise UsageError("no such waveform of this mixture")
        if source.problem is not None:
            raise DataError(source.problem)
        with self._lock:
            if name not in self._read:
                self._read[name] = self._readers[name]()
            return self._read[name]

    def wav(self, name: str) -> bytes:
        """The waveform as a WAV file of floats: neither clipped nor rounded."""
        return wav_bytes(self.waveform(name).T, sample_rate=SAMPLE_RATE, subtype="FLOAT")

    def _stages(self) -> Stages:
        if self.scene is None or self.problem is not None or self._root is None:
            return Stages({}, self.problem)
        try:
            return stages_of(self.run, inside(self._root, self.scene.mixture.path), self.table)
        except (OSError, S5Error) as error:
            return Stages({}, str(error))

    def _sources(self) -> Iterator[Waveform]:
        yield self._from_data("mixture", "mixture", 0)
        yield self._from_data("stereo", "stereo", 0)
        for r in range(len(self.line.score.reference_labels or ())):
            yield self._from_data(f"reference-{r}", "reference", r)
        count = 0 if self.table is None else len(self.table.p_silence)
        kept = {estimate.index for estimate in self.line.score.estimates}
        for k in sorted({*range(count), *kept}):
            yield self._candidate(k)
        for stage, candidates in self.stages.candidates.items():
            if not candidates.audio.shape[-1]:
                continue  # a stage that names what it hears, and separates nothing
            for k in range(len(candidates.audio)):
                name = f"stage-{stage}-{k}"
                self._readers[name] = partial(_row, candidates.audio, k)
                yield Waveform(name, "stage", k)

    def _from_data(self, name: str, kind: WaveformKind, index: int) -> Waveform:
        if self.problem is not None or self.scene is None or self._root is None:
            return Waveform(name, kind, index, self.problem or "its data folder is not known")
        scene, root = self.scene, self._root
        references = scene.references or ()
        if kind == "reference" and index >= len(references):
            return Waveform(name, kind, index, f"{root} has no such reference any more")
        path = references[index].path if kind == "reference" else scene.mixture.path
        try:
            real = inside(root, path)
        except DataError as error:
            return Waveform(name, kind, index, str(error))
        if kind == "reference":
            self._readers[name] = lambda: read_audio(real, channels=1, sample_rate=SAMPLE_RATE, name=path.name)[0]
        elif kind == "mixture":
            self._readers[name] = lambda: read_audio(real, channels=4, sample_rate=SAMPLE_RATE, name=path.name)[0]
        else:
            self._readers[name] = lambda: decode_stereo(
                read_audio(real, channels=4, sample_rate=SAMPLE_RATE, name=path.name)
            )
        return Waveform(name, kind, index)

    def _candidate(self, k: int) -> Waveform:
        """From the wav that was scored and written, else from the last stage."""
        name = f"estimate-{k}"
        estimate = next((e for e in self.line.score.estimates if e.index == k), None)
        problem = "no waveform of it was kept: only estimates are written (--save-audio)"
        if estimate is not None:
            file = self.run.path / RUN_AUDIO / source_file(self.line.score.mixture_id, estimate)
            try:
                real = self._as_written(file)
                self._readers[name] = lambda: read_audio(real, channels=1, sample_rate=SAMPLE_RATE, name=file.name)[0]
                return Waveform(name, "estimate", k)
            except DataError as error:
                asked = self.run.record is not None and self.run.record.config.save_audio
                problem = str(error) if asked or file.is_symlink() else "the run was made without --save-audio"
        last = self.stages.last
        if last is not None and k < len(last.audio):
            self._readers[name] = partial(_row, last.audio, k)
            return Waveform(name, "estimate", k)
        return Waveform(name, "estimate", k, problem)

    def _as_written(self, file: Path) -> Path:
        """A wav of the run, if it is the one that was scored. Raises `DataError`."""
        real = inside(self.run.path, file)
        digest = self.line.files.get(file.relative_to(self.run.path).as_posix())
        if digest is not None and (problem := file_problem(real, digest)):
            raise DataError(f"{file.name}: {problem}")
        return real


def _row(audio: Audio, k: int) -> Audio:
    row: Audio = audio[k]
    return row


def _table(run: Snapshot, line: Line) -> tuple[PairTable | None, str | None]:
    if line.score.status == "failed":
        return None, None
    try:
        return run.table(line.score.mixture_id), None
    except S5Error as error:
        return None, str(error)


class SoundBank:
    """The sounds that were looked at last."""

    def __init__(self, data: DataFolders) -> None:
        """Keep none yet."""
        self.data = data
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[DataKey, str], tuple[tuple[Line, Stamps], MixtureAudio]] = OrderedDict()

    def of(self, run: Snapshot, mixture_id: str) -> MixtureAudio:
        """The sound of a mixture of a run.

        Raises:
            UsageError: the run has no line of it.
        """
        if mixture_id not in run.lines:
            raise UsageError("the run has no such mixture")
        key, state = (data_key(run), mixture_id), (run.lines[mixture_id], self.data.stamps(run, mixture_id))
        with self._lock:
            if key not in self._kept or self._kept[key][0] != state:
                self._kept[key] = state, MixtureAudio(run, mixture_id, self.data)
            self._kept.move_to_end(key)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            return self._kept[key][1]

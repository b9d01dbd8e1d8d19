"""One mixture of a run: its score, and where its sounds are."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from s5eval.harness.record.lines import Line
from s5eval.harness.record.run_record import RunRecord
from s5eval.harness.record.tables import MixtureScore
from s5eval.harness.report.table import result_of

if TYPE_CHECKING:
    from s5eval.data_manifests.records import Scene


class RunMixture:
    """One mixture of a run.

    Attributes:
        score: as a line of `mixtures.jsonl`; see `MixtureScore`.
        scene: where mixture and references are, on this machine; None where they are not, or are other data by now.
    """

    def __init__(self, run: Path, line: Line, record: RunRecord) -> None:
        """Take what `Run.mixture` has found; no audio is read before it is asked for."""
        self._run, self._line, self._record = run, line, record
        self.score: MixtureScore = line.score

    def __repr__(self) -> str:
        return f"<RunMixture {self.score.mixture_id} of {self._run}: {result_of(self.score)}>"

    @cached_property
    def scene(self) -> "Scene | None":
        """See the class."""
        from s5eval.harness.report.sounds import find_sounds

        found = find_sounds(self._record, only=[self.score.mixture_id], check=True)
        return found.scenes.get(self.score.mixture_id)

    def _repr_html_(self) -> str:
        """What a notebook shows: a player and a spectrogram of the mixture, each reference and each estimate."""
        from s5eval.harness.report.notebook import mixture_html

        return mixture_html(self._run, self._line, self.scene)

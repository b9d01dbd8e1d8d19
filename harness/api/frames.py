"""A finished run as pandas DataFrames. Levels in dB, accuracies in percent, times in seconds; NA where undefined.

The one place of the package `s5eval` that reads the records of a run.
"""

from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from s5eval.arguments import as_needed_path
from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.common.suggestion import suggestion
from s5eval.harness.exporting.packed_run import run_folder_of
from s5eval.harness.record import reading
from s5eval.harness.record.lines import Line, load_table
from s5eval.harness.record.run_record import RunRecord
from s5eval.harness.record.run_summary import Summary
from s5eval.harness.record.tables import MixtureScore, PairTable
from s5eval.harness.scoring.mixture import adapted
from s5eval.record_frames import estimate_frame, loss_frame, mixture_frame, pair_frame, slice_frame, source_frame
from s5eval.run_mixture import RunMixture

if TYPE_CHECKING:
    import pandas as pd


class Run:
    """A run folder, read once.

    Attributes:
        path: the run folder.
        record: `run.json`: what was asked, and under which circumstances, such as `record.config.limit`.
        summary: `summary.json`: corpus values with 95 % intervals, bounds, slices, decomposition, such as
            `summary.metrics["capi_sdri"].value`.
        scores: one record per mixture that has been evaluated, in order of the data.
    """

    def __init__(self, path: Path) -> None:
        """Read what stands in `path`; see `read_run`."""
        self.path = path
        self.record: RunRecord = reading.read_run_record(path)
        self.summary: Summary = reading.read_summary(path)
        lines = reading.read_lines(path, self.record)
        self._lines: tuple[Line, ...] = tuple(lines[id_] for id_ in self.record.mixtures if id_ in lines)
        self.scores: tuple[MixtureScore, ...] = tuple(line.score for line in self._lines)

    def __repr__(self) -> str:
        from s5eval.harness.report.table import data_name, predicted

        summary = self.summary
        about = f"{summary.system} on {data_name(summary)}"
        number, what = (summary.n_scored, "scored") if predicted(summary) is None else (summary.n_predicted, "answered")
        counts = f"{number} of {summary.n_expected} mixtures {what}"
        return f"<Run {self.path}: {about}, {counts}, {summary.status}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: headline and marks, the table with intervals and bounds, where the decibels went."""
        from s5eval.harness.report.notebook import run_html

        return run_html(self.summary, self.record.findings)

    def mixture(self, mixture_id: str) -> RunMixture:
        """One mixture of the run: its score, and in a notebook its sounds and their spectrograms.

        Args:
            mixture_id: stem of its file; see `mixtures`.

        Raises:
            UsageError: the run has not evaluated a mixture of this name.
        """
        if not isinstance(mixture_id, str):
            raise UsageError(f"`mixture_id` is {mixture_id!r}, expected the id of a mixture")
        for line in self._lines:
            if line.score.mixture_id == mixture_id:
                return RunMixture(self.path, line, self.record)
        known = [score.mixture_id for score in self.scores]
        raise UsageError(f"{self.path} has no mixture {mixture_id!r}{suggestion(mixture_id, known)}")

    @cached_property
    def mixtures(self) -> "pd.DataFrame":
        """One row per mixture that has been evaluated, failed ones among them; index: `mixture_id`.

        Columns: `status` (scored, predicted, failed); `capi_sdri`, `capi_sdri_optimal` (with the SDRi-optimal pairing,
        where that differs), `ca_sdri`, `zero_floor`, `gain_floor`, dB; `n_references`, `n_estimates`, `n_entries`,
        `tp`, `fp`, `fn`, counts; `exact`, every label right and no more; `bound_…`, dB: CAPI-SDRi with right `labels`
        and decisions, the what-if values `oracle_labels`, `oracle_count`, `oracle_silence` (the last two NA where no
        candidate has a silence probability), and the bounds; `loss_…`, dB of this mixture by kind;
        with secondary metrics `casa_…` and `bss_…`, dB; `capi_sdri_as_written`, dB, and `clipped_samples` of the
        16-bit files; `seconds` of the system; `flags`, separated by spaces (as `mixtures["flags"]`: every DataFrame has
        a `.flags` of its own); `error`. `ca_sdri` is the ranking metric of 2025.
        """
        return mixture_frame(self.scores)

    @cached_property
    def sources(self) -> "pd.DataFrame":
        """One row per reference of a scored mixture.

        Columns: `mixture_id`; `reference`, its number; `label`; `estimate`, the candidate that was assigned to it, NA
        for a miss (which enters CAPI-SDRi as 0 dB); `sdr` and `sdri` of that candidate, dB; `sdr_mixture`, SNR of the
        mixture's channel 0, dB; `energy`, sum of squares at full scale 1.0.
        """
        return source_frame(self._tables)

    @cached_property
    def estimates(self) -> "pd.DataFrame":
        """One row per estimate, that is per candidate that the decision kept.

        Columns: `mixture_id`; `estimate`, number of the candidate; `label`; `confidence`, 0 to 1; `reference`, the one
        it was assigned to, NA for none; `sdr`, `sdr_mixture`, `sdri` against that reference, dB.
        """
        return estimate_frame(self.scores)

    @cached_property
    def pairs(self) -> "pd.DataFrame":
        """One row per candidate, before the decision, and reference of a scored mixture: the stored pair tables.

        Columns: `mixture_id`; `candidate`, `reference`, numbers; `candidate_label`, `reference_label`; `p_silence`, 0
        to 1; `sdr`, `sdr_mixture`, `sdri`, dB; `kept` by the decision; `assigned` to each other by CAPI-SDRi. Where the
        decision has prior factors, the label of a candidate and its `p_silence` are those under these priors.
        """
        return pair_frame(self._tables)

    @cached_property
    def slices(self) -> "pd.DataFrame":
        """One row per value of the summary.

        Columns: `group` (`all`, `bound`, `secondary`, and slices: `targets`, `class`, `snr`, …); `name`
        within the group; `metric`: those of the table, `capi_sdri_zero_floor`, `capi_sdri_gain_floor`, `ca_sdri`, of a
        class `sdri` (mean of its entries, 0 dB for one without a partner), `precision`, `recall`; `unit`, dB or %;
        `value`, `ci_low`, `ci_high` (95 %); `n` mixtures that belong to it, `n_defined` of them with a value.
        """
        return slice_frame(self.summary)

    @cached_property
    def losses(self) -> "pd.DataFrame":
        """One row per class: what it costs the run, in dB of CAPI-SDRi; index: `label`.

        Columns: `miss`, `false_alarm`, `confusion`, `repeated_class` and their sum `total`; a negative loss is a gain.
        All together they are the gap between the run and the bound of its own waveforms with right labels.
        """
        return loss_frame(self.summary)

    @cached_property
    def _tables(self) -> list[tuple[MixtureScore, PairTable]]:
        scored = [line for line in self._lines if line.score.status == "scored"]
        decision = self.record.decision
        return [(line.score, adapted(load_table(self.path, line), decision)) for line in scored]


def read_run(path: str | PathLike[str]) -> Run:
    """Read a run folder, or a packed run.

    Args:
        path: the folder, as `s5eval run` or `s5eval.run` has made it; or the file that `s5eval pack` made of one, which
            is verified and unpacked into the cache.

    Raises:
        UsageError: there is no run.
        DataError: a file of it is missing or damaged, or the packed run is not what was packed.

    >>> read_run("nowhere")
    Traceback (most recent call last):
        ...
    s5eval.data_manifests.common.errors.UsageError: no run folder at nowhere
    """
    return Run(run_folder_of(as_needed_path(path, "path")))

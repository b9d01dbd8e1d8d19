"""What is derived from the lines of a run: its summary, and the word of how it went."""

import logging
from collections.abc import Mapping

from s5eval.data_manifests.common.errors import DataError
from s5eval.harness.record.lines import Line
from s5eval.harness.record.reading import read_summary, unverified
from s5eval.harness.record.run_folder import RunFolder
from s5eval.harness.record.run_record import RunRecord, RunStatus
from s5eval.harness.record.run_summary import Summary
from s5eval.harness.record.tables import MixtureScore
from s5eval.harness.report.page import page_is_whole, write_page
from s5eval.harness.scoring.summary import summarize

log = logging.getLogger("s5eval.run")


def finished_summary(folder: RunFolder, record: RunRecord, lines: Mapping[str, Line]) -> Summary:
    """The summary of a run that is complete, and whose lines are whole; made again, with the page, if it is damaged.

    Raises:
        RunFolderError: it cannot be written.
    """
    try:
        summary = read_summary(folder.path)
    except DataError as error:
        log.warning("%s: it is derived again", error)
        summary = derive_summary(record, {id_: line.score for id_, line in lines.items()})
        folder.write_summary(summary)
    if not page_is_whole(folder.path):
        log.warning("%s is missing or damaged: it is written again", folder.path / "report.html")
        write_page(folder.path, draw=False)
    return summary


def derive_summary(record: RunRecord, scores: Mapping[str, MixtureScore]) -> Summary:
    """`summary.json` from the lines of a run that came to its end, by mixture id; `record` is its `run.json`."""
    return summarize(
        [scores[id_] for id_ in record.mixtures if id_ in scores],
        n_expected=record.n_expected,
        finished=all(id_ in scores for id_ in record.mixtures),
        about=record.about,
        unverified=unverified(record),
    )


def status_of(summary: Summary, *, finished: bool) -> RunStatus:
    """What `run.json` says of how the run went; a run that did all of a part of a split has come to its end."""
    return "complete" if finished and not summary.n_failed else summary.status

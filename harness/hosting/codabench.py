"""CodaBench: `input/ref` and `input/res` in, `output/scores.json` and `output/scores.txt` out.

Source: the documentation of CodaBench's bundles (scoring program: `/app/input/{ref,res}`, `/app/output`).
"""

import json
import tempfile
from pathlib import Path

from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.common.files import write_atomically
from s5eval.harness.comparing.ranking import rank_runs
from s5eval.harness.comparing.ranking_page import ranking_page
from s5eval.harness.hosting.scoring import handed_in, leaderboard, references, score_archive, shipped

_WRITTEN = ("detailed_results.html", "scores.txt", "scores.json")


def score_codabench(folder: Path, out: Path) -> dict[str, float]:
    """Score what was handed in, and write what CodaBench reads.

    Args:
        folder: holds `ref/` (the data, as folder or zip) and `res/` (what was handed in).
        out: gets `scores.json`, `scores.txt` (a line `name: value` each) and `detailed_results.html`.

    Returns:
        The scores.

    Raises:
        DataError: what was handed in, or the data, cannot be used; nothing is written then, and what an earlier
            submission left in `out` is gone: its score is not this one's.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in _WRITTEN:
            (out / name).unlink(missing_ok=True)
    except OSError as error:
        raise DataError(
            f"{out}: cannot be cleared for the scores: {error}; give a folder that can be written"
        ) from error
    with references(shipped(folder / "ref")) as data, tempfile.TemporaryDirectory(prefix="s5eval-") as temporary:
        result = score_archive(handed_in(folder / "res"), data, Path(temporary) / "submission")
        page = ranking_page(rank_runs([result.path]))
    scores = leaderboard(result)
    lines = "".join(f"{name}: {value:.6f}\n" for name, value in scores.items())
    for name, content in zip(_WRITTEN, (page, lines, json.dumps(scores, indent=1)), strict=True):
        write_atomically(out / name, content)
    return scores

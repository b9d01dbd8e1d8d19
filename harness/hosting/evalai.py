"""EvalAI: a function `evaluate` that gets two files and the phase, and returns rows of a leaderboard.

Source: EvalAI's documentation of evaluation scripts (`evaluate(test_annotation_file, user_submission_file,
phase_codename, **kwargs)`, `{"result": [{split: {metric: value}}], "submission_result": …}`).
"""

import tempfile
from pathlib import Path
from typing import Any

from s5eval.harness.hosting.scoring import leaderboard, references, score_archive


def evaluate(test_annotation_file: str, user_submission_file: str, phase_codename: str, **_: Any) -> dict[str, Any]:
    """Score a submission.

    Args:
        test_annotation_file: zip (or folder) that holds `soundscape/` and `oracle_target/`.
        user_submission_file: zip of estimates, or a challenge submission.
        phase_codename: of the phase; the data set split of `challenge_config.yaml` must have the same code name.

    Returns:
        `result`: one row of the leaderboard, by the code name; `submission_result`: the same numbers.

    Raises:
        DataError: the submission cannot be scored; EvalAI shows the message.
    """
    with references(Path(test_annotation_file)) as data, tempfile.TemporaryDirectory(prefix="s5eval-") as temporary:
        scores = leaderboard(score_archive(Path(user_submission_file), data, Path(temporary) / "submission"))
    return {"result": [{phase_codename: scores}], "submission_result": scores}

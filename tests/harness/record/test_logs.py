"""The log of a run is a file while it lasts, and the caller's program has its own before and after."""

import logging
from pathlib import Path

from s5eval.harness.record.logs import logging_to


def test_a_program_that_logs_hears_of_s5eval_again_after_a_run(tmp_path: Path) -> None:
    ours, heard = logging.getLogger("s5eval"), logging.StreamHandler((tmp_path / "program").open("w"))
    before = ours.level, ours.propagate
    logging.getLogger().addHandler(heard)
    try:
        ours.setLevel(logging.NOTSET)
        ours.propagate = True
        with logging_to(tmp_path / "outer"):
            with logging_to(tmp_path / "inner"):
                ours.info("within")
            ours.info("between")
        ours.warning("after")
        assert (ours.level, ours.propagate) == (logging.NOTSET, True)
    finally:
        logging.getLogger().removeHandler(heard)
        heard.stream.close()
        ours.setLevel(before[0])
        ours.propagate = before[1]
    assert (tmp_path / "program").read_text() == "after\n"
    assert [(tmp_path / name).read_text().count("s5eval: ") for name in ("outer", "inner")] == [2, 1]

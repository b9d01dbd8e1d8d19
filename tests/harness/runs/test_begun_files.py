"""A run on data that change while it is at work."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]


@pytest.mark.parametrize("workers", [(), ("--workers", "2")])
def test_a_mixture_whose_files_change_while_the_run_is_at_work_fails_by_name(
    small_set: Path, tmp_path: Path, s5eval: Call, lines: Call, systems_on_path: None, workers: tuple[str, ...]
) -> None:
    """Its score would pass for one on the data in run.json; a file that was touched alone is what it was."""
    (tmp_path / "copying_system.py").write_text(
        "import shutil\nfrom plugins import Omni\n\n\nclass Mine(Omni):\n    def propose(self, mixtures):\n"
        "        for mixture in mixtures:\n"
        "            if mixture.id == 'm_2':\n"
        "                shutil.copy(mixture.path.with_name('m_4.wav'), mixture.path)\n"
        "            if mixture.id == 'm_3':\n"
        "                mixture.path.touch()\n"
        "        return super().propose(mixtures)\n\n\ndef build(config, device):\n    return Mine(config)\n"
    )
    out, system = tmp_path / "run", ("--system", "copying_system:build")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        shown = s5eval("run", *system, "--data", small_set, "--out", out, *workers)
        assert shown.code == 4, shown.err
        failed = {id_: line["outcome"]["error"] for id_, line in lines(out).items() if line["outcome"]["error"]}
        assert set(failed) == {"m_2"} and "its files have changed since the run began" in failed["m_2"]
        assert s5eval("run", *system, "--resume", out).code == 0
    assert s5eval("check", out).code == 0

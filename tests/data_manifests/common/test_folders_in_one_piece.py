"""A folder that is made whole or not at all, by several at once, and after some of them were killed."""

import subprocess
import sys
from pathlib import Path

import pytest

from s5eval.data_manifests.common.files import atomic_folder


def test_of_two_at_once_one_stands_whole_and_the_other_leaves_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(OSError, match="not empty"), atomic_folder(out) as slow:
        (slow / "slow").touch()
        with atomic_folder(out) as quick:
            (quick / "quick").touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "quick"]


def test_what_a_killed_process_has_begun_goes_and_what_others_write_stays(tmp_path: Path) -> None:
    begin = (
        "import os, pathlib, sys\n"
        "from s5eval.data_manifests.common.files import atomic_folder\n"
        "with atomic_folder(pathlib.Path(sys.argv[1])) as draft:\n"
        "    (draft / 'half').touch()\n"
        "    os._exit(9)\n"
    )
    out = tmp_path / "out"
    assert subprocess.run([sys.executable, "-c", begin, out], check=False).returncode == 9
    (draft,) = tmp_path.iterdir()
    elsewhere = tmp_path / f".out.{'0' * 8}{draft.name.removeprefix('.out.')[8:]}"  # by a process of another machine
    elsewhere.mkdir()
    of_another = tmp_path / draft.name.replace(".out.", ".other.")
    of_another.mkdir()
    with atomic_folder(out) as whole:
        (whole / "all").touch()
    assert {path.name for path in tmp_path.iterdir()} == {"out", elsewhere.name, of_another.name}

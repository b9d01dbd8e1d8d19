"""Runs are found below folders, whatever else is there."""

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from s5eval.data_manifests.common.errors import UsageError
from s5eval.harness.comparing.run_list import run_folders


@pytest.mark.parametrize("how", ["listed", "entered", "gone"])
def test_a_folder_that_cannot_be_read_hides_no_run_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Somebody else's, or one that is removed while one looks."""
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text("{}")
    locked = tmp_path / "b"
    (locked / "run.json").unlink()
    iterdir, is_file = Path.iterdir, Path.is_file

    def listed(folder: Path) -> Iterator[Path]:
        if folder == locked and how != "entered":
            raise OSError(errno.ENOENT if how == "gone" else errno.EACCES, "no")
        return iterdir(folder)

    def looked_at(path: Path) -> bool:
        if path.parent == locked and how == "entered":
            raise PermissionError(errno.EACCES, "no")
        return is_file(path)

    monkeypatch.setattr(Path, "iterdir", listed)
    monkeypatch.setattr(Path, "is_file", looked_at)
    assert list(run_folders(tmp_path)) == [tmp_path / "a", tmp_path / "c"]
    with pytest.raises(UsageError, match=f"{locked}: cannot be read: no; name a folder that you may read"):
        list(run_folders(locked))

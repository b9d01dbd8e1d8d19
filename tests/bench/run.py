"""All benchmarks, one after another, each in a process of its own: `make bench [ONLY=score]`.

Options after the names go to each of them: `make bench ONLY="factors --recordings DIR --valid DIR"`.
"""

import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

FOLDER = Path(__file__).parent


def main(words: list[str]) -> int:
    """Run the benchmarks named, or all; returns how many could not be run."""
    first = next((k for k, word in enumerate(words) if word.startswith("-")), len(words))
    only, options = words[:first], words[first:]
    files = [path for path in sorted(FOLDER.glob("bench_*.py")) if not only or path.stem.removeprefix("bench_") in only]
    print(f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, Python {platform.python_version()}")
    failed = 0
    for path in files:
        print(f"\n== {path.stem.removeprefix('bench_')}: {_title(path)}", flush=True)
        failed += subprocess.run([sys.executable, str(path), *options], check=False).returncode != 0
    return failed


def _title(path: Path) -> str:
    return path.read_text(encoding="utf-8").splitlines()[0].strip('"')


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The summary of a job, as Markdown, from what the commands of the action printed; the standard library is enough.

python summary.py (validate | compare) EXIT_CODE FILE.json
"""

import json
import sys
from pathlib import Path
from typing import Any

SHOWN = 50
MEANING = {0: "passed", 2: "used wrongly", 3: "data missing or wrong", 5: "invalid", 6: "worse"}


def main(what: str, code: int, file: Path) -> str:
    """The Markdown; a command that printed no JSON has said why on standard error, which is in the log."""
    title = f"### s5eval {'submit validate' if what == 'validate' else 'compare --fail-if-worse'}: "
    title += f"{MEANING.get(code, 'failed')} (exit code {code})\n"
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return f"{title}\nNothing was found out; the log says why.\n"
    return f"{title}\n{_findings(content) if what == 'validate' else _differences(content)}\n"


def _findings(content: dict[str, Any]) -> str:
    found = content["findings"]
    if not found:
        return f"{content['files']} outputs of {content['mixtures']} mixtures, no finding."
    rows = [[entry["severity"], entry["rule"], entry["file"], entry["message"]] for entry in found[:SHOWN]]
    more = f"\n\n… and {len(found) - SHOWN} more." if len(found) > SHOWN else ""
    return _table(["", "rule", "file", "finding"], rows) + more


def _differences(content: dict[str, Any]) -> str:
    rows = []
    for name, entry in content["metrics"].items():
        interval = "" if entry["ci_low"] is None else f"[{entry['ci_low']:+.3f}, {entry['ci_high']:+.3f}]"
        values = ["–" if entry[key] is None else f"{entry[key]:.3f}" for key in ("first", "second")]
        delta = "–" if entry["delta"] is None else f"{entry['delta']:+.3f}"
        rows.append([name, *values, f"{delta} {interval}{' *' if entry['significant'] else ''}".strip()])
    notes = [f"{content['n']} mixtures; * the 95 % paired interval excludes 0.", *content["warnings"]]
    if any(entry["withheld"] for entry in content["metrics"].values()):
        notes.insert(1, "no star where fewer than 6 mixtures changed: so few can all fall to one side by chance")
    sides = (("before", content["first"]), ("after", content["second"]))
    notes += [f"{name}: {'; '.join(side['marks'])}" for name, side in sides if side["marks"]]
    notes += [f"left out, {why}: {len(ids)} mixtures" for why, ids in content["left_out"].items()]
    return _table(["", "before", "after", "after − before [95 %]"], rows) + "\n\n" + "\n".join(f"- {n}" for n in notes)


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    """Names of files are anybody's: nothing in them may end the cell, or be markup."""
    kept = text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "&#124;").replace("`", "&#96;")
    return " ".join(kept.replace("[", "&#91;").split())


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    sys.stdout.write(main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])))

"""What `s5eval data verify` prints of folders of recordings."""

from s5eval.data_manifests.common.words import counted
from s5eval.data_manifests.verify_recordings import VerifiedRecordings
from s5eval.harness.report.terminal_layout import aligned
from s5eval.harness.report.text import number


def verified_text(found: VerifiedRecordings) -> str:
    """Every finding, and a row for each class with the files of every split and the minutes of them."""
    splits = list(dict.fromkeys(row.split for row in found.rows))
    labels = list(dict.fromkeys(row.label for row in found.rows))
    cells = {(row.label, row.split): (str(row.files), number(row.seconds / 60, 1)) for row in found.rows}
    heading = ["class", *(word for split in splits for word in (f"{split}: files", "minutes"))]
    rows = [[label, *(word for split in splits for word in cells[label, split])] for label in labels]
    said = [*map(str, found.findings), ""] if found.findings else []
    files = sum(row.files for row in found.rows)
    total = f"{counted(files, 'recording')}, {counted(len(found.findings), 'finding')}"
    return "\n".join([*said, *aligned([heading, *rows]), "", total])

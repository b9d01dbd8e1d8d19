"""`s5eval submit`: build, check and package challenge submissions."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.common.words import counted
from s5eval.harness.command_line.expected_options import expected_options, read_expected
from s5eval.harness.command_line.fields_as_options import in_options
from s5eval.harness.command_line.help import Group
from s5eval.harness.command_line.listed_findings import listed, verdict
from s5eval.harness.command_line.options import PathType, given_options, json_option
from s5eval.harness.command_line.progress_bar import show_count
from s5eval.harness.terminal import echo, plugin_output

if TYPE_CHECKING:
    from s5eval.harness.runs.to_submission import Gathered
    from s5eval.submissions.build import Built
    from s5eval.submissions.rules import SubmissionName

EXIT_INVALID = 5


@click.group("submit", cls=Group, short_help="Build, check and package challenge submissions.")
def command() -> None:
    """Challenge submissions: build one from runs, check anybody's, package up to four."""


@command.command(
    "build",
    short_help="Make a submission from a run.",
    example="s5eval submit build runs/EVAL --dev-run runs/DEV --author Choi --affiliation KAIST --out OUT",
)
@click.argument("run", type=PathType)
@click.option("--author", required=True, help="Surname of the corresponding author, such as Choi.")
@click.option("--affiliation", required=True, help="Abbreviation of the institute, such as KAIST.")
@click.option("--number", type=int, default=1, show_default=True, help="Which of your systems this is, 1 to 4.")
@click.option("--dev-run", type=PathType, required=True, metavar="RUN2", help="Scored run on the development test set.")
@click.option("--out", type=PathType, required=True, metavar="DIR", help="Where the folder and the zip are written.")
@click.option("--nparams", type=click.IntRange(min=0), help="Parameters of the system, where the run does not say.")
@click.option("--out-suffix", is_flag=True, help="Name the archive …_out.zip, as the official README does.")
@click.option("--no-folder", is_flag=True, help="Write the zip only.")
@click.option("--compress", is_flag=True, help="Deflate the zip: smaller, slower, bytes differ between machines.")
@click.option("--no-profile", is_flag=True, help="Do not load the system: its multiply-adds stay unknown.")
@click.option("--allow-partial", is_flag=True, help="Accept runs that lack mixtures.")
@click.option("--allow-untrained", is_flag=True, help="Accept untrained weights.")
@click.option("--allow-other-system", is_flag=True, help="Accept a RUN2 of another system, or of other weights.")
@click.option("--replace", is_flag=True, help="Replace another submission that stands in DIR under this name.")
@json_option
def build_command(run: Path, as_json: bool, **options: Any) -> int:
    """Make a submission from RUN, an evaluation run made with --save-audio.

    The zip appears under its name only when it is whole and passes every check of `submit validate`.
    """
    from s5eval.harness.record.reading import coherent
    from s5eval.harness.runs.submission_facts import gather_facts
    from s5eval.harness.runs.to_submission import gather_submission
    from s5eval.submissions.build import build_submission
    from s5eval.submissions.errors import SubmissionError
    from s5eval.submissions.facts import write_facts
    from s5eval.submissions.rules import make_name

    name = make_name(options["author"], options["affiliation"], options["number"])
    with coherent(run, options["dev_run"]):
        gathered = gather_submission(
            run,
            options["dev_run"],
            nparams=options["nparams"],
            allow_partial=options["allow_partial"],
            allow_untrained=options["allow_untrained"],
            allow_other_system=options["allow_other_system"],
        )
    try:
        built = build_submission(
            gathered.submission,
            name,
            options["out"],
            out_suffix=options["out_suffix"],
            folder=not options["no_folder"],
            compress=options["compress"],
            replace=options["replace"],
            progress=show_work,
        )
    except SubmissionError as error:
        if as_json:
            echo(json.dumps({"ok": False, "findings": [found.as_dict() for found in error.findings]}, indent=1))
        raise
    with plugin_output(), coherent(run):
        facts, findings = gather_facts(run, profile=not options["no_profile"])
    beside = write_facts(built.archive, built.sha256, name, facts)
    gathered = replace(gathered, warnings=(*gathered.warnings, *findings))
    if as_json:
        inference = {key: facts[f"inference_{key}"] for key in ("seconds", "hardware", "method")}
        echo(json.dumps({**_built_facts(built, gathered), "inference": inference, "facts": str(beside)}, indent=1))
        return 0
    known = "" if facts["inference_seconds"] is None else f"{facts['inference_seconds']:g} s, "
    echo(_built_text(built, gathered))
    echo(f"facts: {beside} (for the meta file; `s5eval submit init` reads it)")
    echo(f"inference of a mixture: {known}{facts['inference_method']}")
    return 0


def _built_facts(built: "Built", gathered: "Gathered") -> dict[str, Any]:
    return {
        "ok": True,
        "archive": str(built.archive),
        "sha256": built.sha256,
        "bytes": built.archive.stat().st_size,
        "folder": None if built.folder is None else str(built.folder),
        "mixtures": built.report.mixtures,
        "files": built.report.files,
        "nparams": gathered.submission.nparams,
        "clipped_samples": built.report.clipped_samples,
        "scores": gathered.scores,
        "findings": [found.as_dict() for found in (*gathered.warnings, *built.report.findings)],
    }


def _built_text(built: "Built", gathered: "Gathered") -> str:
    from s5eval.harness.report.text import number

    size = built.archive.stat().st_size
    nparams = gathered.submission.nparams
    parameters = "parameters not stated" if nparams is None else f"{nparams:,} parameters"
    lines = [f"{counted(built.report.files, 'output')} for {counted(built.report.mixtures, 'mixture')}, {parameters}"]
    for role, title in (("run", "evaluation run"), ("dev_run", "development test run")):
        scores = gathered.scores[role]
        if scores["capi_sdri"] is not None:
            written = scores["capi_sdri_as_written"]
            beside = "" if written is None else f" in memory, {number(written, 3)} dB as written to 16-bit wavs"
            lines.append(f"{title}: CAPI-SDRi {number(scores['capi_sdri'], 3)} dB{beside}")
    lines.append(f"{counted(built.report.clipped_samples or 0, 'sample')} clipped at full scale")
    lines += listed([*gathered.warnings, *built.report.findings], command)
    lines += ["", f"zip: {built.archive} ({size / 1e6:.1f} MB)", f"sha256: {built.sha256}"]
    lines += [] if built.folder is None else [f"folder: {built.folder}"]
    return "\n".join(lines)


@command.command(
    "validate",
    short_help="Check anybody's submission and list every fault.",
    example="s5eval submit validate OUT/Choi_KAIST_task4_1.zip --data DIR",
)
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=PathType)
@expected_options
@click.option("--no-audio", is_flag=True, help="Check names and JSON only; do not read the wavs.")
@click.option("--json", "as_json", is_flag=True, help="As a JSON object, for machines; of several an array.")
def validate_command(paths: Sequence[Path], no_audio: bool, as_json: bool, **options: Any) -> int:
    """Check anybody's submissions, zips or folders, and list every fault; the exit code is 5 when there are errors.

    Nothing is unpacked to disk.
    """
    from s5eval.submissions.archive import check_is_one
    from s5eval.submissions.validate import check_submission as check

    for path in paths:
        check_is_one(path)
    expected = read_expected(options)
    reports = []
    for path in paths:
        report = check(path, expected=expected, audio=not no_audio, progress=show_work)
        reports.append(report)
        if not as_json:
            nparams = "" if report.nparams is None else f", {report.nparams:,} parameters"
            echo(f"{path}: {counted(report.files, 'output')}, {counted(report.mixtures, 'mixture')} listed{nparams}")
            echo(f"mixtures to be answered: {in_options(report.expected.source, command)}")
            echo("\n".join([*listed(report.findings, command), verdict(report.findings, no_audio)]))
    if as_json:
        found = [report.as_dict() for report in reports]
        echo(json.dumps(found[0] if len(found) == 1 else found, indent=1))
    return 0 if all(report.ok for report in reports) else EXIT_INVALID


@command.command(
    "init",
    short_help="Write the files of a package that you fill in.",
    example="s5eval submit init OUT/Choi_KAIST_task4_1.zip --out META",
)
@click.argument("submissions", nargs=-1, type=PathType)
@click.option("--author", help="Surname, when there is no submission yet to read it from.")
@click.option("--affiliation", help="Institute, when there is no submission yet to read it from.")
@click.option(
    "--systems",
    type=click.IntRange(1, 4),
    default=1,
    show_default=True,
    help="How many systems, when there is no submission yet.",
)
@click.option("--template", type=PathType, metavar="FILE", help="Your own meta template in place of the shipped one.")
@click.option("--out", type=PathType, required=True, metavar="DIR", help="Where to write the files to fill in.")
@json_option
@click.pass_context
def init(
    context: click.Context,
    submissions: Sequence[Path],
    author: str | None,
    affiliation: str | None,
    systems: int,
    template: Path | None,
    out: Path,
    as_json: bool,
) -> int:
    """Write the files of a challenge package that you fill in: a meta YAML per system, and the list of URLs.

    What is known of SUBMISSIONS (built zips or folders) is filled in: from the archives, and from the facts that
    `submit build` left beside them (multiply-adds, seconds, energy, data and licences).
    """
    from s5eval.submissions.package import init_package, parse_submission_name
    from s5eval.submissions.rules import make_name

    built: dict[SubmissionName, Path] = {}
    for path in submissions:
        name = parse_submission_name(path)
        if name is None or not path.exists():
            raise UsageError(f"{path}: no submission of the name <Surname>_<Institute>_task4_<n>, zip or folder")
        if name in built:
            raise UsageError(f"{built[name]} and {path} are both {name.label}; name one of them")
        built[name] = path
    if built and (alone := sorted(given_options(context) & {"author", "affiliation", "systems"})):
        raise UsageError(f"--{alone[0]} is for when there is no submission yet; {submissions[0]} says it itself")
    if not built and (author is None or affiliation is None):
        raise UsageError("give built submissions, or --author and --affiliation for empty templates")
    names = list(built) or [make_name(author or "", affiliation or "", k + 1) for k in range(systems)]
    written, kept = init_package(names, built, out, template)
    if as_json:
        echo(json.dumps({"written": [*map(str, written)], "kept": [*map(str, kept)]}, indent=1))
        return 0
    for path in written:
        echo(f"written: {path}")
    for path in kept:
        echo(f"kept as it is: {path}")
    echo("Fill in every TODO; `s5eval submit package` names those that are left.")
    return 0


@command.command(
    "package",
    short_help="Pack up to four submissions into the challenge package.",
    example="s5eval submit package OUT/Choi_KAIST_task4_1.zip --meta META --report REPORT.pdf --out PACKAGE",
)
@click.argument("submissions", nargs=-1, required=True, type=PathType)
@click.option("--meta", type=PathType, required=True, metavar="DIR", help="Folder that `submit init` wrote.")
@click.option("--report", type=PathType, required=True, metavar="PDF", help="Technical report.")
@click.option("--out", type=PathType, required=True, metavar="DIR", help="Where the package is written.")
@click.option("--template", type=PathType, metavar="FILE", help="Your own meta template in place of the shipped one.")
@expected_options
@click.option("--no-audio", is_flag=True, help="Do not read the wavs again; `submit build` has checked them.")
@click.option("--replace", is_flag=True, help="Replace another package of the team that stands in DIR.")
@json_option
def package_command(submissions: Sequence[Path], as_json: bool, **options: Any) -> int:
    """Pack up to four SUBMISSIONS of a team into the outer challenge package.

    Everything is checked first; with errors nothing is written and the exit code is 5.
    """
    from s5eval.submissions.package import package as pack

    for path in submissions:
        if not path.exists():
            raise UsageError(f"no zip or folder at {path}")
    packaged = pack(
        submissions,
        options["meta"],
        options["report"],
        options["out"],
        expected=read_expected(options),
        template=options["template"],
        audio=not options["no_audio"],
        replace=options["replace"],
        progress=show_work,
    )
    if as_json:
        archive = None if packaged.archive is None else str(packaged.archive)
        findings = [found.as_dict() for found in packaged.findings]
        echo(json.dumps({"ok": packaged.ok, "package": archive, "findings": findings}, indent=1))
    else:
        end = f"package: {packaged.archive}" if packaged.ok else "nothing was written"
        said = verdict(packaged.findings, options["no_audio"])
        echo("\n".join([*listed(packaged.findings, command), said, end]))
    return 0 if packaged.ok else EXIT_INVALID


def show_work(items: Iterable[Any], total: int, what: str) -> Iterator[Any]:
    """How many files are done, on standard error."""
    with show_count("file", what, keep=False) as show:
        for number, item in enumerate(items, start=1):
            yield item
            show(number, total)

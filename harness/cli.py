"""The command line: `s5eval COMMAND`. Parses, calls one function, prints; errors become exit codes here.

Exit codes: 0 done; 1 unexpected; 2 usage; 3 data missing or wrong; 4 finished with failed mixtures;
5 submission invalid; 6 gate not met; 130 interrupted, resumable.
"""

import os
import signal
import sys
import traceback
from types import FrameType

# One thread for numpy's products: they are small here, and idle BLAS threads burn the cores that work. Torch has
# its own threads. Must stand before numpy is imported; an explicit setting wins.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import click

from s5eval.data_manifests.common.errors import S5Error
from s5eval.harness.commands import (
    ablate,
    cache,
    compare,
    data,
    info,
    profile,
    report,
    rescore,
    run,
    score,
    submit,
    systems,
    train,
    tune,
)
from s5eval.harness.errors import EXIT_DONE, EXIT_INTERRUPTED, EXIT_UNEXPECTED


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="s5eval", prog_name="s5eval")
@click.option("--debug", is_flag=True, help="Show the traceback of any error.")
@click.pass_context
def cli(context: click.Context, debug: bool) -> None:
    """Evaluate systems for Spatial Semantic Segmentation of Sound Scenes (DCASE Task 4).

    Start with `s5eval run --system multistage`, or score wavs you have: `s5eval score THEIR_WAVS --data DIR`.
    """
    context.obj = debug


for _module in (run, score, submit, rescore, tune, ablate, compare, report, data, profile, train, systems, cache, info):
    cli.add_command(_module.command)


def main() -> None:
    """Entry point of the console script; ends the process with an exit code of the table above."""
    signal.signal(signal.SIGTERM, _as_interrupt)
    debug = "--debug" in sys.argv
    try:
        # --debug is the group's option; whoever types it after the command means the same.
        code = cli.main([word for word in sys.argv[1:] if word != "--debug"], standalone_mode=False)
        code = code if isinstance(code, int) else EXIT_DONE
    except S5Error as error:
        code = _report(f"error: {error}", error.exit_code, debug)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort) as error:
        where = "; ".join(getattr(error, "__notes__", ["--resume RUN"]))
        code = _report(f"interrupted; what is done stands, and {where} goes on from there", EXIT_INTERRUPTED, debug)
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - nobody reads any more; lets the interpreter end
        code = EXIT_DONE
    except Exception as error:  # noqa: BLE001 - the last resort: one line, not a traceback
        notes = "; ".join(getattr(error, "__notes__", ["--debug shows the traceback"]))
        code = _report(f"unexpected {type(error).__name__}: {error} ({notes})", EXIT_UNEXPECTED, debug)
    sys.exit(code)


def _report(message: str, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    click.echo(message, err=True)
    return code


def _as_interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()

"""The command line: `s5eval COMMAND`. Parses, calls one function, prints; errors become exit codes here.

Exit codes: 0 done; 1 unexpected; 2 usage; 3 data missing or wrong; 4 finished with failed mixtures;
5 submission invalid; 6 gate not met; 130 interrupted, resumable.
"""

import io
import os
import sys
import traceback

# One thread for numpy's products: they are small here, and idle BLAS threads burn the cores that work. Torch has
# its own threads. Must stand before numpy is imported; an explicit setting wins.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import click

from s5eval.data_manifests.common.errors import S5Error
from s5eval.harness.command_line.completion import complete_values
from s5eval.harness.command_line.fields_as_options import in_options
from s5eval.harness.command_line.help import Group
from s5eval.harness.commands import (
    ablate,
    cache,
    check,
    compare,
    data,
    data_making,
    export,
    host,
    info,
    merge,
    pack,
    profile,
    rank,
    report,
    rescore,
    run,
    runs,
    score,
    submit,
    systems,
    train,
    tune,
    view,
    weights,
)
from s5eval.harness.errors import EXIT_DONE, EXIT_INTERRUPTED, EXIT_UNEXPECTED
from s5eval.harness.process import interrupt_on_signals, interrupted, mend_standard_streams
from s5eval.harness.terminal import echo


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="s5eval", prog_name="s5eval")
@click.option("--debug", is_flag=True, help="Show the traceback of any error.")
@click.pass_context
def cli(context: click.Context, debug: bool) -> None:
    """Evaluate systems for Spatial Semantic Segmentation of Sound Scenes (DCASE Task 4).

    Start with `s5eval run --system multistage`, or score wavs you have: `s5eval score THEIR_WAVS --data DIR`.
    """
    context.obj = debug


_COMMANDS = (
    run,
    score,
    runs,
    view,
    submit,
    host,
    merge,
    rescore,
    tune,
    ablate,
    compare,
    rank,
    report,
    check,
    data,
    profile,
    train,
    systems,
    cache,
    info,
    export,
    pack,
    weights,
)

for _module in _COMMANDS:
    cli.add_command(_module.command)
for _command in data_making.commands:
    data.command.add_command(_command)
complete_values(cli)
cli.add_command(pack.unpack_command)


def main() -> None:
    """Entry point of the console script; ends the process with an exit code of the table above."""
    mend_standard_streams()
    interrupt_on_signals()
    if "_S5EVAL_COMPLETE" in os.environ:  # the shell asks, and click answers
        cli.main(prog_name="s5eval")
    debug = "--debug" in sys.argv
    try:
        # --debug is the group's option; whoever types it after the command means the same.
        code = cli.main([word for word in sys.argv[1:] if word != "--debug"], standalone_mode=False)
        code = code if isinstance(code, int) else EXIT_DONE
    except S5Error as error:
        code = _report(in_options(f"error: {error}", cli), error.exit_code, debug)
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)
        echo(shown.getvalue().rstrip("\n"), err=True)
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort) as error:
        if isinstance(error.__cause__, EOFError):  # click takes one for Ctrl-D at a prompt; here it is a file's
            code = _unexpected(error.__cause__, debug)
        else:
            code = _report(interrupted(error), EXIT_INTERRUPTED, debug)
    except SystemExit as error:  # somebody else's code wants to end the process: not as if all were done
        code = error.code if isinstance(error.code, int) and error.code else _unexpected(error, debug)
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - nobody reads any more; lets the interpreter end
        code = EXIT_DONE
    except Exception as error:  # noqa: BLE001 - the last resort: one line, not a traceback
        code = _unexpected(error, debug)
    sys.exit(code)


def _unexpected(error: BaseException, debug: bool) -> int:
    notes = "; ".join(getattr(error, "__notes__", ["--debug shows the traceback"]))
    return _report(f"unexpected {type(error).__name__}: {error} ({notes})", EXIT_UNEXPECTED, debug)


def _report(message: str, code: int, debug: bool) -> int:
    if debug:
        echo(traceback.format_exc(), err=True)
    echo(message, err=True)
    return code


if __name__ == "__main__":
    main()

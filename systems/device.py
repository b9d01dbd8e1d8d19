"""Which device networks run on: the one that was asked for, or the best that is at hand."""

from pathlib import Path

from s5eval.data_manifests.common.errors import UsageError


def resolve_device(device: str) -> str:
    """`auto` → `cuda` where a GPU and a torch that sees it are at hand, else `cpu`; torch is not imported in vain.

    Raises:
        UsageError: there is no such device here, or none anywhere.
    """
    if not isinstance(device, str):
        raise UsageError(f"`device` is {device!r}, expected auto, cpu, cuda, cuda:N (or what torch knows)")
    if device == "cpu":
        return device
    if device != "auto":
        import torch

        try:
            torch.device(device)
        except RuntimeError as error:  # whose words list twenty back-ends of other machines
            raise UsageError(
                f"`device` is {device!r}, expected auto, cpu, cuda, cuda:N (or what torch knows)"
            ) from error
        try:
            torch.empty(1, device=device)
        except (RuntimeError, AssertionError, ValueError) as error:
            reason = str(error).partition("\n")[0]
            raise UsageError(f"`device={device}`: not at hand ({reason}); auto takes what is there") from error
        return device
    if not Path("/dev/nvidiactl").exists():
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"

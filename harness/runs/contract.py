"""The boundary to other people's systems: each of their answers is checked against the contract before it is used.

Whatever a factory, a fingerprint, a decision or an inspection does (raise, exit, return something else), the error
names it, says what was expected, and ends the call as any wrong call does. What `propose` does costs its mixtures
alone.
"""

import inspect
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from s5eval.data_manifests.common.digests import is_digest_start
from s5eval.data_manifests.common.errors import S5Error, UsageError
from s5eval.data_manifests.common.findings import Finding
from s5eval.data_manifests.common.structured import parse_json
from s5eval.data_manifests.common.words import counted
from s5eval.systems.decision import Decision
from s5eval.systems.decision_reading import parse_decision
from s5eval.systems.interface import (
    Candidates,
    Factory,
    Json,
    OracleSystem,
    Proposal,
    StreamedCandidates,
    System,
    sharing,
)

_CONTRACT = "(the contract is s5eval/systems/interface.py)"
_PARTS = {"decision": "decision", "fingerprint": "fingerprint()", "propose": "propose(mixtures)"}


def build_system(name: str, factory: Factory, config: Mapping[str, Any], device: str) -> System | OracleSystem:
    """Call a factory, and check what comes back.

    Raises:
        UsageError: it takes other arguments, raises, ends the process, or returns something that is no system.
        S5Error: an expected error of the factory itself, as it is.
    """
    try:
        inspect.signature(factory).bind(config, device)
    except TypeError as error:
        raise UsageError(
            f"system {name!r}: the factory cannot be called as build(config, device): {error} {_CONTRACT}"
        ) from error
    except ValueError:  # written in C, without a signature
        pass
    with contained(name, "the factory build(config, device)"):
        built: object = factory(config, device)
    with contained(name, "the system"):
        fits = isinstance(built, System | OracleSystem)
    if not fits:
        lacking = [told for part, told in _PARTS.items() if not hasattr(built, part)]
        lacks = f", which lacks {' and '.join(lacking)}" if lacking and len(lacking) < len(_PARTS) else ""
        raise UsageError(
            f"the factory of {name!r} returned a {type(built).__name__}{lacks}; expected an object with "
            f"{', '.join(_PARTS.values())} {_CONTRACT}"
        )
    system: System | OracleSystem = built  # type: ignore[assignment]
    with contained(name, "the attribute decision"):
        decision: object = system.decision
        if not isinstance(decision, Decision):
            raise UsageError(
                f"system {name!r}: its decision is a {type(decision).__name__}, expected a Decision {_CONTRACT}"
            )
        parse_decision(decision.as_dict(), where=f"system {name!r}: its decision")
    return system


def read_fingerprint(name: str, system: System | OracleSystem) -> dict[str, Json]:
    """What a system says its output depends on, as JSON gives it back.

    Raises:
        UsageError: it raises, or is not a mapping that JSON can hold; names the key.
    """
    with contained(name, "fingerprint()"):
        found: object = system.fingerprint()
        if not isinstance(found, Mapping):
            raise UsageError(
                f"system {name!r}: fingerprint() is a {type(found).__name__}, expected a mapping {_CONTRACT}"
            )
        content: dict[str, Json] = {}
        for key, value in found.items():
            try:
                content[_text(key)] = parse_json(json.dumps(value, allow_nan=False))
            except (TypeError, ValueError, RecursionError) as error:
                raise UsageError(
                    f"system {name!r}: fingerprint()[{key!r}] is not what JSON can hold: {error} {_CONTRACT}"
                ) from error
    missing = content.get("missing_parts", [])
    if not isinstance(missing, list) or not all(isinstance(part, str) for part in missing):
        raise UsageError(f"system {name!r}: fingerprint()['missing_parts'] is {missing!r}, expected a list of texts")
    return content


def stated_missing_parts(fingerprint: Mapping[str, Json]) -> tuple[str, ...]:
    """What a fingerprint that `read_fingerprint` returned says is missing of its system."""
    missing = fingerprint.get("missing_parts", ())
    return tuple(map(str, missing)) if isinstance(missing, list | tuple) else ()


def _text(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(f"the key is a {type(key).__name__}, expected a text")
    return key


def inspect_files(name: str, system: object, ids: Sequence[str], expected: Sequence[str]) -> list[Finding]:
    """What a system with the optional `inspect(mixture_ids, expected)` has to say of its files; else nothing.

    Raises:
        UsageError: it raises, or returns something else than a list of findings.
        S5Error: an expected error of the system itself, as it is.
    """
    with contained(name, "inspect(mixture_ids, expected)"):
        look = getattr(system, "inspect", None)
        if not callable(look):
            return []
        found: object = look(ids, expected)
    if not isinstance(found, list | tuple) or not all(isinstance(entry, Finding) for entry in found):
        raise UsageError(
            f"system {name!r}: inspect() returned a {type(found).__name__}, expected a list of Finding {_CONTRACT}"
        )
    return list(found)


def stated_recordings(name: str, system: object) -> frozenset[str]:
    """What a system with the optional `trained_on` was trained on, by the starts of digests; else nothing.

    Raises:
        UsageError: it is something else than a collection of such texts.
    """
    with contained(name, "the attribute trained_on"):
        told: object = getattr(system, "trained_on", ())
        listed = list(told) if isinstance(told, Collection) and not isinstance(told, str | bytes) else None
    wrong = [told] if listed is None else [text for text in listed if not is_digest_start(text)]
    if listed is None or wrong:
        raise UsageError(
            f"system {name!r}: trained_on is or holds {wrong[0]!r:.60}, expected a collection of the first twelve "
            f"hexadecimal digits of the SHA-256 of each recording, in lower case {_CONTRACT}"
        )
    return frozenset(map(str, listed))


def check_proposals(proposals: object, n: int) -> Sequence[Proposal]:
    """The answer of `propose` for n mixtures, if it is one.

    Raises:
        ValueError: it is not a list of n Candidates, or two of them share memory, so that the later one has
            overwritten the earlier.
    """
    if not isinstance(proposals, list | tuple):
        raise ValueError(
            f"the system returned a {type(proposals).__name__}, expected a list of Candidates, one a mixture "
            f"{_CONTRACT}"
        )
    for entry in proposals:
        if not isinstance(entry, Candidates | StreamedCandidates):
            raise ValueError(f"the system proposed a {type(entry).__name__}, expected Candidates {_CONTRACT}")
    if len(proposals) != n:
        raise ValueError(f"the system returned {len(proposals)} proposals for {counted(n, 'mixture')}")
    if (pair := sharing(proposals)) is not None:
        raise ValueError(
            f"the candidates of mixtures {pair[0] + 1} and {pair[1] + 1} of a batch share memory, so that one may "
            "have overwritten the other; return arrays of their own (audio.copy())"
        )
    return proposals


@contextmanager
def contained(name: str, what: str) -> Iterator[None]:
    """Whatever the block raises, save our own errors and an interruption, is a usage error that names `what`."""
    try:
        yield
    except S5Error:
        raise
    except (Exception, SystemExit) as error:
        said = f"ended the process (exit code {error.code!r})" if isinstance(error, SystemExit) else _said(error)
        raise UsageError(f"system {name!r}: {what} {said} {_CONTRACT}; --debug shows the traceback") from error


def _said(error: Exception) -> str:
    return f"raised {type(error).__name__}: {error}"

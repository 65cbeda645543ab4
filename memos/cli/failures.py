"""How the command ends when something went wrong: the message on stderr and the exit code.

Knows the error tree and nothing of what was attempted.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from typing import Any

import click

from memos.cli.output import clean
from memos.errors import (
    AccessDenied,
    Conflict,
    EmbeddingModelChanged,
    InvalidInput,
    InvalidSetting,
    LimitExceeded,
    MemosError,
    ModelCorrupt,
    ModelDigestMismatch,
    NotFound,
    ServiceUnavailable,
    StorageError,
    StorageUnavailable,
)

FAILURE, USAGE, INTERRUPTED = 1, 2, 130

# The first that fits counts.
_CODES: tuple[tuple[type[MemosError], int], ...] = (
    (InvalidInput, USAGE),
    (InvalidSetting, USAGE),
    (LimitExceeded, USAGE),
    (NotFound, 3),
    (Conflict, 4),
    (EmbeddingModelChanged, 4),
    (AccessDenied, 5),
    (ServiceUnavailable, 6),
    (StorageUnavailable, 6),
    (StorageError, 7),
    (ModelCorrupt, 7),
    (ModelDigestMismatch, 7),
)

EXIT_CODES = """\
\b
Exit codes:
  0  done
  1  failed
  2  wrong usage, or input that can't be used
  3  not found
  4  conflict: name taken, changed since, not in this state, other model
  5  denied: no key, or one that does not reach this
  6  unavailable: no connection, locked, timed out
  7  storage or model file: full, read-only, corrupt, other version
  130  interrupted
"""


def exit_code(error: MemosError) -> int:
    return next((code for kind, code in _CODES if isinstance(error, kind)), FAILURE)


def problem(code: str, message: str, **details: Any) -> str:
    """The error as a problem document (RFC 9457), as HTTP sends it but for what is HTTP's: `status`
    and `instance`."""
    document = {
        "type": f"https://memos.invalid/problems/{code}",
        "title": code.replace("-", " ").capitalize(),
        "detail": message,
        "code": code,
    }
    return json.dumps({**document, **details}, default=str, ensure_ascii=False)


def report(error: MemosError, *, as_json: bool) -> int:
    """Prints an error of ours; the exit code for it."""
    if as_json:
        click.echo(problem(error.code, error.message, **error.details), err=True)
    else:
        _say(error.message)
        if error.details.get("request_id"):
            click.echo(f"request id: {error.details['request_id']}", err=True)
    return exit_code(error)


def report_usage(error: click.ClickException, *, as_json: bool) -> int:
    """Prints an error of the command line itself."""
    if as_json:
        click.echo(problem("usage", error.format_message()), err=True)
    else:
        error.show()
    return error.exit_code


def report_system(error: OSError, *, as_json: bool) -> int:
    """Prints what the system refused, mostly that the output can be written."""
    with suppress(OSError):
        sys.stdout.flush()
    # Nothing more of it: at its end the interpreter would try again, and fail again.
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115  open until the end of the process
    about = f"{error.filename}: " if error.filename else ""
    message = f"{about}{error.strerror or error}"
    with suppress(OSError):
        if as_json:
            click.echo(problem("system", message), err=True)
        else:
            _say(message)
    return FAILURE


def _say(message: str) -> None:
    click.echo(click.style("error: ", fg="red") + clean(message), err=True)

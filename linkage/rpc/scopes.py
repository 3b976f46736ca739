"""Which project a call is about, found in one place before any handler sees the request.

- The policy table says where a method's project stands; `Gate` decides whether the caller may be
  there. A handler is reached only from inside.
- Whoever is outside gets one and the same refusal for "does not exist" and "not yours".
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any, Protocol

from google.protobuf.message import Message

from linkage.errors import InvalidRequestError, NotFoundError
from linkage.rpc.policy import POLICY, Scope
from linkage.trust.identity import PartyId

MAX_SUBJECT = 128


class Gate(Protocol):
    """Knows who belongs where."""

    def enter(self, caller: PartyId, scope: Scope, subject: str) -> None:
        """Let the caller go on with a call about `subject`.

        Raises:
            NotFoundError: as `nothing_there` makes it, unless it exists and the caller belongs.
            LimitError: the caller, or the project, has used up its budget of calls.
        """


class Open:
    """For tests of other things."""

    def enter(self, caller: PartyId, scope: Scope, subject: str) -> None:
        pass


_WORDS = {
    Scope.REQUEST: "project",
    Scope.ENVELOPE: "project",
    Scope.COMMITMENT: "project",
    Scope.HEADER: "project",
    Scope.RUN: "run",
    Scope.RELEASE: "release",
    Scope.UPLOAD: "upload",
}


def nothing_there(scope: Scope) -> NotFoundError:
    """The one answer for what does not exist and for what is another's."""
    return NotFoundError(
        f"there is no such {_WORDS[scope]} for you",
        remedy="Check the name; or you do not take part in the project that it belongs to",
    )


def within(gate: Gate, method: str, caller: PartyId, request: Any) -> Any:
    """The request, once its caller may make it.

    Args:
        request: a message, or the messages of a stream, of which the first is looked at.

    Raises:
        InvalidRequestError: the stream is empty, or the name is none.
        NotFoundError, LimitError: as the gate says.
    """
    scope = POLICY[method].scope
    if scope is Scope.NONE:
        gate.enter(caller, scope, "")
        return request
    first = request if isinstance(request, Message) else _first(request)
    gate.enter(caller, scope, subject_of(scope, first))
    return request if first is request else itertools.chain([first], request)


def subject_of(scope: Scope, request: Any) -> str:
    """The name or id by which a request says what it is about.

    Raises:
        InvalidRequestError: it is too long or not printable, or the header cannot be read.
    """
    if scope is Scope.HEADER:
        return _project_in(request.header)
    if scope in (Scope.ENVELOPE, Scope.COMMITMENT):
        return _checked(getattr(request, scope.value).project)
    return _checked(getattr(request, "project" if scope is Scope.REQUEST else scope.value))


def _first(requests: Iterator[Any]) -> Any:
    for request in requests:
        return request
    raise InvalidRequestError("the stream is empty")


def _project_in(header: bytes) -> str:
    """The project that an upload's header names; all of the header is checked later."""
    if len(header) > 1 << 16:
        raise InvalidRequestError("the upload's header is too large")
    try:
        named = json.loads(header)["project"]
    except (ValueError, TypeError, KeyError, RecursionError):
        named = None
    if not isinstance(named, str):
        raise InvalidRequestError("the upload's header names no project")
    return _checked(named)


def _checked(name: str) -> str:
    if len(name) > MAX_SUBJECT or not name.isprintable():
        raise InvalidRequestError(f"a name or id has at most {MAX_SUBJECT} printable characters")
    return name

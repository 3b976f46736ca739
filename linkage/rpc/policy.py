"""Who may call what: one row per RPC; no row, no call.

- `roles` is checked before a request is looked at.
- `scope` says how the project is found: named in the request, or that of the resource it names.
  Either way a party outside the project gets the answer for "does not exist".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from linkage.trust.identity import Role


class Scope(Enum):
    """Where the project of a call comes from."""

    NONE = "none"
    REQUEST = "request"
    RESOURCE = "resource"


@dataclass(frozen=True)
class Rule:
    """Roles that may call, and how the project is found."""

    roles: frozenset[Role]
    scope: Scope


_MEMBERS = frozenset({Role.PARTNER, Role.ASSEMBLER, Role.EVALUATOR, Role.STEWARD})
_STEWARD = frozenset({Role.STEWARD})
_PARTNER = frozenset({Role.PARTNER})
_ASSEMBLER = frozenset({Role.ASSEMBLER})

_SERVICES: dict[str, dict[str, Rule]] = {
    "linkage.v1.EnrolmentService": {
        "Enrol": Rule(frozenset({Role.INVITEE}), Scope.NONE),
        "Renew": Rule(_MEMBERS, Scope.NONE),
    },
    "linkage.v1.ProjectService": {
        "CreateProject": Rule(_STEWARD, Scope.NONE),
        "GetProject": Rule(_MEMBERS, Scope.REQUEST),
        "ListProjects": Rule(_MEMBERS, Scope.NONE),
        "SignManifest": Rule(_PARTNER, Scope.REQUEST),
    },
    "linkage.v1.SecretService": {
        "PutEnvelope": Rule(_PARTNER, Scope.RESOURCE),
        "ListEnvelopes": Rule(_PARTNER, Scope.REQUEST),
    },
    "linkage.v1.UploadService": {
        "CreateUpload": Rule(_PARTNER, Scope.RESOURCE),
        "WriteUpload": Rule(_PARTNER, Scope.RESOURCE),
        "GetUpload": Rule(_PARTNER, Scope.RESOURCE),
        "FinishUpload": Rule(_PARTNER, Scope.RESOURCE),
    },
    "linkage.v1.RunService": {
        "CreateRun": Rule(_STEWARD, Scope.REQUEST),
        "GetRun": Rule(_STEWARD | _PARTNER, Scope.RESOURCE),
        "ListRuns": Rule(_STEWARD | _PARTNER, Scope.REQUEST),
        "WatchRun": Rule(_STEWARD | _PARTNER, Scope.RESOURCE),
        "CancelRun": Rule(_STEWARD, Scope.RESOURCE),
        "GetQualityReport": Rule(_MEMBERS, Scope.RESOURCE),
        "ListLinks": Rule(_STEWARD, Scope.RESOURCE),
    },
    "linkage.v1.ComparisonService": {
        "ListComparisons": Rule(_PARTNER, Scope.REQUEST),
        "DownloadRequests": Rule(_PARTNER, Scope.RESOURCE),
    },
    "linkage.v1.ReviewService": {
        "ListPairs": Rule(_STEWARD, Scope.RESOURCE),
        "ExplainPair": Rule(_STEWARD, Scope.RESOURCE),
        "DecidePair": Rule(_STEWARD, Scope.RESOURCE),
        "ListDecisions": Rule(_STEWARD, Scope.REQUEST),
    },
    "linkage.v1.ReleaseService": {
        "CreateRelease": Rule(_STEWARD, Scope.RESOURCE),
        "GetRelease": Rule(_MEMBERS, Scope.RESOURCE),
        "ListReleases": Rule(_MEMBERS, Scope.REQUEST),
        "ApproveRelease": Rule(_PARTNER, Scope.RESOURCE),
        "DownloadIndexIds": Rule(_PARTNER, Scope.RESOURCE),
        "ListParcels": Rule(_ASSEMBLER, Scope.RESOURCE),
        "DownloadParcel": Rule(_ASSEMBLER, Scope.RESOURCE),
        "DownloadStudyMap": Rule(_ASSEMBLER, Scope.RESOURCE),
        "AcknowledgeStudyMap": Rule(_ASSEMBLER, Scope.RESOURCE),
    },
    "grpc.health.v1.Health": {
        "Check": Rule(frozenset(Role), Scope.NONE),
        "Watch": Rule(frozenset(Role), Scope.NONE),
        "List": Rule(frozenset(Role), Scope.NONE),
    },
}

POLICY: dict[str, Rule] = {
    f"/{service}/{method}": rule
    for service, methods in _SERVICES.items()
    for method, rule in methods.items()
}

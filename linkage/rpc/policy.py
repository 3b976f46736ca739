"""Who may call what: one row per RPC; no row, no call.

- `roles` is checked before a request is looked at.
- `scope` says how the project is found: named in the request, or that of the resource it names.
  The guard finds it, and whether the caller belongs to it, before the handler is reached
  (`linkage.rpc.scopes`); a party outside the project gets the answer for "does not exist".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from linkage.trust.identity import Role


class Scope(Enum):
    """Where the project of a call comes from."""

    NONE = "none"
    # Named by the field `project`, by that of the envelope or the commitment, or in the upload's
    # signed header.
    REQUEST = "project"
    ENVELOPE = "envelope"
    COMMITMENT = "commitment"
    HEADER = "header"
    # That of the resource which the field of the same name names.
    RUN = "run"
    RELEASE = "release"
    UPLOAD = "upload"


@dataclass(frozen=True)
class Rule:
    """Roles that may call, and how the project is found."""

    roles: frozenset[Role]
    scope: Scope


_MEMBERS = frozenset({Role.PARTNER, Role.ASSEMBLER, Role.EVALUATOR, Role.STEWARD})
_PARTIES = _MEMBERS - {Role.STEWARD}
_STEWARD = frozenset({Role.STEWARD})
_PARTNER = frozenset({Role.PARTNER})
_ASSEMBLER = frozenset({Role.ASSEMBLER})

_SERVICES: dict[str, dict[str, Rule]] = {
    "linkage.v1.EnrolmentService": {
        "Enrol": Rule(frozenset({Role.INVITEE}), Scope.NONE),
        "Renew": Rule(_MEMBERS, Scope.NONE),
        "Rotate": Rule(_MEMBERS - _STEWARD, Scope.NONE),
        "ReportKey": Rule(_MEMBERS - _STEWARD, Scope.NONE),
    },
    "linkage.v1.ProjectService": {
        "CreateProject": Rule(_STEWARD, Scope.NONE),
        "GetProject": Rule(_MEMBERS, Scope.REQUEST),
        "ListProjects": Rule(_MEMBERS, Scope.NONE),
        "SignManifest": Rule(_PARTNER, Scope.REQUEST),
        "WithdrawProposal": Rule(_STEWARD, Scope.REQUEST),
        "RotateEpoch": Rule(_STEWARD, Scope.REQUEST),
    },
    "linkage.v1.SecretService": {
        "PutCommitment": Rule(_PARTNER, Scope.COMMITMENT),
        "ListCommitments": Rule(_PARTNER, Scope.REQUEST),
        "PutEnvelope": Rule(_PARTNER, Scope.ENVELOPE),
        "ListEnvelopes": Rule(_PARTNER, Scope.REQUEST),
    },
    "linkage.v1.UploadService": {
        "CreateUpload": Rule(_PARTNER, Scope.HEADER),
        "WriteUpload": Rule(_PARTNER, Scope.UPLOAD),
        "GetUpload": Rule(_PARTNER, Scope.UPLOAD),
        "FinishUpload": Rule(_PARTNER, Scope.UPLOAD),
    },
    "linkage.v1.RunService": {
        "CreateRun": Rule(_STEWARD, Scope.REQUEST),
        "GetRun": Rule(_STEWARD | _PARTNER, Scope.RUN),
        "ListRuns": Rule(_STEWARD | _PARTNER, Scope.REQUEST),
        "WatchRun": Rule(_STEWARD | _PARTNER, Scope.RUN),
        "CancelRun": Rule(_STEWARD, Scope.RUN),
        "GetQualityReport": Rule(_MEMBERS, Scope.RUN),
        "ListLinks": Rule(_STEWARD, Scope.RUN),
    },
    "linkage.v1.ComparisonService": {
        "ListComparisons": Rule(_PARTNER, Scope.REQUEST),
        "DownloadRequests": Rule(_PARTNER, Scope.RUN),
    },
    "linkage.v1.ReviewService": {
        "ListPairs": Rule(_STEWARD, Scope.RUN),
        "ExplainPair": Rule(_STEWARD, Scope.RUN),
        "DecidePair": Rule(_STEWARD, Scope.RUN),
        "ListDecisions": Rule(_STEWARD, Scope.REQUEST),
    },
    "linkage.v1.ReleaseService": {
        "CreateRelease": Rule(_STEWARD, Scope.RUN),
        "GetRelease": Rule(_MEMBERS, Scope.RELEASE),
        "ListReleases": Rule(_MEMBERS, Scope.REQUEST),
        "ConfirmRelease": Rule(_STEWARD, Scope.RELEASE),
        "ApproveRelease": Rule(_PARTNER, Scope.RELEASE),
        "DownloadIndexIds": Rule(_PARTNER, Scope.RELEASE),
        "ListParcels": Rule(_ASSEMBLER, Scope.RELEASE),
        "DownloadParcel": Rule(_ASSEMBLER, Scope.UPLOAD),
        "DownloadStudyMap": Rule(_ASSEMBLER, Scope.RELEASE),
        "AcknowledgeStudyMap": Rule(_ASSEMBLER, Scope.RELEASE),
    },
    "linkage.v1.LogService": {
        "GetCheckpoint": Rule(_MEMBERS, Scope.NONE),
        "GetConsistencyProof": Rule(_MEMBERS, Scope.NONE),
        "GetInclusionProof": Rule(_MEMBERS, Scope.NONE),
        "ListEntries": Rule(_MEMBERS, Scope.NONE),
        "PutHead": Rule(_PARTIES, Scope.NONE),
        "ListHeads": Rule(_MEMBERS, Scope.NONE),
    },
    "grpc.health.v1.Health": {
        "Check": Rule(frozenset(Role), Scope.NONE),
        "Watch": Rule(frozenset(Role), Scope.NONE),
        # The library describes it and does not serve it.
        "List": Rule(frozenset(), Scope.NONE),
    },
}

POLICY: dict[str, Rule] = {
    f"/{service}/{method}": rule
    for service, methods in _SERVICES.items()
    for method, rule in methods.items()
}

"""gRPC in, use case, gRPC out: one servicer per service, and nothing else.

Who calls is read from the verified certificate; what a message body says about it is never used.
"""

from linkage.hub.servicers.comparisons import ComparisonServicer
from linkage.hub.servicers.log import LogServicer
from linkage.hub.servicers.parties import EnrolmentServicer
from linkage.hub.servicers.projects import ProjectServicer
from linkage.hub.servicers.releases import ReleaseServicer
from linkage.hub.servicers.reviews import ReviewServicer
from linkage.hub.servicers.runs import RunServicer
from linkage.hub.servicers.secret import SecretServicer
from linkage.hub.servicers.uploads import UploadServicer

__all__ = [
    "ComparisonServicer",
    "EnrolmentServicer",
    "LogServicer",
    "ProjectServicer",
    "ReleaseServicer",
    "ReviewServicer",
    "RunServicer",
    "SecretServicer",
    "UploadServicer",
]

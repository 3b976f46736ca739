"""The steward's client for clerical review: what `linkage hub review` says to a running hub."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from linkage.rpc.channel import Connection
from linkage.v1 import review_pb2 as pb
from linkage.v1.review_pb2_grpc import ReviewServiceStub


class Reviewer:
    """What a reviewer does over an open connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = ReviewServiceStub(connection.channel)

    def pairs(
        self, run: str, low: float, high: float, *, undecided_only: bool, limit: int
    ) -> tuple[Sequence[pb.ReviewPair], int]:
        """Pairs between two probabilities, the most uncertain first, and how many there are."""
        request = pb.ListPairsRequest(
            run=run,
            min_probability=low,
            max_probability=high,
            undecided_only=undecided_only,
            limit=limit,
        )
        answer = self._connection.call(self._stub.ListPairs, request)
        return answer.pairs, answer.total

    def explain(self, run: str, pair: str) -> pb.ExplainPairResponse:
        """A pair, and the pieces of its weight."""
        request = pb.ExplainPairRequest(run=run, pair=pair)
        return self._connection.call(self._stub.ExplainPair, request)

    def decide(self, run: str, pair: str, verdict: str, note: str, request_id: str) -> pb.Decision:
        """Record a decision: `match`, `different` or `unsure`."""
        request = pb.DecidePairRequest(
            run=run,
            pair=pair,
            verdict=pb.Verdict.Value(f"VERDICT_{verdict.upper()}"),
            note=note,
            request_id=request_id,
        )
        return self._connection.call(self._stub.DecidePair, request).decision

    def decisions(self, project: str) -> Iterator[pb.Decision]:
        """Every decision of a project, oldest first."""
        token = ""  # nosec B105 # of the next page, no secret
        while True:
            request = pb.ListDecisionsRequest(project=project, page_token=token)
            answer = self._connection.call(self._stub.ListDecisions, request)
            yield from answer.decisions
            token = answer.next_page_token
            if not token:
                return

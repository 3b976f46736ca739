"""Clerical review."""

from __future__ import annotations

import grpc

from linkage.errors import InvalidRequestError
from linkage.hub.reviews import ReviewPair, Reviews
from linkage.hub.servicers.common import Callers, name_of, page_size_of, request_id_of, stamp
from linkage.store.sql import Row
from linkage.v1 import review_pb2 as pb
from linkage.v1.review_pb2_grpc import ReviewServiceServicer

_VERDICTS = {
    pb.VERDICT_MATCH: "match",
    pb.VERDICT_DIFFERENT: "different",
    pb.VERDICT_UNSURE: "unsure",
}


class ReviewServicer(Callers, ReviewServiceServicer):
    def __init__(self, hub: str, use_cases: Reviews) -> None:
        super().__init__(hub)
        self._use = use_cases

    def ListPairs(
        self, request: pb.ListPairsRequest, context: grpc.ServicerContext
    ) -> pb.ListPairsResponse:
        pairs, total = self._use.list(
            self._caller(context),
            name_of(request.run),
            low=request.min_probability,
            high=request.max_probability,
            undecided_only=request.undecided_only,
            limit=request.limit,
        )
        return pb.ListPairsResponse(pairs=[_pair(pair) for pair in pairs], total=total)

    def ExplainPair(
        self, request: pb.ExplainPairRequest, context: grpc.ServicerContext
    ) -> pb.ExplainPairResponse:
        pair, parts, competition = self._use.explain(
            self._caller(context), name_of(request.run), name_of(request.pair)
        )
        return pb.ExplainPairResponse(
            pair=_pair(pair),
            contributions=[
                pb.Contribution(name=part.name, weight=part.weight, text=part.text)
                for part in parts
            ],
            competition=competition,
        )

    def DecidePair(
        self, request: pb.DecidePairRequest, context: grpc.ServicerContext
    ) -> pb.DecidePairResponse:
        if request.verdict not in _VERDICTS:
            raise InvalidRequestError("a decision needs a verdict")
        made = self._use.decide(
            self._caller(context),
            name_of(request.run),
            name_of(request.pair),
            _VERDICTS[request.verdict],
            request.note,
            request_id_of(request.request_id),
        )
        return pb.DecidePairResponse(decision=_decision(made))

    def ListDecisions(
        self, request: pb.ListDecisionsRequest, context: grpc.ServicerContext
    ) -> pb.ListDecisionsResponse:
        size = page_size_of(request.page_size)
        rows = self._use.decisions(
            self._caller(context),
            name_of(request.project),
            after=name_of(request.page_token),
            size=size,
        )
        return pb.ListDecisionsResponse(
            decisions=[_decision(row) for row in rows],
            next_page_token=rows[-1]["id"] if len(rows) == size else "",
        )


def _pair(pair: ReviewPair) -> pb.ReviewPair:
    return pb.ReviewPair(
        pair=pair.name,
        left_partner=pair.partners[0],
        right_partner=pair.partners[1],
        left_handle=pair.handles[0],
        right_handle=pair.handles[1],
        match_probability=pair.probability,
        match_weight=pair.weight,
        levels=[pb.Level(name=name, level=at, highest=top) for name, at, top in pair.levels],
        decision=None if pair.decision is None else _decision(pair.decision),
    )


def _decision(row: Row) -> pb.Decision:
    return pb.Decision(
        decision=row["id"],
        run=row["run"],
        left_partner=row["left_partner"],
        right_partner=row["right_partner"],
        left_handle=row["left_handle"],
        right_handle=row["right_handle"],
        verdict=pb.Verdict.Value(f"VERDICT_{row['verdict'].upper()}"),
        note=row["note"],
        decided_by=row["decided_by"],
        decided_at=stamp(row["decided_at"]),
        match_probability=row["probability"],
    )

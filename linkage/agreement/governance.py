"""Why a project is allowed and wanted: the four questions, and who decides.

The questions are those of Actionable Intelligence for Social Policy (AISP), "Four Questions to
Guide Decision-Making for Data Sharing and Integration". Nobody but people can answer them; an
answer that is missing, or still says that it is to be written, is said wherever the manifest is
shown, and an agent signs such a manifest only when it is told to.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from linkage.agreement.fields import Strict

Answer = Annotated[str, StringConstraints(max_length=4000)]

QUESTIONS = {
    "legal": "Is this legal?",
    "ethical": "Is this ethical?",
    "good_idea": "Is this a good idea?",
    "decision": "How do we know, and who decides?",
}
"""Setting -> the question as people ask it, in the order in which it is asked."""

TO_BE_WRITTEN = "To be written"


class Governance(Strict):
    """The four questions that counsel, privacy officers and the people concerned will ask.

    Attributes:
        legal: is it legal: which law and which agreement permit it, for each source.
        ethical: is it ethical: whom it may help or harm, and what was done about harm.
        good_idea: is it a good idea: what will be done with the answer, and why it cannot be had
            with less.
        decision: how do we know, and who decides: who was asked, and who says yes, stop or go on.
        deciders: names of the offices or bodies that decided, for people.
    """

    legal: Answer = ""
    ethical: Answer = ""
    good_idea: Answer = ""
    decision: Answer = ""
    deciders: Annotated[
        tuple[Annotated[str, StringConstraints(min_length=1, max_length=200)], ...],
        Field(max_length=20, strict=False),
    ] = ()

    @property
    def unanswered(self) -> tuple[str, ...]:
        """The questions without an answer, as people ask them."""
        return tuple(
            question
            for setting, question in QUESTIONS.items()
            if is_unwritten(getattr(self, setting))
        )


def is_unwritten(text: str) -> bool:
    """Whether a text says nothing yet."""
    said = text.strip()
    return not said or said.casefold().startswith(TO_BE_WRITTEN.casefold())

"""Local code → standard code, with every row accounted for.

accounts = Accounts()
mapper = Mapper(crosswalk)
for agency, codes in batches:
    standard = mapper.standard_codes(agency, codes, accounts)
accounts.require_whole()
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from linkage.errors import InternalError
from linkage.release.codes import code_fault
from linkage.release.crosswalk.checking import resolved
from linkage.release.crosswalk.documents import Crosswalk, clean_code


@dataclass
class Accounts:
    """What became of rows.

    Attributes:
        mapped: rows by standard code.
        unmapped: rows by agency and local code; they keep their local code.
        empty: rows without a local code.
        strangers: rows of agencies that the crosswalk does not know.
    """

    rows: int = 0
    mapped: Counter[str] = field(default_factory=Counter)
    unmapped: Counter[tuple[str, str]] = field(default_factory=Counter)
    empty: int = 0
    strangers: int = 0

    @property
    def complete(self) -> bool:
        """Whether every row with a local code has a standard code."""
        return not self.unmapped and not self.strangers

    def require_whole(self) -> None:
        """Raises InternalError if a row is not accounted for."""
        told = self.mapped.total() + self.unmapped.total() + self.empty + self.strangers
        if told != self.rows:
            raise InternalError(f"{self.rows} rows were read and {told} accounted for")

    def as_json(self) -> dict[str, object]:
        """For the agency's own report; values that are no codes are counted, not quoted."""
        named = [
            {"agency": agency, "local": code, "rows": rows}
            for (agency, code), rows in sorted(
                self.unmapped.items(), key=lambda item: (-item[1], item[0])
            )
            if code_fault(code) is None
        ]
        told = sum(int(str(entry["rows"])) for entry in named)
        return {
            "rows": self.rows,
            "mapped": self.mapped.total(),
            "unmapped": self.unmapped.total(),
            "empty": self.empty,
            "unknown_agency": self.strangers,
            "standard_codes": dict(sorted(self.mapped.items())),
            "unmapped_codes": named,
            "unmapped_not_quoted": self.unmapped.total() - told,
        }


class Mapper:
    """A sound crosswalk, ready to look codes up.

    Args:
        missing: cells that mean "no code", compared without case.
    """

    def __init__(self, crosswalk: Crosswalk, *, missing: Collection[str] = ()) -> None:
        self._codes = resolved(crosswalk)
        self._agencies = frozenset(crosswalk.agencies)
        self._missing = {text.strip().casefold() for text in missing} | {""}

    def standard_codes(
        self,
        agency: str | Sequence[str | None],
        codes: Sequence[str | None],
        accounts: Accounts | None = None,
    ) -> list[str | None]:
        """The standard code of each local code; None where there is none.

        Args:
            agency: whose codes they are; one for each row where a file is of several agencies.
            accounts: counts the rows, where given.
        """
        agencies = [agency] * len(codes) if isinstance(agency, str) else agency
        pairs = Counter(zip(agencies, codes, strict=True))
        found = {
            (who, code): self._look(clean_code(who or ""), clean_code(code or ""), rows, accounts)
            for (who, code), rows in pairs.items()
        }
        return [found[who, code] for who, code in zip(agencies, codes, strict=True)]

    def _look(self, agency: str, code: str, rows: int, accounts: Accounts | None) -> str | None:
        standard = None
        if code.casefold() not in self._missing:
            standard = self._codes.get((agency, code))
        if accounts is not None:
            accounts.rows += rows
            if code.casefold() in self._missing:
                accounts.empty += rows
            elif agency not in self._agencies:
                accounts.strangers += rows
            elif standard is None:
                accounts.unmapped[agency, code] += rows
            else:
                accounts.mapped[standard] += rows
        return standard


def standard_codes(
    crosswalk: Crosswalk, agency: str | Sequence[str | None], codes: Sequence[str | None]
) -> list[str | None]:
    """The standard code of each local code of an agency; None where the crosswalk has none."""
    return Mapper(crosswalk).standard_codes(agency, codes)

"""Profiles as a partner might give them."""

from __future__ import annotations

from linkage.agreement.profile import Profile


def profile(name: str, rows: int = 5000, **bits: float) -> Profile:
    kinds = {"given": "given_name", "dob": "date_of_birth", "zip": "postcode"}
    fields = [
        {"name": field, "type": kinds.get(field, field), "missing": 0.0, "bits": value}
        for field, value in bits.items()
    ]
    document = {"linkage": "profile/1", "partner": {"name": name}, "rows": rows, "fields": fields}
    return Profile.model_validate(document, strict=False)

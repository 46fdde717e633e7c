"""Which data may be passed on: the one rule about licences, for whoever hands data out.

An exchange's licence is `public` (anyone may be given its data) or `private` (its terms forbid passing it on: OANDA, Yahoo).
The database says which (`exchanges.licence`), as the configuration did.
"""

from __future__ import annotations

from market_platform.domain.errors import BadRequestError

PRIVATE = "private"


def check_licence(name: str, licence: str, *, include_private: bool) -> None:
    """Do nothing when data of `name` (an exchange, or a pair) may be handed out.

    Raises:
        BadRequestError: code `private_data`; it may not, and nobody said that it stays with its owner.
    """
    if licence == PRIVATE and not include_private:
        raise BadRequestError(
            f"{name} is licensed as private: its data may not be passed on. If the files stay with you, say so with "
            "--include-private (the JSON beside each file will say it too)",
            code="private_data",
        )


def licence_terms(licence: str, *, include_private: bool) -> dict[str, object]:
    """What the JSON beside a file says of it."""
    private = licence == PRIVATE
    return {
        "licence": licence,
        "include_private": include_private,
        "terms": "private: this file may not be passed on" if private else "public: this file may be passed on",
    }

"""The scripted bad exchange: it sends what its script says, and remembers what it was asked."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from market_platform_tests.fixtures.bad_exchange import Answer, BadExchange, Request, json_answer


def test_answers_come_in_turn_and_the_last_one_for_ever() -> None:
    """Each path counts its own requests; one that is not scripted is not found."""
    script = {"/a": [Answer(status=429, headers={"Retry-After": "2"}), json_answer([1]), json_answer([2])]}
    with BadExchange(script) as exchange, httpx.Client(base_url=exchange.url) as client:
        first = client.get("/a")
        assert (first.status_code, first.headers["retry-after"]) == (429, "2")
        assert [client.get("/a").json() for _ in range(3)] == [[1], [2], [2]]
        assert client.get("/b").status_code == 404
    assert [each.number for each in exchange.asked("/a")] == [1, 2, 3, 4]


def test_an_answer_can_be_made_of_its_request() -> None:
    """Query, body and number are there for it."""

    def answer(request: Request) -> Answer:
        return json_answer({"query": request.query, "body": request.json, "number": request.number})

    with BadExchange({"/a": answer}) as exchange, httpx.Client(base_url=exchange.url) as client:
        found = client.post("/a?x=1", json=[True]).json()
    assert found == {"query": {"x": "1"}, "body": [True], "number": 1}
    assert exchange.requests[0].method == "POST"


def test_bodies_break_off_and_connections_break() -> None:
    """A cut body is shorter than announced; a reset connection says nothing."""
    script = {"/cut": Answer(b"0123456789", cut=4), "/reset": Answer(reset=True)}
    with BadExchange(script) as exchange, httpx.Client(base_url=exchange.url) as client:
        for path in ("/cut", "/reset"):
            with pytest.raises(httpx.RemoteProtocolError):
                client.get(path)


def test_it_ends_with_answers_outstanding_and_connections_open() -> None:
    """A long delay does not outlive it, and it serves clients of an event loop in the same process."""

    async def ask(url: str) -> None:
        async with httpx.AsyncClient(base_url=url) as client:
            assert (await client.get("/a")).status_code == 200
            with pytest.raises(httpx.ReadTimeout):
                await client.get("/slow", timeout=0.05)

    with BadExchange({"/slow": Answer(delay_s=3600.0), "/a": Answer(b"{}")}) as exchange:
        asyncio.run(ask(exchange.url))

"""What browsers call themselves becomes words; what nobody knows stays unknown, and nothing takes long."""

from __future__ import annotations

import time

import pytest

from proxy.web.user_agents import MAX_LENGTH, Words, words_of

SAFARI = "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0", Words("Firefox 127", "Linux")),
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME}", Words("Chrome 126", "Windows")),
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME} Edg/126.0.0.0", Words("Edge 126", "Windows")),
        (f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {CHROME}", Words("Chrome 126", "macOS")),
        (
            f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) {SAFARI}",
            Words("Mobile Safari 17", "iOS"),
        ),
        ("curl/8.1", Words("curl 8", None)),
        ("nobody knows this", Words(None, None)),
        ("", Words(None, None)),
    ],
)
async def test_a_browser_is_told_in_words(text: str, words: Words) -> None:
    assert await words_of([text, text]) == {text: words}


async def test_hostile_text_is_read_to_a_bound_and_soon() -> None:
    hostile = [
        (piece * 100_000)[:100_000] for piece in ("(", "1.", " ", "Mozilla/5.0 (", "a" * 50 + " ", "\ud800", "\0")
    ]
    await words_of(["x"])
    began = time.perf_counter()

    found = await words_of(hostile)

    assert len(found) == len(hostile)
    # Some milliseconds each; without the bound the worst of them takes minutes.
    assert time.perf_counter() - began < 5
    assert MAX_LENGTH == 256

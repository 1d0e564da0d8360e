"""Text of a manifest or an upload stays text in the dashboard's Markdown."""

import pytest

from tasks.markdown import plain


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("photo-1 (2).jpg", "`photo-1 (2).jpg`"),
        ("![x](http://a.b/c.png)", "`![x](http://a.b/c.png)`"),
        ("<img src=x onerror=alert(1)>", "`<img src=x onerror=alert(1)>`"),
        ("a|b", r"`a\u007cb`"),
        ("`![x](y)`", "`` `![x](y)` ``"),
        ("a``` ` b", "```` a``` ` b ````"),
        ("one\n# two\r\n| three", r"`one # two \u007c three`"),
        ("a\u202egpj.exe", r"`a\u202egpj.exe`"),
        (" \n ", ""),
    ],
)
def test_what_markdown_would_act_on_is_shown_as_it_is(text: str, expected: str) -> None:
    assert plain(text) == expected


def test_it_is_short() -> None:
    assert len(plain("x" * 10_000)) == 402

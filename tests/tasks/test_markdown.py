"""Text of a manifest or an upload stays text in the dashboard's Markdown."""

import pytest

from tasks.markdown import plain


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("photo-1 (2).jpg", r"photo-1 (2)\.jpg"),
        ("![x](http://a.b/c.png)", r"!\[x\](http\://a\.b/c\.png)"),
        ("[x](javascript:alert(1))", r"\[x\](javascript\:alert(1))"),
        ("<img src=x onerror=alert(1)>", r"\<img src=x onerror=alert(1)\>"),
        ("a|b", r"a\|b"),
        ("`code`", r"\`code\`"),
        ("www.a.b", r"www\.a\.b"),
        ("a@b.c", r"a\@b\.c"),
        ("&lt;b&gt;", r"\&lt;b\&gt;"),
        ("back\\slash", r"back\\slash"),
        ("one\n# two\r\n| three", r"one # two \| three"),
        ("a\u202egpj.exe", r"a\\u202egpj\.exe"),
    ],
)
def test_what_markdown_would_act_on_is_shown_as_it_is(text: str, expected: str) -> None:
    assert plain(text) == expected


def test_it_is_short() -> None:
    assert len(plain("x" * 10_000)) == 400

"""Scores come back from their file as they were, and every measure says what it is."""

from dataclasses import fields, replace

import pyarrow as pa

from stylecore.batch.outcome import Outcome
from stylecore.batch.parquet import decode_table, encode_table
from stylecore.batch.scores import (
    MEASURES,
    SCORE_SCHEMA,
    ScoreLine,
    decode_scores,
    encode_scores,
)


def test_lines_come_back_as_they_were():
    lines = [
        ScoreLine("0", "/in/a.jpg", "wave", "/out/a.jpg", "5ha", 1, 2, 3, 0.4, 0.5, 6, 0.7, 0.8),
        ScoreLine("1", "/in/b.jpg", "wave", "/out/b.jpg", error_code="missing"),
    ]
    assert list(decode_scores(encode_scores(lines))) == lines
    assert list(decode_scores(encode_scores([]))) == []


def test_a_file_of_another_version_gives_the_measures_that_it_has():
    line = ScoreLine("0", "/in/a.jpg", "wave", "/out/a.jpg", fdrl=0.5, swdl=0.25)
    table = decode_table(encode_scores([line])).drop_columns("swdl")
    other = encode_table(table.append_column("newer", pa.array([1.0])))
    assert list(decode_scores(other)) == [replace(line, swdl=None)]


def test_columns_are_the_fields_of_a_line_and_measures_are_called_as_in_the_results():
    assert SCORE_SCHEMA.names == [field.name for field in fields(ScoreLine)]
    known = {field.name for field in fields(Outcome)}
    assert set(MEASURES) - known <= {"fdrl", "swdl"}

import pytest
from pydantic import ValidationError

from stylecore.training.request import TrainRefinerJob


def test_training_needs_photographs_or_a_run():
    with pytest.raises(ValidationError, match=r"--content.*--pictures"):
        TrainRefinerJob(styles=("a.jpg",), output_uri="out")


@pytest.mark.parametrize("source", ["content_uri", "pictures_uri"])
def test_either_is_enough(source):
    job = TrainRefinerJob.model_validate({"styles": ["a.jpg"], "output_uri": "out", source: "in"})
    assert getattr(job, source) == "in"


def test_training_needs_a_painting():
    with pytest.raises(ValidationError, match="styles"):
        TrainRefinerJob(styles=(), output_uri="out", content_uri="in")

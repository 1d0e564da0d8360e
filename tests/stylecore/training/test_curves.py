import pytest

from stylecore.training.curves import Curves


def test_short_training_keeps_every_step():
    curves = Curves()
    for step in range(1, 4):
        curves = curves.add(step, 3, {"loss": float(step)})
    assert [(point.step, point.values["loss"]) for point in curves.points] == [
        (1, 1.0),
        (2, 2.0),
        (3, 3.0),
    ]


def test_long_training_keeps_means_and_its_last_step():
    curves = Curves()
    for step in range(1, 1004):
        curves = curves.add(step, 1003, {"loss": float(step)})
    assert len(curves.points) == 502
    assert curves.points[1].values["loss"] == pytest.approx(3.5)
    assert curves.points[-1].step == 1003


def test_loss_that_is_not_in_every_step_is_averaged_over_those_that_have_it():
    curves = Curves()
    for step in range(1, 1001):
        losses = {"always": 2.0} | ({"seldom": 8.0} if step % 2 == 0 else {})
        curves = curves.add(step, 1000, losses)
    assert curves.points[0].values == {"always": 2.0, "seldom": 8.0}


def test_unfinished_point_survives_json():
    curves = Curves().add(1, 10_000, {"loss": 0.1})
    assert not curves.points
    assert Curves.model_validate_json(curves.model_dump_json()) == curves

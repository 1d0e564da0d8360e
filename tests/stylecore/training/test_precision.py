"""Half precision only where there are units for it."""

import pytest
import torch

from stylecore.training.precision import fastest_precision


@pytest.mark.parametrize(
    ("has_units", "precision"), [(True, torch.bfloat16), (False, torch.float32)]
)
def test_a_cpu_takes_bfloat16_only_with_units_for_it(monkeypatch, has_units, precision):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: has_units)
    assert fastest_precision(torch.device("cpu")) == precision


@pytest.mark.parametrize(
    ("has_units", "precision"), [(True, torch.bfloat16), (False, torch.float32)]
)
def test_a_gpu_takes_bfloat16_only_where_it_is_not_emulated(monkeypatch, has_units, precision):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *, including_emulation: has_units)
    assert fastest_precision(torch.device("cuda")) == precision

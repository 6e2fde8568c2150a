"""The model on paper: laws that hold by its formulas, and how far it is from what was measured."""

import pytest

from bouba.bench.scaling import AHEAD, H100, PASSES, Machine, Step, gpu, tables


@pytest.mark.parametrize("kind", H100)
def test_large_batches_on_one_gpu_cost_what_was_measured(kind):
    for batch in (16_384, 32_768, 65_536):
        modelled = 1000 * Step(batch, logit_bytes=PASSES[kind]).contrast(gpu(kind))
        assert modelled == pytest.approx(H100[kind][batch], rel=0.15)


def test_the_contrast_grows_with_the_square_of_the_batch_and_is_shared_by_devices():
    machine, step = Machine(products=1e12, memory=1e11), Step(1000, logit_bytes=40)
    assert Step(2000, logit_bytes=40).contrast(machine) == pytest.approx(4 * step.contrast(machine))
    assert Step(1000, devices=8, logit_bytes=40).contrast(machine) == pytest.approx(step.contrast(machine) / 8)


def test_one_device_sends_nothing_and_gradients_hide_behind_the_towers():
    machine = Machine(products=1e12, link=1e9)
    assert Step(1000, parameters=1e6).gather(machine) == 0
    step = Step(1000, devices=2, rows_a_second=1000, parameters=1e6)
    assert step.gradients(machine) == pytest.approx(0.004)
    assert step.seconds(machine) == pytest.approx(step.contrast(machine) + step.gather(machine) + step.towers())


def test_parameters_embeddings_and_one_tile_are_in_memory():
    assert Step(100, dim=8, parameters=10).memory(tile=(4, 5)) == 160 + 2 * 100 * 8 * 14 + 6 * 20


def test_tables_tell_where_the_model_was_calibrated():
    figures = {"products": 1e11, "info_nce": {"1024": 0.05, "4096": 0.8}, "cca": {"10": 1.0, "20": 1.5, "40": 2.75}}
    checked, step, rows = tables(figures).values()
    last = checked.lines[-1]
    assert last == ["CCA, one CPU thread", "40", "CPU-s", "2.75", "2.5", "0.91"]
    assert checked.lines[-2][-1] == "1.00*"
    assert len(step.lines) == len(AHEAD)
    assert rows.lines[0][3] == "14 h"  # 0.05 s a row

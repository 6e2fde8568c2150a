"""Cells prepared by other processes: the same as in this one, lost alike, refused in one line, and none left behind."""

import os
import time

import numpy as np
import pytest
import torch
from PIL import Image

from bouba import MLP, ConvNet, Views
from bouba.data import workers
from bouba.data.batches import Batches, ahead
from bouba.data.loader import Codes, Rows
from bouba.errors import DataError
from bouba.learner import Learner
from bouba.terms import InfoNCE
from bouba.towers import NGrams
from bouba.towers.frozen import Frozen

CPU = torch.device("cpu")
STRETCHES = [[5, 3, 17, 1], [0, 2, 3], [4, 6, 7, 8, 9, 10, 11], [12, 13, 14, 15, 16, 18, 19]]


@pytest.fixture
def pictures(tmp_path):
    """Twenty pictures, of which two have a header in order and no more; texts of which one is missing."""
    random, paths = np.random.default_rng(0), []
    for number in range(20):
        paths.append(str(tmp_path / f"{number}.png"))
        Image.fromarray(random.integers(0, 255, (20, 30, 3), np.uint8)).save(paths[-1])
    for broken in (3, 17):
        content = (tmp_path / f"{broken}.png").read_bytes()
        (tmp_path / f"{broken}.png").write_bytes(content[: len(content) // 2])
    texts = [None if number == 2 else "word " * (1 + number) for number in range(20)]
    return lambda: Views({"photo": paths, "text": texts}, kinds={"photo": "image", "text": "text"})


def encoders():
    return {"photo": ConvNet(size=8, channels=2).build({}), "text": NGrams(buckets=50, width=4).build({})}


def epochs(views, count, number=2):
    rows = Rows(views, encoders(), Codes(), memory=0)
    with Batches(rows, STRETCHES, CPU, workers=count) as batches:
        return [batch for _ in range(number) for batch in batches]


def assert_same(one, other):
    assert torch.equal(one.rows, other.rows)
    for name in one.inputs:
        assert torch.equal(one.present[name], other.present[name]), name
        for part, tensor in one.inputs[name].items():
            assert torch.equal(tensor, other.inputs[name][part]), (name, part)


def test_batches_and_broken_cells_are_those_of_one_process(pictures, caplog):
    alone, together = pictures(), pictures()
    for one, other in zip(epochs(alone, 0), epochs(together, 2), strict=True):
        assert_same(one, other)
    assert np.flatnonzero(~together["photo"].present).tolist() == [3, 17]
    assert [(bad["row"], bad["reason"]) for bad in together.bad_rows] == [
        (bad["row"], bad["reason"]) for bad in alone.bad_rows
    ]
    assert len(caplog.records) == 4, "each process that was asked says it once, and only the first one speaks"


def test_threads_stand_in_where_processes_cannot_be_forked(pictures, monkeypatch):
    monkeypatch.setattr(workers.sys, "platform", "darwin")
    for one, other in zip(epochs(pictures(), 0), epochs(pictures(), 2), strict=True):
        assert_same(one, other)


def test_a_killed_worker_costs_its_time_and_nothing_else(pictures, caplog):
    rows, expected = Rows(pictures(), encoders(), Codes(), memory=0), epochs(pictures(), 0, number=1)
    sample = {name: rows.prepare(name, torch.arange(4))[0] for name in rows.encoders}
    pool = workers.Workers(rows, list(rows.encoders), 2, sample)
    prepared = pool.prepared(torch.tensor(numbers) for numbers in STRETCHES * 10)
    got = [next(prepared)]
    for process in list(pool._executor._processes.values()):
        process.kill()
    got += list(prepared)
    assert len(got) == 40
    for number, (numbers, inputs) in enumerate(got):
        assert numbers.tolist() == STRETCHES[number % 4]
        for name, of in inputs.items():
            assert all(torch.equal(tensor, expected[number % 4].inputs[name][part]) for part, tensor in of.items())
    assert sum("was killed" in record.getMessage() for record in caplog.records) >= 1
    pool.close()


def test_what_has_no_room_in_shared_memory_travels(pictures):
    rows = Rows(pictures(), encoders(), Codes(), memory=0)
    pool = workers.Workers(rows, ["photo"], 2, {"photo": {"pixels": torch.zeros(1)}})
    many = torch.arange(20).repeat(40)
    [(_, prepared)] = pool.prepared([many])
    pool.close()
    assert prepared["photo"]["pixels"].nbytes > len(pool._slots[0])
    assert torch.equal(prepared["photo"]["pixels"], rows.prepare("photo", many)[0]["pixels"])


def test_a_fault_in_a_worker_is_the_same_line(tmp_path):
    paths = []
    for number in range(40):
        paths.append(str(tmp_path / f"{number}.png"))
        Image.new("RGB", (8, 8)).save(paths[-1])
    rows = Rows(Views({"photo": paths}, kinds={"photo": "image"}), {"photo": encoders()["photo"]}, Codes(), memory=0)
    with Batches(rows, np.array_split(np.arange(40), 4), CPU, workers=2) as batches:
        iterator = iter(batches)
        next(iterator)
        for path in paths:
            os.unlink(path)
        with pytest.raises(DataError, match=r"^photo: none of 10 cells can be read, the first: ") as raised:
            list(iterator)
    assert "\n" not in str(raised.value)


def test_no_process_is_left(pictures):
    rows = Rows(pictures(), encoders(), Codes(), memory=0)
    with Batches(rows, STRETCHES, CPU, workers=2) as batches:
        iterator = iter(batches)
        next(iterator), next(iterator)
        processes = list(batches._workers._executor._processes.values())
        assert len(processes) == 2
    assert not any(process.is_alive() for process in processes)


def test_training_is_the_same_to_the_bit_whoever_prepares(pictures, monkeypatch):
    """Also the draws of augmentation: nothing is drawn in preparing."""

    def fit():
        towers = {"photo": ConvNet(size=8, channels=2), "text": NGrams(buckets=50, width=4)}
        return Learner(towers, InfoNCE(), epochs=2, dim=4, batch_size=6).fit(pictures()).module_.state_dict()

    def kept(memory):
        monkeypatch.setattr(Rows.__init__, "__kwdefaults__", {"memory": memory})
        return fit()

    alone = {memory: kept(memory) for memory in (2 << 30, 0)}  # texts are padded to the longest of what is prepared
    started = []
    monkeypatch.setattr(workers, "WORTH", -1.0)
    monkeypatch.setattr("bouba.data.batches.WORTH", -1.0)
    monkeypatch.setattr(workers, "core_count", lambda: 2)
    monkeypatch.setattr("bouba.data.loader.CHUNK", 4)
    real = workers.Workers.__init__
    monkeypatch.setattr(workers.Workers, "__init__", lambda self, *a: (started.append(a[1]), real(self, *a))[1])
    for memory, weights in alone.items():
        together = kept(memory)
        assert all(torch.equal(value, together[name]) for name, value in weights.items())
    assert ["photo"] in started, "prepared beforehand"
    assert ["photo", "text"] in started, "prepared batch by batch"


def test_networks_stay_in_their_process():
    frozen = Frozen(MLP().build({"mean": [0.0] * 3, "scale": [1.0] * 3}), "vector", {})
    assert not frozen.prepares_apart
    assert encoders()["photo"].prepares_apart


def test_no_workers_on_one_core_or_in_a_process_that_may_have_none(monkeypatch):
    monkeypatch.setattr(workers, "core_count", lambda: 1)
    assert workers.worker_count() == 0
    monkeypatch.setattr(workers, "core_count", lambda: 64)
    assert workers.worker_count() == workers.MOST
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1000")
    monkeypatch.undo()
    assert workers.core_count() >= 1


def test_a_thread_makes_the_next_values_and_ends():
    made = []

    def values():
        for number in range(6):
            made.append(number)
            yield number

    taken = ahead(values())
    assert next(taken) == 0
    for _ in range(100):
        if len(made) >= 3:
            break
        time.sleep(0.01)
    assert 3 <= len(made) <= 4, "not without end"
    assert list(taken) == [1, 2, 3, 4, 5]

    def fails():
        yield 1
        raise DataError("no more")

    with pytest.raises(DataError, match="no more"):
        list(ahead(fails()))
    half = ahead(values())
    next(half)
    half.close()

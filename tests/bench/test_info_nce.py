"""The bench measures what it says, in small."""

import torch

from bouba.bench import info_nce as bench
from bouba.bench.fresh import peak_mb


def test_memory_of_a_fresh_process_grows_with_what_it_holds():
    size = {"dim": 64, "threads": 1}
    small = peak_mb("bouba.bench.info_nce:hold", variant=None, batch=64, **size)
    naive = peak_mb("bouba.bench.info_nce:hold", variant="naive", batch=3000, **size)
    assert naive - small > 3 * 4 * 3000**2 / 2**20  # logits, their softmax and gradient: three matrices or more


def test_command_writes_every_variant(kept_by):
    threads = torch.get_num_threads()
    figures = kept_by(bench, "--batch", 64, "--dim", 8, "--repeats", 1).measured
    torch.set_num_threads(threads)
    assert set(figures["variants"]) == set(bench.VARIANTS)
    assert figures["variants"]["naive"]["ratio_to_naive"] == 1
    assert figures["variants"]["naive"]["solved_cpu_s"] is None
    assert bench.tables(figures)["variants"].lines[0][4:] == ["-", "-"]

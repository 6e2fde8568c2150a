"""One writer a run folder: the second is told who the first is; what a dead one left stands in nobody's way."""

import json
import os
import re
import subprocess
import sys
import threading

import pytest

from bouba.errors import DataError, UsageError
from bouba.runs import lock
from bouba.runs.ending import refuse_unfinished
from bouba.runs.lock import holder, lock_file, locked

HOLDING = """
import sys, time
from pathlib import Path
from bouba.runs.lock import locked
with locked(Path(sys.argv[1]), print):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def out(tmp_path):
    return tmp_path / "run"


def silent(line):
    raise AssertionError(line)


def test_the_second_writer_reads_who_the_first_is(out):
    with locked(out, silent):
        who = rf"process {os.getpid()} on \S+ since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d"
        assert re.fullmatch(who, holder(out))
        with pytest.raises(UsageError, match=rf"run is being written by {who}; wait until it is done, or choose"):
            locked(out, silent).__enter__()
        with pytest.raises(DataError, match=f"is not there yet: it is being written by {who}"):
            refuse_unfinished(out)
    assert holder(out) is None
    assert not list(out.parent.iterdir())


def test_of_two_threads_one_writes(out):
    ends = []
    start = threading.Barrier(4)
    done = threading.Event()

    def write():
        start.wait()
        try:
            with locked(out, silent):
                ends.append("wrote")
                done.wait(5)
        except UsageError:
            ends.append("refused")
            if len(ends) == 4:
                done.set()

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ends) == ["refused", "refused", "refused", "wrote"]


def test_a_killed_process_holds_nothing(out):
    with subprocess.Popen([sys.executable, "-c", HOLDING, str(out)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        assert f"process {process.pid} on" in holder(out)
        with pytest.raises(UsageError, match=f"process {process.pid} on"):
            locked(out, silent).__enter__()
        process.kill()
    assert lock_file(out).exists()
    assert holder(out) is None
    with locked(out, silent):
        assert f"process {os.getpid()} on" in holder(out)
    assert not lock_file(out).exists()


@pytest.mark.parametrize("content", ["", "no JSON", "[]", '{"process": 1}'])
def test_what_a_lock_file_holds_does_not_matter(out, content):
    lock_file(out).write_text(content)
    with locked(out, silent):
        assert json.loads(lock_file(out).read_text())["process"] == os.getpid()


def test_where_files_cannot_be_locked_a_living_process_is_refused_and_others_are_warned(out, monkeypatch):
    monkeypatch.setattr(lock, "_lock", lambda handle, **kind: False)
    lines = []
    record = {"host": lock.socket.gethostname(), "since": "today"}
    lock_file(out).write_text(json.dumps(record | {"process": os.getppid()}))
    with pytest.raises(UsageError, match=f"written by process {os.getppid()} on"):
        locked(out, lines.append).__enter__()
    lock_file(out).write_text(json.dumps(record | {"process": 2**22 + 1}))
    with locked(out, lines.append):
        pass
    assert len(lines) == 1
    assert "on a file system without locks: start no second fit of run meanwhile" in lines[0]

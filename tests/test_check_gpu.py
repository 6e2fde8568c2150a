"""scripts/check_gpu.sh tells what failed and still runs the rest."""

import json

from scripts import check_gpu


def test_what_fails_is_told_and_the_rest_runs(tmp_path, monkeypatch):
    def fails(name, *options):
        raise RuntimeError(f"no {name}")

    monkeypatch.setattr(check_gpu, "_tests", lambda paths: {"passed": 1})
    monkeypatch.setattr(check_gpu, "_bench", fails)
    monkeypatch.setattr(check_gpu, "_round_trip", lambda device: {"largest_difference": 0.0})
    out = tmp_path / "gpu.json"
    assert check_gpu.main([str(out), "--device", "cpu"]) == 1
    report = json.loads(out.read_text())
    assert report["throughput"]["failed"] == "RuntimeError: no throughput"
    assert report["round trip"]["largest_difference"] == 0.0
    assert report["device"] == "cpu"


def test_a_model_is_the_same_on_the_device_that_made_it():
    assert check_gpu._round_trip("cpu") == {"largest_difference": 0.0, "tolerance": 0.0}


def test_no_test_is_no_success(tmp_path, monkeypatch):
    def writes_nothing(command, seconds, *, passes):
        file = next(word.partition("=")[2] for word in command if word.startswith("--junitxml"))
        with open(file, "w") as xml:
            xml.write("<testsuites><testsuite/></testsuites>")

    monkeypatch.setattr(check_gpu, "_run", writes_nothing)
    assert check_gpu._tests(())["failed"] == "0 tests are wrong, 0 passed"

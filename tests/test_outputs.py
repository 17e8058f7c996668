import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from segmix import outputs
from segmix.errors import OptionError, OutputError
from segmix.outputs import staged_file, staged_folder
from segmix.targets import check_file, check_place, check_target

RESULT = '{"versions": {"segmix": "0.1.0"}, "files": ["chapter.txt", "old.png"]}'


def earlier_result(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "summary.json").write_text(RESULT)
    (folder / "old.png").write_bytes(b"old")
    return folder


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def test_a_folder_appears_whole(tmp_path):
    target = tmp_path / "deep" / "result"
    with staged_folder(target) as temporary:
        (temporary / "labels.png").write_bytes(b"labels")
        assert not target.exists()
        assert temporary.parent == target.parent
        assert names(target.parent) == [temporary.name]
        assert temporary.name.startswith(".result.segmix-")
        assert temporary.name.endswith(".tmp")
    assert names(target.parent) == ["result"]
    assert (target / "labels.png").read_bytes() == b"labels"


def test_a_folder_and_a_file_get_the_usual_permissions(tmp_path):
    with staged_folder(tmp_path / "result"), staged_file(tmp_path / "file"):
        pass
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain.txt").touch()
    assert (tmp_path / "result").stat().st_mode == (tmp_path / "plain").stat().st_mode
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "plain.txt").stat().st_mode


@pytest.mark.parametrize("stop", [ZeroDivisionError, KeyboardInterrupt, GeneratorExit])
@pytest.mark.parametrize("staged", [staged_folder, staged_file])
def test_whatever_stops_the_work_leaves_nothing(tmp_path, staged, stop):
    def work():
        with staged(tmp_path / "made" / "for" / "result") as temporary:
            if temporary.is_dir():
                (temporary / "half.png").write_bytes(b"half")
            raise stop

    with pytest.raises(stop):
        work()
    assert names(tmp_path) == []


def test_a_second_interruption_does_not_stop_the_removal(tmp_path, monkeypatch):
    remove = shutil.rmtree
    interruptions = iter([KeyboardInterrupt])

    def interrupted(path, **options):
        for interruption in interruptions:
            raise interruption
        remove(path, **options)

    def work():
        with staged_folder(tmp_path / "result"):
            raise ValueError

    monkeypatch.setattr(shutil, "rmtree", interrupted)
    with pytest.raises(KeyboardInterrupt):
        work()
    assert names(tmp_path) == []


def test_an_earlier_result_is_kept_unless_overwritten(tmp_path):
    target = earlier_result(tmp_path / "result")
    with pytest.raises(OutputError, match=r"result: exists already; .*--overwrite"), staged_folder(target):
        pytest.fail("the work began")
    assert names(target) == ["old.png", "summary.json"]
    with staged_folder(target, overwrite=True) as temporary:
        (temporary / "new.png").write_bytes(b"new")
        assert names(target) == ["old.png", "summary.json"]
    assert names(target) == ["new.png"]
    assert names(tmp_path) == ["result"]


def test_an_earlier_result_survives_failed_work(tmp_path):
    target = earlier_result(tmp_path / "result")

    def work():
        with staged_folder(target, overwrite=True):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert names(target) == ["old.png", "summary.json"]
    assert names(tmp_path) == ["result"]


@pytest.mark.parametrize("failing_call", [1, 2])
def test_an_earlier_result_survives_a_failed_swap(tmp_path, monkeypatch, failing_call):
    target = earlier_result(tmp_path / "result")
    rename, calls = os.rename, []

    def failing(source, destination):
        calls.append(source)
        if len(calls) == failing_call:
            raise PermissionError(errno.EPERM, "Operation not permitted")
        rename(source, destination)

    monkeypatch.setattr(os, "rename", failing)
    refusal = pytest.raises(OutputError, match=r"result: can't be written \(Operation not permitted\)")
    with refusal, staged_folder(target, overwrite=True):
        pass
    assert names(target) == ["old.png", "summary.json"]
    assert names(tmp_path) == ["result"]


@pytest.mark.parametrize("text", [None, "not JSON", "[]", '{"task": "segmix"}', '{"versions": 1}'])
def test_a_folder_that_segmix_did_not_write_is_never_replaced(tmp_path, text):
    target = tmp_path / "thesis"
    target.mkdir()
    (target / "chapter.txt").write_text("years of work")
    if text is not None:
        (target / "summary.json").write_text(text)
    with pytest.raises(OutputError, match="segmix did not write it"):
        check_target(target, overwrite=True)
    (target / "summary.json").write_text(RESULT)
    check_target(target, overwrite=True)


def test_a_file_that_somebody_added_to_a_result_is_never_deleted(tmp_path):
    target = earlier_result(tmp_path / "result")
    check_target(target, overwrite=True)
    (target / "my notes.txt").write_text("years of work")
    with pytest.raises(OutputError, match=r"result: holds my notes\.txt, which segmix did not write"):
        check_target(target, overwrite=True)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_that_comes_up_at_the_last_moment_stays(tmp_path, monkeypatch, overwrite):
    target = tmp_path / "result"
    if overwrite:
        earlier_result(target)
    check, calls = outputs.check_target, []

    def check_and_meddle(*arguments, **options):
        check(*arguments, **options)
        calls.append(arguments)
        if len(calls) == 2:
            target.mkdir(exist_ok=True)
            (target / "precious").touch()

    monkeypatch.setattr(outputs, "check_target", check_and_meddle)
    with (
        pytest.raises(OutputError, match="result: "),
        staged_folder(target, overwrite=overwrite) as temporary,
    ):
        (temporary / "labels.png").touch()
    assert "precious" in names(target)
    assert names(tmp_path) == ["result"]


def test_a_pipe_that_comes_up_at_the_last_moment_stays(tmp_path):
    target = tmp_path / "a.png"
    with pytest.raises(OutputError, match="is a pipe, not a file"), staged_file(target, overwrite=True):
        os.mkfifo(target)
    assert names(tmp_path) == ["a.png"]


@pytest.mark.parametrize("target", [None, 5, b"x"])
def test_a_target_that_is_no_path(target):
    with pytest.raises(OptionError, match="target must be a path, got"):
        check_target(target)


def test_an_empty_folder_may_be_overwritten(tmp_path):
    check_target(tmp_path, overwrite=True)
    with pytest.raises(OutputError, match="exists already"):
        check_target(tmp_path)


def test_the_input_is_never_deleted(tmp_path):
    target = earlier_result(tmp_path / "result")
    link = tmp_path / "link"
    link.symlink_to(target)
    for kept in (target / "old.png", link / "old.png"):
        with pytest.raises(OutputError, match=r"holds .*old\.png, which replacing it would delete"):
            check_target(target, overwrite=True, keep=[kept])
    check_target(target, overwrite=True, keep=[tmp_path / "result2.png", tmp_path / "missing"])


def make_link(path):
    path.symlink_to(path.parent)


@pytest.mark.parametrize(
    ("make", "kind"), [(Path.touch, "a file"), (make_link, "a link"), (os.mkfifo, "a pipe")]
)
def test_what_is_no_folder_is_refused(tmp_path, make, kind):
    make(tmp_path / "target")
    with pytest.raises(OutputError, match=f"is {kind}, not a folder"):
        check_target(tmp_path / "target", overwrite=True)


@pytest.mark.parametrize(
    ("make", "kind"), [(Path.mkdir, "a folder"), (make_link, "a link"), (os.mkfifo, "a pipe")]
)
def test_what_is_no_file_is_refused(tmp_path, make, kind):
    make(tmp_path / "target")
    with pytest.raises(OutputError, match=f"is {kind}, not a file"):
        check_file(tmp_path / "target", overwrite=True)


def test_a_device_is_refused():
    with pytest.raises(OutputError, match="/dev/null: is a device, not a file"):
        check_file("/dev/null", overwrite=True)


@pytest.mark.parametrize("check", [check_target, check_file])
def test_a_way_through_a_file_is_refused(tmp_path, check):
    (tmp_path / "file").touch()
    for target in (tmp_path / "file" / "result", tmp_path / "file" / "deep" / "result"):
        with pytest.raises(OutputError, match=r"file is not a folder; choose another place"):
            check(target)


@pytest.mark.parametrize("check", [check_target, check_file])
@pytest.mark.parametrize("target", ["", ".", "..", "somewhere/..", "/"])
def test_a_target_needs_a_name(check, target):
    with pytest.raises(OutputError, match="has no name of its own"):
        check(target)


def test_a_place_that_cannot_be_written_to_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    for check in (check_target, check_file, check_place):
        with pytest.raises(OutputError, match="can't be written to; choose another place"):
            check(tmp_path / "new" / "result")


@pytest.mark.parametrize(
    "name", ["x" * 255, "\N{GREEK SMALL LETTER BETA}" * 120, "caf\udce9", "new\nline", "%s [1]"]
)
def test_any_name_that_the_system_allows(tmp_path, name):
    with staged_folder(tmp_path / name) as temporary:
        assert temporary.is_dir()
    assert names(tmp_path) == [name]


def test_a_name_too_long_for_the_system(tmp_path):
    with pytest.raises(OutputError, match="File name too long"):
        check_target(tmp_path / ("x" * 256))


@pytest.mark.parametrize("staged", [staged_folder, staged_file])
def test_a_full_disk_leaves_nothing(tmp_path, staged):
    def work():
        with staged(tmp_path / "result"):
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OutputError, match=r"result: can't be written \(No space left on device\); make room"):
        work()
    assert names(tmp_path) == []


def test_messages_name_the_target_not_the_temporary(tmp_path):
    def work():
        with staged_folder(tmp_path / "result") as temporary:
            raise OutputError(f"{temporary}/labels.png: can't be written")

    with pytest.raises(OutputError, match="^" + str(tmp_path / "result" / "labels.png")):
        work()


def test_everything_reaches_the_disk_before_the_target_appears(tmp_path, monkeypatch):
    target, synced = tmp_path / "result", []

    def fsync(descriptor):
        synced.append((os.fstat(descriptor).st_ino, target.exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    with staged_folder(target) as temporary:
        (temporary / "maps").mkdir()
        for name in ("a", "maps/b"):
            (temporary / name).write_text(name)
    inside = {path.stat().st_ino for path in (target, *target.rglob("*"))}
    assert {number for number, visible in synced if not visible} == inside
    assert synced[-1] == (tmp_path.stat().st_ino, True)


def test_a_file_appears_whole(tmp_path):
    target = tmp_path / "deep" / "phantom.png"
    with staged_file(target) as temporary:
        temporary.write_bytes(b"picture")
        assert not target.exists()
    assert target.read_bytes() == b"picture"
    assert names(target.parent) == ["phantom.png"]
    with pytest.raises(OutputError, match="exists already"), staged_file(target):
        pytest.fail("the work began")
    with staged_file(target, overwrite=True) as temporary:
        temporary.write_bytes(b"another")
    assert target.read_bytes() == b"another"


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_comes_up_meanwhile_is_kept(tmp_path, monkeypatch, links):
    target = tmp_path / "phantom.png"
    if not links:
        monkeypatch.setattr(outputs.os, "link", no_links)

    def work():
        with staged_file(target) as temporary:
            temporary.write_bytes(b"ours")
            target.write_bytes(b"theirs")

    with pytest.raises(OutputError, match=r"phantom\.png: (can't be written \(File exists\)|exists already)"):
        work()
    assert target.read_bytes() == b"theirs"
    assert names(tmp_path) == ["phantom.png"]


def test_a_file_on_a_system_without_hard_links(tmp_path, monkeypatch):
    monkeypatch.setattr(outputs.os, "link", no_links)
    with staged_file(tmp_path / "phantom.png") as temporary:
        temporary.write_bytes(b"ours")
    assert (tmp_path / "phantom.png").read_bytes() == b"ours"
    assert names(tmp_path) == ["phantom.png"]


def no_links(source, destination):
    raise OSError(errno.EOPNOTSUPP, "Operation not supported")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a limit on the size of files")
def test_a_disk_that_fills_while_an_array_is_written_is_told(tmp_path):
    """NumPy says how much it wrote, and not why it was no more."""
    script = """
import resource, signal, sys
import numpy as np
from pathlib import Path
from segmix.errors import OutputError
from segmix.imaging.files import write_tiff
from segmix.outputs import staged_folder

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
try:
    with staged_folder("out") as folder:
        write_tiff(folder / "probabilities.tif", np.zeros((2, 256, 256), np.float32), axes="CYX")
except OutputError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == (
        "out: can't be written (only a part went onto the disk, which is full, or a limit was reached); "
        "make room on the disk\n"
    )
    assert names(tmp_path) == []

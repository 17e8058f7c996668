"""Reading prints nothing, hides no error behind that, and leaves the process as it was."""

import io
import logging
import os
import re
import subprocess
import sys
import warnings

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from segmix.errors import InputError
from segmix.imaging.files import read_image
from segmix.imaging.guard import overheard


@pytest.fixture
def gray():
    return np.random.default_rng(23).integers(0, 256, (37, 45), dtype=np.uint8)


def test_damage_that_libtiff_only_mentions_is_an_error(tmp_path, gray, capfd):
    """Control: Pillow returns a picture."""
    path = tmp_path / "fax.tif"
    Pillow.fromarray(gray > 99).save(path, compression="group4")
    with tifffile.TiffFile(path) as file:
        start = file.pages[0].dataoffsets[0]
    data = bytearray(path.read_bytes())
    data[start + 20 : start + 24] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    with Pillow.open(path) as picture:
        assert np.asarray(picture).shape == gray.shape
    assert "Fax4Decode: " in capfd.readouterr().err
    with pytest.raises(
        InputError, match=r"CCITT\w+ compression, 1 bits, 1 channels .*\(Fax4Decode: .*\); pip"
    ):
        read_image(path)
    assert capfd.readouterr() == ("", "")


def test_what_others_print_meanwhile_is_not_lost(capfd):
    with overheard(re.compile("lib: ")) as said:
        os.write(2, b"lib: broken\nprogress\n")
    assert said == ["lib: broken"]
    assert capfd.readouterr().err == "progress\n"


@pytest.fixture
def damaged(tmp_path, gray):
    """Paths of TIFF, PNG and JPEG files that are cut off or overwritten here and there."""
    paths = []
    for kind, options in (("TIFF", {"compression": "tiff_lzw"}), ("TIFF", {}), ("PNG", {}), ("JPEG", {})):
        whole = io.BytesIO()
        Pillow.fromarray(gray).save(whole, kind, **options)
        for start in range(8, 400, 46):
            data = bytearray(whole.getvalue())
            data[start : start + 8] = range(200, 208)
            for content in (data, data[: -2 * start], whole.getvalue()[:-start]):
                paths.append(tmp_path / str(len(paths)))
                paths[-1].write_bytes(content)
    return paths


def test_warnings_and_logs_of_readers_are_kept_back_and_settings_restored(damaged, caplog, capfd):
    settings = (list(warnings.filters), Pillow.MAX_IMAGE_PIXELS)
    refused = 0
    with caplog.at_level(logging.DEBUG):
        for path in damaged:
            try:
                read_image(path)
            except InputError:
                refused += 1
    assert refused > len(damaged) / 2
    assert [record for record in caplog.records if record.name.startswith(("tifffile", "PIL"))] == []
    assert capfd.readouterr() == ("", "")
    assert (list(warnings.filters), Pillow.MAX_IMAGE_PIXELS) == settings
    assert not logging.getLogger("tifffile").disabled


def test_the_error_stream_of_a_process_stays_empty(damaged):
    """In a process of its own, so that what C libraries print is seen as well."""
    code = (
        "import sys; from segmix.imaging.files import read_image; from segmix.errors import InputError\n"
        "for path in sys.argv[1:]:\n"
        "    try: read_image(path)\n"
        "    except InputError: pass\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *damaged], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")

"""Building: once, anywhere, and a machine that cannot build only goes slower."""

import logging
import subprocess
import sys

import pytest

from inference.native.build import BuildError, build


@pytest.mark.parametrize("compiler", ["no-such-compiler", "/bin/false"])
def test_no_compiler_says_what_to_install(tmp_path, monkeypatch, compiler):
    monkeypatch.setenv("CXX", compiler)
    with pytest.raises(BuildError, match="apt-get install"):
        build(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BuildError, match="SLUICE_NATIVE_DIR"):
        build(tmp_path / "file" / "below")


def test_without_a_compiler_it_is_not_available_and_says_why(tmp_path):
    script = "import logging; logging.basicConfig(); from inference import native; print(native.available())"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={"CXX": "no-such-compiler", "SLUICE_NATIVE_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )
    assert done.stdout == "False\n"
    assert "no native kernels: no C++ compiler (no-such-compiler)" in done.stderr


def test_it_is_built_once_for_its_sources(monkeypatch, caplog, kernels):
    with caplog.at_level(logging.INFO):
        assert build() == build()
    assert not caplog.records

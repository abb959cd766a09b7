"""Every notebook is kept without outputs, and runs from clean, with all its pictures, on runs that it starts itself."""
import os
import re
from pathlib import Path

import gradflow
import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(gradflow.__file__).parents[1]
BOOKS = sorted(NOTEBOOKS.glob("*.ipynb"))


def read(path):
    return nbformat.read(path, as_version=4)


def test_there_are_six():
    assert [path.stem[:2] for path in BOOKS] == [f"{i}-" for i in range(1, 7)]


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_outputs_are_stripped(path):
    book = read(path)
    nbformat.validate(book)
    for cell in book.cells:
        assert not cell.get("outputs") and cell.get("execution_count") is None, \
            f"jupyter nbconvert --clear-output --inplace {path}"
    assert book.metadata.kernelspec.name == "python3"


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_runs_from_clean(path, tmp_path, monkeypatch):
    monkeypatch.setenv("GRADFLOW_COMMAND", os.path.abspath(gradflow.command()))
    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOKS))
    monkeypatch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    monkeypatch.delenv("MPLBACKEND", raising=False)
    book = read(path)
    NotebookClient(book, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in book.cells for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output.output_type == "stream" and output.name == "stderr"], outputs
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    drawn = sum(len(re.findall(r"^(?:gradflow\.)?plots\..*;$", cell.source, re.M)) for cell in book.cells)
    assert len(pictures) == drawn > 0

"""Bad input to the command: files that are damaged, of another kind, too large or not there end with a message and exit
code 2 or 3; never with a crash, a hang or memory without bound."""
import collections
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "notebooks"))
sys.path.insert(0, str(Path(__file__).resolve().parent))
import gradflow as reader  # noqa: E402
from command import COMMAND, SANITIZED, within  # noqa: E402

MODEL = """
[model]
width = 3
hidden = 2
start = { kind = "gaussian", W = 0.4, W_V = 0.3, W_K = 0.4, W_Q = 0.4 }
[solver]
rtol = 1e-4
atol = 1e-6
until = 3
[save]
records = 3
states = 2
"""
GIBIBYTE = 2**30
START = 'start = { kind = "gaussian", W = 0.4, W_V = 0.3, W_K = 0.4, W_Q = 0.4 }'


def gradflow(folder, *words):
    """Within 4 GiB of address space and 60 s of a busy machine."""
    return subprocess.run([COMMAND, *words], cwd=folder, capture_output=True, text=True, errors="replace", timeout=60,
                          preexec_fn=within(4 * GIBIBYTE))


def refused(folder, settings, *parts, code=2):
    (folder / "bad.toml").write_text(settings)
    answer = gradflow(folder, "simulate", "bad.toml", "--quiet")
    assert answer.returncode == code, answer
    for part in parts:
        assert part in answer.stderr, answer.stderr
    assert len(answer.stderr) < 10_000
    assert not (folder / "bad.h5").exists()


def file_task(path, more=""):
    return f'task = {{ kind = "file", path = "{path}"{more} }}\n' + MODEL


def text_task(path):
    return f'task = {{ kind = "text", path = "{path}", targets = ["the", "words"] }}\n' + MODEL


SAMPLE = b'{"tokens": [0, 1, 2], "label": 1}\n'
TEXTS = {  # content, what is said of it as JSON Lines, and as a text
    "nothing": (b"", "there are no samples", "no sentences are left to learn from"),
    "blank": (b"\n \r\n\t\n", "there are no samples", "no sentences are left to learn from"),
    "binary": (bytes(range(256)) * 10, "byte 128 (from 0) is 0x80", "byte 128 (from 0) is 0x80"),
    "latin1": (SAMPLE + b"caf\xe9", ":2: the text must be UTF-8; byte 37 (from 0) is 0xE9", "0xE9"),
    "cut": (SAMPLE + b"\xe2\x82", "byte 34 (from 0) is 0xE2", "byte 34 (from 0) is 0xE2"),
    "surrogate": (b"\xed\xa0\x80", "byte 0 (from 0) is 0xED", "byte 0 (from 0) is 0xED"),
    "overlong": (b"\xc0\xaf", "byte 0 (from 0) is 0xC0", "byte 0 (from 0) is 0xC0"),
    "utf16": ("the words".encode("utf-16"), "byte 0 (from 0) is 0xFF", "byte 0 (from 0) is 0xFF"),
    "zeros": (b"\0" * 1000, "not valid JSON", "no sentences are left"),
    "a sample without end": (b'{"tokens": [' + b"0," * 5_000_000, "not valid JSON",
                             "stands in none of the 1 sentences"),
    "brackets": (b"[" * 5_000_000, "not valid JSON", "no sentences are left"),
    "a line too long": (b'{"tokens": [' + b"0," * 2**25, "a line may have 67108864", ""),  # too long for a text in a test
}


@pytest.mark.parametrize("name", TEXTS)
def test_texts_that_are_none(tmp_path, name):
    content, as_json, as_text = TEXTS[name]
    (tmp_path / "samples").write_bytes(content)
    refused(tmp_path, file_task("samples", ", words = 7"), "samples", as_json)
    if len(content) < 2**24:
        refused(tmp_path, text_task("samples"), "samples", as_text)


def test_a_line_of_a_gibibyte(tmp_path):
    with open(tmp_path / "long.jsonl", "wb") as f:
        f.truncate(GIBIBYTE)  # a hole, which takes no room
    refused(tmp_path, file_task("long.jsonl", ", words = 7"),
            "long.jsonl:1: a line may have 67108864 bytes; this one has 1073741824")


def test_paths_that_lead_to_no_file(tmp_path):
    for verb in ("show", "phases", "certify", "resume"):
        for path in ("none.h5", "."):
            answer = gradflow(tmp_path, verb, path)
            assert answer.returncode == 3 and path in answer.stderr, answer
    for settings in (file_task("none.jsonl", ", words = 7"), text_task("none.txt"), text_task(".")):
        refused(tmp_path, settings, "cannot be read", code=3)


def start_from(path):
    return "task = { samples = 6, length = 4, words = 7 }\n" + MODEL.replace(START, f'start = {{ kind = "file", path = "{path}" }}')


def test_what_never_ends_or_waits_for_ever_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")  # which nobody writes
    for path in ("/dev/zero", "/dev/tty", "pipe"):
        for settings in (file_task(path, ", words = 7"), text_task(path)):
            refused(tmp_path, settings, path, "it is a pipe or a device, and must be a regular file", code=3)
        refused(tmp_path, start_from(path), path, "is not a regular file: HDF5 cannot read a pipe or a device", code=3)
        for verb in ("simulate", "compare", "show", "phases", "certify", "resume", "plot"):
            answer = gradflow(tmp_path, verb, path)
            assert answer.returncode == 3 and f"'{path}' is a pipe or a device; give a regular file" in answer.stderr, answer


def test_files_larger_than_any_text(tmp_path):
    with open(tmp_path / "large", "wb") as f:
        f.truncate(GIBIBYTE + 1)  # a hole, which takes no room
    for settings in (file_task("large", ", words = 7"), text_task("large")):
        refused(tmp_path, settings, "large: is too large", "may have 1073741824 bytes (1 GiB), and this has 1073741825", code=3)
    answer = gradflow(tmp_path, "simulate", "large")
    assert answer.returncode == 3 and "an experiment may have 16777216 (16 MiB)" in answer.stderr


def test_vocabularies_without_bound(tmp_path):
    (tmp_path / "samples.jsonl").write_bytes(SAMPLE)
    refused(tmp_path, file_task("samples.jsonl", ", words = 1000000000"), "needs about", "lower task.words")
    refused(tmp_path, "task.words = 1000000000\n" + MODEL, "needs about", "lower task.words")
    with h5py.File(tmp_path / "task.h5", "w") as f:
        f.attrs["words"] = 10**18
        f["tokens"], f["labels"] = [[0, 1, 2]], [1]
    refused(tmp_path, file_task("task.h5"), "needs about", "lower task.words")


def tokens(f, values):
    f["tokens"] = values


TASKS = {  # what is wrong with tokens [3, 2], labels [3], words = 7; exit code, message
    "rank": (lambda f: tokens(f, [0, 1, 2]), 3, "tokens: must have 2 dimensions; its shape is [3]"),
    "reals": (lambda f: tokens(f, np.ones((3, 2))), 3, "tokens: must hold integers; it holds floating-point numbers"),
    "text": (lambda f: tokens(f, [["a", "b"]] * 3), 3, "tokens: must hold numbers; it holds text"),
    "compound": (lambda f: tokens(f, np.ones((3, 2), complex)), 3,
                 "tokens: must hold numbers; it holds compound values"),
    "boolean": (lambda f: tokens(f, np.ones((3, 2), bool)), 3, "tokens: must hold numbers; it holds an enumeration"),
    "reference": (lambda f: f.create_dataset("tokens", (3, 2), h5py.ref_dtype), 3, "tokens: must hold numbers or text"),
    "null": (lambda f: tokens(f, h5py.Empty("i8")), 3, "tokens: is empty"),
    "no rows": (lambda f: tokens(f, np.zeros((0, 2), int)), 2, "there are no samples"),
    "no columns": (lambda f: tokens(f, np.zeros((3, 0), int)), 2, "sample 0 (from 0): it has no tokens"),
    "too large": (lambda f: tokens(f, [[0, 7]] * 3), 2, "sample 0 (from 0): token 7 is not in the vocabulary, 0 to 6"),
    "negative": (lambda f: tokens(f, [[0, -2]] * 3), 2, "sample 0 (from 0): token -2 is not in the vocabulary"),
    "beyond 64 bits": (lambda f: tokens(f, np.full((3, 2), 2**64 - 1, "u8")), 2, "is not in the vocabulary"),
    "fewer": (lambda f: tokens(f, [[0, 1]] * 2), 2, "labels: one entry for each sample is needed, 2 in all; given 3"),
    "huge": (lambda f: f.create_dataset("tokens", (10**9, 10**9), "i8", chunks=(1000, 1000)), 3,
             "tokens: is damaged: its shape asks for more values than any file can hold"),
    "sparse": (lambda f: f.create_dataset("tokens", (10**6, 10**6), "i8", chunks=(1000, 1000)), 3,
               "tokens: its shape asks for 1000000000000 values"),
}


@pytest.mark.parametrize("name", TASKS)
def test_hdf5_tasks_that_are_none(tmp_path, name):
    spoil, code, message = TASKS[name]
    with h5py.File(tmp_path / "task.h5", "w") as f:
        f.attrs["words"] = 7
        f["labels"] = [1, -1, 1]
        spoil(f)
    refused(tmp_path, file_task("task.h5"), "task.h5: ", message, code=code)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The bytes of a run that was finished, of the same without its seal, and of one that was killed."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "run.toml").write_text("task = { samples = 6, length = 4, words = 7 }\n" + MODEL)
    answer = gradflow(folder, "simulate", "run.toml", "--quiet")
    assert answer.returncode == 0, answer.stderr
    finished = (folder / "run.h5").read_bytes()
    assert finished[-24:].startswith(b"gradflow CRC-32 ")
    killed = subprocess.Popen([COMMAND, "simulate", "run.toml", "--quiet", "-o", "killed.h5", "--set", "solver.max_step=1e-4"],
                              cwd=folder, stderr=subprocess.DEVNULL)  # some 20,000 steps
    while killed.poll() is None and not (folder / "killed.h5").exists():
        time.sleep(0.001)
    killed.kill()
    assert killed.wait() == -signal.SIGKILL
    return {"finished": finished, "without a seal": finished[:-24], "killed": (folder / "killed.h5").read_bytes()}


@pytest.fixture(scope="module")
def run(files):
    return files["finished"]


def damaged(rng, whole):
    """The bytes with some of them changed, erased, moved or cut off."""
    data = bytearray(whole)
    at = rng.randrange(len(data) - 4096)
    kind = rng.choice(["bits", "bits", "bytes", "erased", "copied", "cut"])
    if kind == "bits":
        for _ in range(rng.choice([1, 1, 3])):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind == "bytes":
        for _ in range(rng.choice([1, 5])):
            data[rng.randrange(len(data))] = rng.randrange(256)
    elif kind == "erased":
        size = rng.choice([4, 64, 4096])
        data[at:at + size] = bytes([rng.choice([0, 255])]) * size
    elif kind == "copied":
        source = rng.randrange(len(data) - 64)
        data[at:at + 64] = data[source:source + 64]
    else:
        del data[at:]
    return bytes(data)


def answered(folder, *words):
    """The same, of what may have much to do: a damage may ask for a million steps. After 60 s it must heed an interrupt."""
    process = subprocess.Popen([COMMAND, *words], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               errors="replace")
    try:
        out, err = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(words, process.returncode, out, err)


@pytest.mark.parametrize("kind", ["finished", "without a seal", "killed"])
def test_runs_damaged_at_random(tmp_path, files, kind):
    """GRADFLOW_DAMAGES=10000 looks further than these 30 (sanitized: 8); GRADFLOW_SEED draws others."""
    whole = files[kind]
    # Without a seal nothing tells numbers and settings that were changed, but that a certificate does not hold (4), a run
    # does not reach its end (1, 130) or lies beyond the end asked for (2).
    sound = {0, 3} if kind == "finished" else {0, 1, 2, 3, 4, 130}
    rng = random.Random(int(os.environ.get("GRADFLOW_SEED", "1")))
    codes = collections.Counter()
    for number in range(int(os.environ.get("GRADFLOW_DAMAGES", "8" if SANITIZED else "30"))):
        content = damaged(rng, whole)
        for verb, *more in (("show",), ("phases", "--json"), ("certify",), ("resume", "--until", "6")):
            (tmp_path / "run.h5").write_bytes(content)
            answer = answered(tmp_path, verb, "run.h5", *more)
            codes[answer.returncode] += 1
            if answer.returncode not in sound or "error inside the program" in answer.stderr:
                codes["wrong"] += 1
                kept = tmp_path / f"damaged-{number}-{verb}.h5"
                kept.write_bytes(content)
                print(f"exit code {answer.returncode} of gradflow {verb} on {kept}: {answer.stderr[:1000]}")
            elif answer.returncode == 3:
                assert "gradflow: run.h5: " in answer.stderr, answer.stderr
            elif kind == "finished":  # what is left of it is what was: no number can be wrong
                assert content in (whole, whole[:-24]) and answer.returncode == 0, answer
    assert set(codes) <= sound, codes
    assert codes[3] > 0


def with_a_heap_that_kills_hdf5(path, byte):
    """Texts of variable length stand in heaps without a checksum: the length of the first one becomes absurd. With byte 24
    HDF5 1.10 then does not end, with byte 25 it is a segmentation fault."""
    data = bytearray(path.read_bytes())
    data[data.index(b"GCOL") + byte] = 0xFF
    path.write_bytes(data)


@pytest.mark.parametrize("byte", [24, 25])
def test_what_hdf5_does_not_survive_is_refused(tmp_path, run, byte):
    (tmp_path / "run.h5").write_bytes(run[:-24])
    with h5py.File(tmp_path / "start.h5", "w") as f:
        f.attrs["text"] = "of some length"
    for name in ("run.h5", "start.h5"):
        with_a_heap_that_kills_hdf5(tmp_path / name, byte)
    before = (tmp_path / "run.h5").read_bytes()
    for verb, *more in VERBS if byte == 25 else []:  # the newer format, which runs have, stands byte 24
        answer = gradflow(tmp_path, verb, "run.h5", *more)
        assert answer.returncode == 3, answer
        assert "gradflow: run.h5: is damaged: the HDF5 library crashes on it" in answer.stderr, answer
        assert answer.stderr.count("\n") == 1 and "Use another copy of it" in answer.stderr
    assert (tmp_path / "run.h5").read_bytes() == before
    refused(tmp_path, start_from("start.h5"), "start.h5: is damaged: the HDF5 library", code=3)
    refused(tmp_path, file_task("start.h5"), "start.h5: is damaged: the HDF5 library", code=3)


def test_hdf5_takes_the_seal_off_what_it_writes(tmp_path, run):
    path = tmp_path / "run.h5"
    path.write_bytes(run)
    with h5py.File(path, "r+") as f:
        f.attrs["note"] = "mine"
    assert b"gradflow CRC-32" not in path.read_bytes()[-24:]
    answer = gradflow(tmp_path, "show", "run.h5")
    assert answer.returncode == 0 and "mine" in answer.stdout


# Other versions of the program

VERBS = [("show",), ("show", "--json"), ("phases",), ("certify",), ("resume", "--until", "6"), ("plot",)]


def changed(folder, run, change):
    path = folder / "run.h5"
    path.write_bytes(run)
    with h5py.File(path, "r+", libver="latest") as f:
        change(f)
    return path


@pytest.mark.parametrize("version", [2, 99])
def test_a_file_of_a_newer_layout_is_refused(tmp_path, run, version):
    path = changed(tmp_path, run, lambda f: f.attrs.modify("schema_version", np.int64(version)))
    before = path.read_bytes()
    for verb, *more in VERBS:
        answer = gradflow(tmp_path, verb, "run.h5", *more)
        assert answer.returncode == 3 and "run.h5" in answer.stderr and "layout" in answer.stderr, answer
        assert "newer gradflow" in answer.stderr and str(version) in answer.stderr and answer.stdout == ""
    assert path.read_bytes() == before and sorted(os.listdir(tmp_path)) == ["run.h5"]
    with pytest.raises(reader.errors.NotAGradflowFile, match="newer gradflow"):
        reader.open_run(path)


def older(f):
    """As files were before crossings had their times on the clock, checkpoints, certainty and the seal."""
    f.attrs.modify("schema_version", np.int64(0))
    del f["checkpoint"]
    for name in ("clock_time", "local_error"):
        del f[f"events/crossings/{name}"]


def test_a_file_of_an_older_layout_is_read_as_it_is(tmp_path, run):
    (tmp_path / "new.h5").write_bytes(run)
    path = changed(tmp_path, run, older)
    loss = h5py.File(tmp_path / "new.h5")["loss"][:]
    for verb, *more in VERBS[:-2]:
        new, old = (gradflow(tmp_path, verb, name, *more) for name in ("new.h5", "run.h5"))
        assert (new.returncode, old.returncode) == (0, 0), old.stderr
        same = old.stdout.replace("run.h5", "new.h5").replace('"schema_version": 0', '"schema_version": 1')
        assert [line.split() for line in same.splitlines() if "schema_version" not in line] == \
            [line.split() for line in new.stdout.splitlines() if "schema_version" not in line]
    assert np.array_equal(reader.open_run(path).observables.loss, loss)
    assert gradflow(tmp_path, "plot", "run.h5").returncode == 0 and (tmp_path / "run.png").exists()
    # It has no checkpoint: resume begins at the start, and so does not stop at the old end as the other does.
    for name in ("run.h5", "new.h5"):
        answer = gradflow(tmp_path, "resume", name, "--until", "6", "--quiet")
        assert answer.returncode == 0, answer.stderr
    with h5py.File(path) as old, h5py.File(tmp_path / "new.h5") as new:
        assert old.attrs["schema_version"] == 1 and np.array_equal(old["t"], new["t"]) and old["t"][-1] == 6
        assert np.allclose(old["loss"], new["loss"], rtol=1e-3)  # rtol of the solves: 1e-4


def test_settings_of_another_version_are_said_to_be_so(tmp_path, run):
    def add(f):
        f.attrs["settings"] = f.attrs["settings"] + "\n[novelty]\nkey = 1\n"

    changed(tmp_path, run, add)
    assert gradflow(tmp_path, "show", "run.h5").returncode == 0  # it shows what there is
    for verb, *more in (("phases",), ("certify",), ("resume", "--until", "6")):
        answer = gradflow(tmp_path, verb, "run.h5", *more)
        assert answer.returncode == 3 and "the settings that it holds are not this version's" in answer.stderr
        assert "novelty" in answer.stderr
    assert gradflow(tmp_path, "phases", "run.h5", "--no-claims").returncode == 0

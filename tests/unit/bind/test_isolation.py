"""Models that misbehave, in processes of their own: real ones, that really do it."""

from __future__ import annotations

import _thread
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from workbench.bind.isolation import default_isolation, open_predictor, stop_workers, warm
from workbench.bind.isolation.choose import own_process
from workbench.bind.isolation.isolated import Isolated
from workbench.bind.isolation.warm import use
from workbench.errors import InvalidData, ModelError, NotFound, Unsupported
from workbench.lake import Lake
from workbench.store import Store

FUNCTIONS = """
import ctypes, os, signal, socket, subprocess, sys, threading, time
import pyarrow as pa
import pyarrow.compute as pc

CALLS = [0]

def double(rows):
    return pc.multiply(rows.column("v"), 2)

def only_on(number, act):
    def model(rows):
        if number in rows.column("v").to_pylist():
            act()
        return double(rows)
    return model

def hang():
    while True:
        pass

def leak():
    kept = []
    while True:
        kept.append(bytearray(50_000_000))

def shout():
    print("I print before I fail")
    print("and so do I", file=sys.stderr)
    raise ValueError("thirteen")

def connect():
    socket.create_connection(("127.0.0.1", 9), timeout=1)

def look_up():
    socket.getaddrinfo("example.org", 80)

def leave_a_child():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    open(CHILD, "w").write(str(child.pid))

WAIT = "import time; time.sleep(60)"

def start_daemons(count):
    for _ in range(count):
        started = subprocess.Popen([sys.executable, "-c", WAIT], start_new_session=True)
        open(CHILD, "a").write(f"{started.pid} ")

def leave_a_daemon():
    # As one does who wants it to outlive him: in a session of its own, and an orphan.
    code = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', sys.argv[1]], " \
        "start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).pid)"
    done = subprocess.run([sys.executable, "-c", code, WAIT], capture_output=True, text=True, check=True)
    open(CHILD, "w").write(done.stdout)

def shout_much():
    for _ in range(500):
        os.write(1, b"x" * 20_000)
        os.write(2, b"y" * 20_000)

def say_much():
    raise ValueError("z" * 50_000_000)

def stop_itself():
    os.kill(os.getpid(), signal.SIGSTOP)

def keep_a_thread():
    threading.Thread(target=hang_on).start()

def hang_on():
    while True:
        time.sleep(0.1)

def change_signals():
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    signal.alarm(0)

def forge(text):
    # Into the pipe of answers, as something that muddles its files may.
    for number in range(3, 20):
        try:
            if os.readlink(f"/proc/self/fd/{number}").startswith("pipe:"):
                os.write(number, text)
        except OSError:
            pass

def much(rows):
    if 3 in rows.column("v").to_pylist():
        return pa.repeat("x" * 70_000_000, 4)
    return pa.array(["x"] * rows.num_rows, pa.string())

CHILD = os.path.join(os.path.dirname(__file__), "child")

segfaults = only_on(3, lambda: ctypes.string_at(0))
exits = only_on(3, lambda: os._exit(7))
calls_exit = only_on(3, lambda: sys.exit(4))
aborts = only_on(3, os.abort)
hangs = only_on(3, hang)
leaks = only_on(3, leak)
forks = only_on(3, os.fork)
forks_in_c = only_on(3, ctypes.CDLL(None).fork)
raises = only_on(3, shout)
connects = only_on(3, connect)
looks_up = only_on(3, look_up)
starts_another = only_on(3, leave_a_child)

daemon = only_on(3, leave_a_daemon)
bomb = only_on(3, lambda: start_daemons(600))
shouts = only_on(3, shout_much)
says_much = only_on(3, say_much)
stops = only_on(3, stop_itself)
keeps_a_thread = only_on(3, keep_a_thread)
closes = only_on(3, lambda: os.closerange(3, 100))
closes_all = only_on(3, lambda: os.closerange(0, 100))
changes_signals = only_on(3, change_signals)
kills_group = only_on(3, lambda: os.killpg(0, signal.SIGKILL))
kills_parent = only_on(3, lambda: os.kill(os.getppid(), signal.SIGKILL))
forges_a_number = only_on(3, lambda: forge(b"17\\n"))
forges_a_size = only_on(3, lambda: forge(b'{"size": 99999999999999}\\n'))
forges_a_word = only_on(3, lambda: forge(b'{"size": "many"}\\n'))
forges_an_error = only_on(3, lambda: forge(b'{"error": {"class": "annotations", "message": "m"}}\\n'))
forges_no_line = only_on(3, lambda: [forge(b"x" * 1_000_000) for _ in range(200)])

def always_exits(rows):
    if rows.num_rows:
        os._exit(9)
    return pa.array([], pa.int64())

def process(rows):
    return pa.array([os.getpid()] * rows.num_rows, pa.int64())

def number_of_call(rows):
    CALLS[0] += 1
    return pa.array([CALLS[0]] * rows.num_rows, pa.int64())

def text(rows):
    return pc.binary_repeat("é", rows.column("v"))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a module of models that misbehave when they meet the number 3."""
    folder = tmp_path_factory.mktemp("isolated")
    (folder / "bad_models.py").write_text(FUNCTIONS)
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))
    stop_workers()


def rows(*numbers: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"v": pa.array(numbers, pa.int64())})


def isolated(lake: Lake, name: str) -> Isolated:
    found = open_predictor(lake, f"py:bad_models:{name}", rows().schema, isolate="process")
    assert isinstance(found, Isolated)
    return found


def is_running(process: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def until(condition: object, seconds: float = 60) -> bool:
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return bool(condition())


def test_it_answers_as_it_does_in_this_process(lake: Lake, folder: Path) -> None:
    here = open_predictor(lake, "py:bad_models:double", rows().schema, isolate="none")
    there = isolated(lake, "double")
    assert (there.ref, there.inputs, there.value_type) == (here.ref, here.inputs, here.value_type)
    for batch in (rows(), rows(1), rows(*range(1000)), rows(*range(200_000))):
        assert there.predict(batch) == here.predict(batch)
    # Shorter and longer answers than the one before, in the same shared memory.
    texts = isolated(lake, "text")
    assert texts.predict(rows(3, 0, 1))["value"].to_pylist() == ["ééé", "", "é"]
    assert texts.predict(rows(2))["value"].to_pylist() == ["éé"]


def test_it_is_another_process_which_stays_warm(lake: Lake, folder: Path) -> None:
    first = isolated(lake, "process").predict(rows(1))["value"][0].as_py()
    assert first != os.getpid()
    assert isolated(lake, "process").predict(rows(1))["value"][0].as_py() == first
    stop_workers(lake.folder)
    assert until(lambda: not is_running(first))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("segfaults", "Segmentation fault"),
        ("exits", "ended itself with status 7"),
        ("calls_exit", r"called exit\(4\)"),
        ("aborts", "Aborted"),
        ("forks", "must not fork"),
        ("raises", "thirteen(.|\n)*I print before I fail(.|\n)*and so do I"),
        ("connects", "unreachable|no network"),
        ("looks_up", "gaierror|no network"),
    ],
)
def test_what_a_model_does_to_its_process_fails_its_rows_only(
    lake: Lake, folder: Path, name: str, said: str
) -> None:
    model = isolated(lake, name)
    with pytest.raises(ModelError, match=said) as raised:
        model.predict(rows(1, 3))
    assert f"py:bad_models:{name} failed on 2 rows" in raised.value.message
    assert model.predict(rows(1, 2))["value"].to_pylist() == [2, 4]


@pytest.mark.parametrize(
    "name",
    ["shouts", "keeps_a_thread", "changes_signals"],
)
def test_what_does_a_model_no_harm(lake: Lake, folder: Path, name: str) -> None:
    model = isolated(lake, name)
    assert model.predict(rows(1, 3))["value"].to_pylist() == [2, 6]
    assert model.predict(rows(5))["value"].to_pylist() == [10]
    (worker,) = warm.workers(lake.folder, f"py:bad_models:{name}")
    process = worker._process
    assert process is not None
    stop_workers()
    assert not is_running(process._process.pid)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("closes", "ended itself|no answer"),
        ("closes_all", "ended itself|no answer"),
        ("kills_group", "signal 9"),
        ("says_much", "ValueError: z"),
        ("forges_a_number", "no JSON object"),
        ("forges_a_size", "may have"),
        ("forges_a_word", "of size 'many'"),
        ("forges_an_error", "failed on 1 rows: m"),
        ("forges_no_line", "does not end"),
    ],
)
def test_what_a_model_does_to_its_answers_fails_its_rows_only(
    lake: Lake, folder: Path, name: str, said: str
) -> None:
    model = isolated(lake, name)
    with pytest.raises(ModelError, match=said) as raised:
        model.predict(rows(3))
    assert len(raised.value.message) < 10_000, "a row that fails keeps the message"
    if name != "forges_an_error":  # Its own answer comes after the one that it forged.
        assert model.predict(rows(1, 2))["value"].to_pylist() == [2, 4]


def test_a_model_that_ends_who_started_it(lake: Lake, folder: Path) -> None:
    """It ends too, whether it could answer before or not."""
    model = isolated(lake, "kills_parent")
    (worker,) = warm.workers(lake.folder, "py:bad_models:kills_parent")
    assert worker._process is not None
    (python,) = children(worker._process._process.pid)
    with contextlib.suppress(ModelError):
        model.predict(rows(3))
    assert until(lambda: not is_running(python))
    assert model.predict(rows(1, 2))["value"].to_pylist() == [2, 4]


def test_an_answer_is_limited(lake: Lake, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLSTORE_ISOLATE_MEMORY", "1 GB")
    model = isolated(lake, "much")
    with pytest.raises(ModelError, match=r"280,000,[0-9]{3} bytes, and may have 250,000,000") as raised:
        model.predict(rows(1, 2, 3, 4))
    assert "BATCH" in raised.value.hint
    assert model.predict(rows(1))["value"].to_pylist() == ["x"]


@pytest.mark.parametrize("shared", [True, False])
def test_a_process_that_stops_itself_is_ended(
    lake: Lake, folder: Path, monkeypatch: pytest.MonkeyPatch, shared: bool
) -> None:
    """Also where it no longer takes what is written to it, which is more than a pipe holds."""
    monkeypatch.setenv("MLSTORE_ISOLATE_SECONDS", "3")
    recipe = own_process(lake, "py:bad_models:stops", rows().schema, None, shared=shared)
    model = Isolated(recipe, "py:bad_models:stops")
    with use(recipe) as worker:
        assert model.predict(rows(1))["value"].to_pylist() == [2]
        assert worker._process is not None
        (python,) = children(worker._process._process.pid)
        os.kill(python, signal.SIGSTOP)
        with pytest.raises(ModelError, match="ended after 3 s"):
            model.predict(rows(*range(4, 100_000)))
    with pytest.raises(ModelError, match="ended after 3 s"):
        model.predict(rows(3))
    assert model.predict(rows(1))["value"].to_pylist() == [2]


def children(process: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def test_a_worker_that_is_killed_between_batches_is_started_again(lake: Lake, folder: Path) -> None:
    model = isolated(lake, "process")
    first = model.predict(rows(1))["value"][0].as_py()
    (worker,) = warm.workers(lake.folder, "py:bad_models:process")
    os.kill(first, signal.SIGKILL)
    assert until(lambda: worker._process is not None and not worker._process.alive)
    assert model.predict(rows(1))["value"][0].as_py() != first


def test_an_orphan_in_a_session_of_its_own_ends_with_it(lake: Lake, folder: Path) -> None:
    model = isolated(lake, "daemon")
    assert model.predict(rows(3))["value"].to_pylist() == [6]
    child = int((folder / "child").read_text())
    assert is_running(child)
    stop_workers()
    assert not is_running(child)


def test_a_model_that_starts_more_and_more_processes_is_ended(lake: Lake, folder: Path) -> None:
    model = isolated(lake, "bomb")
    (folder / "child").unlink(missing_ok=True)
    with pytest.raises(ModelError, match="more than 256 processes"):
        model.predict(rows(3))
    started = [int(each) for each in (folder / "child").read_text().split()]
    assert len(started) > 256
    assert not [each for each in started if is_running(each)]
    assert model.predict(rows(4))["value"].to_pylist() == [8]


def test_it_says_how_to_give_it_the_network(lake: Lake, folder: Path) -> None:
    model = isolated(lake, "connects")
    assert model.network in {"namespace", "python"}
    with pytest.raises(ModelError) as raised:
        model.predict(rows(3))
    assert "ISOLATE none" in raised.value.hint


def test_where_the_kernel_keeps_no_network_from_it_python_does(tmp_path: Path) -> None:
    code = f"""
import runpy, socket, sys
worker = runpy.run_path({str(warm.SCRIPT)!r})
sys.addaudithook(worker["_refuser"](talks=True))
server = socket.socket(socket.AF_UNIX)
server.bind({str(tmp_path / "local")!r})
for act in (
    lambda: socket.create_connection(("127.0.0.1", 9), timeout=1),
    lambda: socket.getaddrinfo("example.org", 80),
    lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9)),
    lambda: socket.socket().bind(("127.0.0.1", 0)),
):
    try:
        act()
    except PermissionError as error:
        print(error.strerror)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["the model has no network"] * 4, done.stderr


def test_a_copy_made_in_c_answers_nobody(lake: Lake, folder: Path) -> None:
    model = isolated(lake, "forks_in_c")
    assert model.predict(rows(1, 3))["value"].to_pylist() == [2, 6]
    assert model.predict(rows(5))["value"].to_pylist() == [10]


def test_a_model_that_hangs_is_ended(lake: Lake, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A process that does not hang has to answer within it, whatever else runs.
    monkeypatch.setenv("MLSTORE_ISOLATE_SECONDS", "2.5")
    model = isolated(lake, "hangs")
    started = time.monotonic()
    with pytest.raises(ModelError, match=r"ended after 2\.5 s") as raised:
        model.predict(rows(3))
    assert time.monotonic() - started < 30
    assert "MLSTORE_ISOLATE_SECONDS" in raised.value.hint
    assert model.predict(rows(4))["value"].to_pylist() == [8]


def test_a_model_that_leaks_meets_its_limit(
    lake: Lake, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLSTORE_ISOLATE_MEMORY", "1 GB")
    model = isolated(lake, "leaks")
    with pytest.raises(ModelError, match="ran out of the memory") as raised:
        model.predict(rows(3))
    assert "MLSTORE_ISOLATE_MEMORY" in raised.value.hint
    assert model.predict(rows(4))["value"].to_pylist() == [8]


def test_what_a_model_starts_ends_with_it(lake: Lake, folder: Path) -> None:
    model = isolated(lake, "starts_another")
    assert model.predict(rows(3))["value"].to_pylist() == [6]
    child = int((folder / "child").read_text())
    assert is_running(child)
    stop_workers()
    assert until(lambda: not is_running(child))


def test_a_model_that_always_ends_its_process_is_given_up(lake: Lake, folder: Path) -> None:
    model = isolated(lake, "always_exits")
    # As many attempts as halving may need to come to one row, and some more.
    attempts = (1).bit_length() + 3
    for _ in range(attempts):
        with pytest.raises(ModelError, match="status 9"):
            model.predict(rows(1))
    (worker,) = warm.workers(lake.folder, "py:bad_models:always_exits")
    last = worker._process
    with pytest.raises(ModelError, match=f"given up for this run.*{attempts} times"):
        model.predict(rows(1))
    assert worker._process is last, "no process is started for it any more"
    assert model.predict(rows()).schema.field("value").type == pa.int64(), "its schema is still known"


def test_rows_beside_the_one_that_ends_the_process_are_predicted(store: Store, folder: Path) -> None:
    store.load("t", [{"id": number, "v": number} for number in range(4)], key="id")
    store.bind("twice", on="t", model="py:bad_models:segfaults", inputs=["v"], isolate="process")
    found = store.sql("SELECT value, status, error FROM predictions.t__twice ORDER BY id").to_arrow()
    assert found["value"].to_pylist() == [0, 2, 4, None]
    assert found["status"].to_pylist() == ["ok", "ok", "ok", "error"]
    assert "Segmentation fault" in found["error"][3].as_py()
    said = store.describe("twice").facts["isolation"]
    assert said.startswith("process: ") and "no network, kept by" in said
    store.sql("UPDATE t SET v = 10 WHERE id = 3")
    assert store.sql("SELECT twice FROM predictions.t WHERE id = 3").rows() == [{"twice": 20}]


def test_changed_code_is_loaded_anew(lake: Lake, folder: Path) -> None:
    file = folder / "changing_model.py"
    source = "import pyarrow as pa\ndef f(rows):\n    return pa.array([{}] * rows.num_rows, pa.int64())\n"
    answers, refs = [], []
    for number in (1, 22):
        file.write_text(source.format(number))
        model = open_predictor(lake, "py:changing_model:f", rows().schema, isolate="process")
        answers.append(model.predict(rows(0))["value"][0].as_py())
        refs.append(model.ref)
    assert answers == [1, 22]
    assert refs[0] != refs[1]


def test_interrupting_ends_the_process(lake: Lake, folder: Path) -> None:
    model = isolated(lake, "hangs")
    (worker,) = warm.workers(lake.folder, "py:bad_models:hangs")
    process = worker._process
    assert process is not None
    timer = threading.Timer(0.3, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        model.predict(rows(3))
    timer.join()
    assert until(lambda: not is_running(process._process.pid))
    assert model.predict(rows(4))["value"].to_pylist() == [8]


def test_a_worker_outlives_the_thread_that_started_it_but_not_the_process(
    folder: Path, empty_store: Path
) -> None:
    script = f"""
import os, signal, sys, threading, time
import pyarrow as pa
from pathlib import Path
from types import SimpleNamespace
from workbench.bind.isolation import open_predictor
sys.path.insert(0, {str(folder)!r})
batch = pa.RecordBatch.from_pydict({{"v": [1]}})
lake = SimpleNamespace(folder=Path({str(empty_store)!r}))
def ask():
    model = open_predictor(lake, "py:bad_models:process", batch.schema, isolate="process")
    found.append(model.predict(batch))
found = []
for _ in range(2):
    thread = threading.Thread(target=ask); thread.start(); thread.join(); time.sleep(0.1)
assert found[0] == found[1]
print(found[0]["value"][0].as_py(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert until(lambda: not is_running(int(done.stdout)))


def test_few_workers_are_kept(lake: Lake, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm, "KEPT", 1)
    stop_workers()
    first = isolated(lake, "process").predict(rows(1))["value"][0].as_py()
    assert isolated(lake, "double").predict(rows(1))["value"].to_pylist() == [2]
    assert until(lambda: not is_running(first))


def test_a_worker_in_use_is_not_ended_to_make_room(
    lake: Lake, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warm, "KEPT", 1)
    monkeypatch.setenv("MLSTORE_ISOLATE_SECONDS", "1.5")
    said = []

    def ask() -> None:
        try:
            slow.predict(rows(3))
        except ModelError as error:
            said.append(error.message)

    slow = isolated(lake, "hangs")
    thread = threading.Thread(target=ask)
    thread.start()
    for name in ("double", "process"):
        isolated(lake, name)
    thread.join()
    assert "ended after 1.5 s" in said[0], "and not before"


def test_errors_keep_their_class(lake: Lake, folder: Path) -> None:
    with pytest.raises(NotFound, match="doubel"):
        isolated(lake, "doubel")
    with pytest.raises(NotFound, match="no_such_module"):
        open_predictor(lake, "py:no_such_module:f", rows().schema, isolate="process")
    with pytest.raises(InvalidData, match="needs the column v"):
        isolated(lake, "double").predict(pa.RecordBatch.from_pydict({"w": [1]}))


def test_where_a_model_runs_if_nobody_says(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_isolation("mlflow:fare@champion") == "none", "as the tests want it"
    monkeypatch.delenv("MLSTORE_ISOLATE")
    assert default_isolation("mlflow:fare@champion") == "process"
    assert default_isolation("py:bad_models:double") == "process"
    assert default_isolation("fare@3") == "none"
    monkeypatch.setitem(sys.modules, "made_by_hand", type(sys)("made_by_hand"))
    assert default_isolation("py:made_by_hand:f") == "none"


def test_a_function_of_this_process_alone_cannot_run_elsewhere(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "made_by_hand", type(sys)("made_by_hand"))
    with pytest.raises(Unsupported, match="this process alone"):
        open_predictor(lake, "py:made_by_hand:f", rows().schema, isolate="process")


@pytest.mark.parametrize(
    ("name", "value"), [("MEMORY", "much"), ("SECONDS", "soon"), ("SECONDS", "0"), ("MEMORY", "-1 GB")]
)
def test_limits_that_are_none(lake: Lake, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"MLSTORE_ISOLATE_{name}", value)
    with pytest.raises(InvalidData, match=f"MLSTORE_ISOLATE_{name}"):
        isolated(lake, "double")


def test_a_model_trained_here_runs_there_too(trained: Store) -> None:
    rows = trained.sql("FROM trip_features ORDER BY id").to_arrow()
    here = open_predictor(trained._lake, "slow", isolate="none")
    there = open_predictor(trained._lake, "slow", isolate="process")
    assert (there.ref, there.inputs, there.value_type) == (here.ref, here.inputs, here.value_type)
    assert there.predict(rows) == here.predict(rows)

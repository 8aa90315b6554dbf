"""Models that misbehave in real containers; `scripts/container` sees to an engine and an image for them."""

from __future__ import annotations

import _thread
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

import workbench
from tests.unit.bind.model_kinds import register_own
from workbench.bind.isolation import container, open_predictor, stop_workers, warm
from workbench.bind.isolation.image import REPOSITORY, base, image
from workbench.bind.isolation.isolated import Isolated
from workbench.bind.isolation.limits import Limits
from workbench.errors import ModelError, Unsupported
from workbench.lake import Lake
from workbench.progress import Event, watch
from workbench.train import registry
from workbench.train.packaged_models import Packaged

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
OWN = f"localhost/mlstore-test-python:{sys.version_info.major}.{sys.version_info.minor}"

LOADER = """
import ctypes, faulthandler, os, signal, socket, subprocess, sys, threading, time

C = ctypes.CDLL(None)
WAIT = "import time; time.sleep(1000)"

def leak():
    kept = []
    while True:
        kept.append(bytearray(20_000_000))

def leak_in_another():
    code = "kept = []\\nwhile True: kept.append(bytearray(20_000_000))"
    raise RuntimeError(f"it ended with {subprocess.run([sys.executable, '-c', code]).returncode}")

def fork_bomb():
    started = []
    while True:
        started.append(subprocess.Popen([sys.executable, "-c", WAIT], start_new_session=True))

def fill_the_disk():
    with open("/tmp/much", "wb") as file:
        while True:
            file.write(bytes(20_000_000))

def write_to(path):
    with open(path, "a") as file:
        file.write("x")

def hang():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        pass

def shout():
    for _ in range(400):
        print("x" * 10_000)
        print("y" * 10_000, file=sys.stderr)
    raise ValueError("enough")

DOES = {
    1: lambda: ctypes.string_at(0),
    2: lambda: os._exit(5),
    3: lambda: sys.exit(4),
    4: os.abort,
    5: os.fork,
    6: lambda: socket.create_connection(("1.1.1.1", 53), timeout=2),
    7: lambda: socket.getaddrinfo("example.org", 80),
    8: lambda: write_to(__file__),
    9: lambda: write_to("/worker.py"),
    10: lambda: write_to("/etc/passwd"),
    11: leak,
    12: leak_in_another,
    13: fork_bomb,
    14: fill_the_disk,
    15: hang,
    16: shout,
    17: lambda: [os.close(number) for number in range(3, 100)],
    18: lambda: C.fork(),
    19: lambda: os.kill(os.getppid(), signal.SIGKILL),
    20: lambda: os.kill(os.getpid(), signal.SIGTERM),
    21: lambda: threading.Thread(target=time.sleep, args=(1000,)).start(),
    22: lambda: os.setuid(0),
}

class Model:
    def predict(self, frame):
        for value in frame["a"]:
            DOES.get(int(value), int)()
        return [f"{os.getuid()} {os.environ['HOME']} {os.path.exists('/work')}" if value < 0 else f"{value:g}"
                for value in frame["a"]]

def _load_pyfunc(path):
    return Model()
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An engine with an image to build from, as `scripts/container` leaves them; images are shared."""
    with pytest.MonkeyPatch.context() as patch:
        settings = ROOT / "build" / "containers.conf"
        if settings.exists():
            patch.setenv("CONTAINERS_CONF", str(settings))
        try:
            found = container.engine()
        except Unsupported as error:
            pytest.skip(error.message)
        if not has_image(found, base()):
            if not has_image(found, OWN):
                pytest.skip(f"{found} has no image to build from; scripts/container gets one")
            patch.setenv("MLSTORE_CONTAINER_BASE", OWN)
        tried = [found, "run", "--rm", "--network", "none", base(), "python", "-c", "pass"]
        done = subprocess.run(tried, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"{found} runs no container: {done.stderr}")
        shared = tmp_path_factory.getbasetemp()
        patch.setenv("MLSTORE_CACHE", str(shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared))
        yield found


def has_image(engine: str, name: str) -> bool:
    return not subprocess.run([engine, "image", "inspect", name], capture_output=True, check=False).returncode


@pytest.fixture(scope="module")
def bad_folder(engine: str, tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[Path]:
    """The folder of a store with the model `bad`, in a place with a name such as people give."""
    folder = tmp_path_factory.mktemp("bad") / "Modèles de José, 2"
    shutil.copytree(empty_store, folder / "store")
    opened = Lake.open(folder / "store")
    register_own(opened, folder / "made", "bad", LOADER)
    opened.close()
    yield folder / "store"
    stop_workers()


@pytest.fixture
def bad(bad_folder: Path, engine: str) -> Iterator[Lake]:
    """A store with the model `bad`; no container of a test remains."""
    opened = Lake.open(bad_folder)
    yield opened
    opened.close()
    stop_workers()
    assert containers(engine) == []


def containers(engine: str, process: int | None = None) -> list[str]:
    """List what a process has started and is still there, running or not."""
    named = f"name=mlstore-{process or os.getpid()}-"
    command = [engine, "ps", "--all", "--filter", named, "--format", "{{.Names}}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.split()


def rows(*numbers: float) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"a": pa.array(numbers, pa.float64())})


def contained(lake: Lake) -> Isolated:
    found = open_predictor(lake, "mlflow:bad@1", isolate="container")
    assert isinstance(found, Isolated)
    return found


def until(condition: object, seconds: float = 60) -> bool:
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.1)
    return bool(condition())


def test_a_model_answers_and_has_no_rights(bad: Lake) -> None:
    model = contained(bad)
    assert (model.ref, model.inputs, model.value_type) == ("mlflow:bad@1", ("a",), "VARCHAR")
    as_whom, home, sees = model.predict(rows(-1))["value"][0].as_py().split()
    assert as_whom != "0" or os.getuid() != 0, "root here is not root there"
    assert (home, sees) == ("/tmp", "False")
    many = pa.RecordBatch.from_pydict({"a": pa.array(range(100, 200_100), pa.float64())})
    answers = model.predict(many)["value"]
    assert answers.take([0, 1, 99_900]).to_pylist() == ["100", "101", "100000"]


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (1, "signal 11 .Segmentation fault"),
        (2, "ended itself with status 5"),
        (3, r"called exit\(4\)"),
        (4, "signal 6 .Aborted"),
        (5, "must not fork"),
        (6, "unreachable"),
        (7, "gaierror"),
        (8, "Read-only file system|Permission denied"),
        (9, "Read-only file system|Permission denied"),
        (10, "Read-only file system|Permission denied"),
        (13, "BlockingIOError|Resource temporarily unavailable"),
        (16, "ValueError: enough"),
        (20, "signal 15 .Terminated"),
        (22, "Operation not permitted"),
    ],
)
def test_what_a_model_does_fails_its_rows_only(bad: Lake, number: int, said: str) -> None:
    model = contained(bad)
    with pytest.raises(ModelError, match=said) as raised:
        model.predict(rows(100, number))
    assert "mlflow:bad@1 failed on 2 rows" in raised.value.message
    assert len(raised.value.message) < 10_000
    assert model.predict(rows(100, 101))["value"].to_pylist() == ["100", "101"]


@pytest.mark.parametrize("number", [17, 18, 19, 21])
def test_what_a_model_may_try(bad: Lake, number: int) -> None:
    """Whatever comes of it: the next rows are answered, and rightly."""
    model = contained(bad)
    with contextlib.suppress(ModelError):
        assert model.predict(rows(100, number))["value"].to_pylist() == ["100", str(number)]
    assert model.predict(rows(100, 101))["value"].to_pylist() == ["100", "101"]


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (11, "ran out of the memory|signal 9 .Killed"),
        (12, "it ended with -?[19]|signal 9 .Killed|ran out of the memory"),
        (14, "No space left|signal 9 .Killed|ran out of the memory"),
    ],
)
def test_a_model_meets_its_limit_of_memory(
    bad: Lake, monkeypatch: pytest.MonkeyPatch, number: int, said: str
) -> None:
    monkeypatch.setenv("MLSTORE_ISOLATE_MEMORY", "500 MB")
    model = contained(bad)
    with pytest.raises(ModelError, match=said):
        model.predict(rows(number))
    assert model.predict(rows(100))["value"].to_pylist() == ["100"]


def test_a_model_that_hangs_is_ended(bad: Lake, engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLSTORE_ISOLATE_SECONDS", "5")
    model = contained(bad)
    before = containers(engine)
    with pytest.raises(ModelError, match="ended after 5 s"):
        model.predict(rows(15))
    assert containers(engine) == [], f"{before} is removed, not only stopped"
    assert model.predict(rows(100))["value"].to_pylist() == ["100"]


def test_interrupting_ends_the_container(bad: Lake, engine: str) -> None:
    model = contained(bad)
    timer = threading.Timer(0.5, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        model.predict(rows(15))
    timer.join()
    assert containers(engine) == []


def test_a_container_does_not_outlive_the_process(bad: Lake, engine: str) -> None:
    """Neither one that waits nor one that hangs, when nothing can be said to them any more."""
    for number in (100, 15):
        script = f"""
import os, signal, threading
import pyarrow as pa
from workbench.bind.isolation import open_predictor
from workbench.lake import Lake
model = open_predictor(Lake.open({str(bad.folder)!r}), "mlflow:bad@1", isolate="container")
threading.Timer(1, lambda: os.kill(os.getpid(), signal.SIGKILL)).start()
print("asked", flush=True)
model.predict(pa.RecordBatch.from_pydict({{"a": [{number}.0]}}))
threading.Event().wait()
"""
        started = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        assert started.communicate()[0] == "asked\n"
        assert started.returncode == -signal.SIGKILL
        assert until(lambda: not containers(engine, started.pid)), number  # noqa: B023 (called at once)


def test_a_container_that_somebody_ends_is_started_again(bad: Lake, engine: str) -> None:
    model = contained(bad)
    (name,) = containers(engine)
    subprocess.run([engine, "kill", name], capture_output=True, check=True)
    (worker,) = warm.workers(bad.folder, "mlflow:bad@1")
    assert until(lambda: worker._process is not None and not worker._process.alive)
    assert model.predict(rows(100))["value"].to_pylist() == ["100"]


def test_rows_beside_the_one_that_ends_the_container_are_predicted(bad: Lake, engine: str) -> None:
    folder = bad.folder
    with workbench.connect(folder) as store:
        store.load("t", [{"id": number, "a": float(number)} for number in (1, 100, 101, 102)], key="id")
        store.bind("said", on="t", model="mlflow:bad@1", inputs=["a"], isolate="container")
        found = store.sql("SELECT value, status, error FROM predictions.t__said ORDER BY id").to_arrow()
        assert found["value"].to_pylist() == [None, "100", "101", "102"]
        assert found["status"].to_pylist() == ["error", "ok", "ok", "ok"]
        assert "Segmentation fault" in found["error"][0].as_py()
        assert store.describe("said").facts["isolation"].startswith("container: ")
    assert containers(engine) == [], "what a store started ends when it is closed"


def test_a_model_whose_files_only_their_owner_may_read(bad: Lake, bad_folder: Path) -> None:
    model = registry.find_packaged(bad, "bad", "1")[1].files
    files = [model, *model.rglob("*")]
    modes = {each: each.stat().st_mode for each in files}
    try:
        for each in files:
            each.chmod(0o700 if each.is_dir() else 0o600)
        assert contained(bad).predict(rows(100))["value"].to_pylist() == ["100"]
    finally:
        for each, mode in modes.items():
            each.chmod(mode)


def test_a_folder_that_no_engine_can_be_told(engine: str, tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="colon"):
        container.command(engine, "tag", tmp_path / "a:b", Limits(10**9, 60))


def packaged(folder: Path, *lines: str, **more: str) -> Packaged:
    folder.mkdir(exist_ok=True)
    (folder / "requirements.txt").write_text("\n".join(lines))
    for name, text in more.items():
        (folder / f"{name}.txt").write_text(text)
    return Packaged(folder, "own_loader", None, None, {}, None)


SMALL = ("pyarrow ; python_version < '3'", "pandas ; python_version < '3'")
"""Lines that keep what the worker needs from being installed, so that these images are built at once."""


@pytest.fixture
def built(engine: str) -> Iterator[list[str]]:
    """Tags that a test has built; they are removed."""
    tags: list[str] = []
    yield tags
    subprocess.run([engine, "image", "rm", "--force", *tags], capture_output=True, check=False)


def installed(engine: str, tag: str) -> str:
    code = "from importlib.metadata import version; print(version('iniconfig'))"
    command = [engine, "run", "--rm", "--network", "none", tag, "python", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_an_image_is_built_once_for_its_requirements(engine: str, tmp_path: Path, built: list[str]) -> None:
    events: list[Event] = []
    with watch(events.append):
        built.append(image(engine, packaged(tmp_path, *SMALL, 'iniconfig==2.0.0; os_name != "nt"'), "own"))
        assert {each.title for each in events} == {"Building the image for own"} and events[-1].finished
        assert any("iniconfig" in each.note for each in events), "it says what it is doing"
        events.clear()
        assert (
            image(engine, packaged(tmp_path, *SMALL, 'iniconfig==2.0.0; os_name != "nt"'), "own") == built[0]
        )
        assert not events, "the second time there is nothing to wait for"
        other = packaged(tmp_path, *SMALL, "-c constraints.txt", "iniconfig", constraints="iniconfig==2.1.0")
        built.append(image(engine, other, "own"))
    assert built[0] != built[1] and built[0].startswith(f"{REPOSITORY}:")
    assert [installed(engine, each) for each in built] == ["2.0.0", "2.1.0"]


def test_what_pip_was_told_is_in_no_image(
    engine: str, tmp_path: Path, built: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "http://user:secret-word@localhost:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_DEFAULT_TIMEOUT", "20")
    built.append(image(engine, packaged(tmp_path, *SMALL, "iniconfig==2.0.0"), "own"))
    told = subprocess.run(
        [engine, "history", "--no-trunc", built[0]], capture_output=True, text=True, check=True
    )
    saved = subprocess.run([engine, "save", built[0]], capture_output=True, check=True).stdout
    assert "pip install" in told.stdout and "secret-word" not in told.stdout
    assert b"secret-word" not in saved


def test_an_image_that_cannot_be_built_says_why(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModelError, match=r"image for own cannot be built(.|\n)*no-such-package-at-all"):
        image(engine, packaged(tmp_path, *SMALL, "no-such-package-at-all==1.0"), "own")
    monkeypatch.setenv("MLSTORE_CONTAINER_BASE", "localhost:9/no-such-image:1")
    with pytest.raises(ModelError) as raised:
        image(engine, packaged(tmp_path, *SMALL, "iniconfig"), "own")
    assert "localhost:9/no-such-image" in raised.value.message
    assert "MLSTORE_CONTAINER_BASE" in raised.value.hint


def test_interrupting_a_build_leaves_nothing_running(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = f"slow-{os.getpid()}"
    # Podman names what it builds in after the image it builds from.
    subprocess.run([engine, "tag", base(), f"localhost/{mark}:1"], check=True)
    text = f'FROM localhost/{mark}:1\nRUN python -c "import time; time.sleep(1000)" {mark}'
    monkeypatch.setattr("workbench.bind.isolation.image.dockerfile", lambda _: text)
    asked = packaged(tmp_path, *SMALL)
    timer = threading.Timer(3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        image(engine, asked, "own")
    timer.join()
    processes = Path("/proc").glob("[0-9]*")
    assert not [each for each in processes if mark.encode() in said_by(each)]
    if Path(engine).name == "podman":
        listed = [engine, "ps", "--all", "--external", "--format", "{{.Names}}"]
        assert mark not in subprocess.run(listed, capture_output=True, text=True, check=True).stdout
    subprocess.run([engine, "rmi", f"localhost/{mark}:1"], capture_output=True, check=True)


def said_by(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""


def test_a_client_without_a_daemon_is_passed_over(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "docker").write_text("#!/bin/sh\necho Cannot connect to the daemon. >&2\nexit 1\n")
    (tmp_path / "docker").chmod(0o755)
    (tmp_path / "podman").symlink_to(engine)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert container.engine() == str(tmp_path / "podman")
    monkeypatch.setenv("MLSTORE_CONTAINER_ENGINE", "docker")
    with pytest.raises(Unsupported, match=r"MLSTORE_CONTAINER_ENGINE is 'docker'.*Cannot connect"):
        container.engine()
    monkeypatch.setenv("MLSTORE_CONTAINER_ENGINE", "nerdctl")
    with pytest.raises(Unsupported, match="no such program"):
        container.engine()

"""A JupyterLab on a free port in folders of its own, and a Chromium that may talk to nothing else."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import pytest
from filelock import FileLock
from nbformat.sign import NotebookNotary
from playwright.sync_api import Browser, Locator, Page, Route, expect, sync_playwright

import extension

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-sync",
]
ROOT = Path(__file__).resolve().parents[2]
SCREENSHOTS = ROOT / "build" / "screenshots"
IDLE = "Python 3 (ipykernel) | Idle"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("browser")
            item.add_marker("slow")


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab: where it answers, and the folder it shows."""

    url: str
    token: str
    work: Path
    data: Path
    settings: Path

    def end_kernels(self) -> None:
        """End what a test has started: it would take memory until the last test."""
        headers = {"Authorization": f"token {self.token}"}
        address = f"{self.url}/api/kernels"
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers)) as answer:
            kernels = json.load(answer)
        for each in kernels:
            ended = urllib.request.Request(f"{address}/{each['id']}", headers=headers, method="DELETE")
            with suppress(urllib.error.HTTPError):  # it ended meanwhile
                urllib.request.urlopen(ended).close()

    def trust(self, notebook: Path) -> str:
        """Copy a notebook here and trust it, as JupyterLab trusts what was run in it; return its name."""
        shutil.copy(notebook, self.work)
        NotebookNotary(data_dir=str(self.data)).sign(nbformat.read(notebook, as_version=4))
        return notebook.name

    def write(self, name: str, *cells: str) -> str:
        """Write a notebook with these code cells into a folder of its own; return its path."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(each) for each in cells])
        notebook.metadata.kernelspec = {
            "name": "python3",
            "display_name": "Python 3 (ipykernel)",
            "language": "python",
        }
        folder = self.work / name
        folder.mkdir()
        nbformat.write(notebook, folder / f"{name}.ipynb")
        return f"{name}/{name}.ipynb"


@dataclass
class Visit:
    """One browser page, what it asked of the outside world, and what went wrong in it."""

    page: Page
    lab: Lab
    outside: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def open(self, notebook: str) -> None:
        """Open a notebook and wait until its kernel is idle."""
        self.page.goto(f"{self.lab.url}/lab/tree/{notebook}?token={self.lab.token}&reset")
        self.page.locator(".jp-Notebook").wait_for()
        self.wait_idle()

    def wait_idle(self, timeout: float = 120_000) -> None:
        self.page.get_by_text(IDLE).wait_for(timeout=timeout)

    def cell(self, number: int) -> Locator:
        return self.page.locator(".jp-Notebook .jp-CodeCell").nth(number)

    def type(self, number: int, text: str) -> None:
        """Type at the end of a cell."""
        self.cell(number).locator(".cm-content").click()
        self.page.keyboard.press("Control+End")
        self.page.keyboard.insert_text(text)

    def start(self, number: int) -> None:
        """Run a cell without waiting for it."""
        self.cell(number).locator(".cm-content").click()
        self.page.keyboard.press("Control+Enter")

    def run(self, number: int, timeout: float = 120_000) -> Locator:
        """Run a cell, wait until it is done, and return its outputs."""
        here = self.cell(number)
        self.start(number)
        expect(here.locator(".jp-InputPrompt")).to_have_text(re.compile(r"\[\d+\]"), timeout=timeout)
        self.wait_idle(timeout)
        return here.locator(".jp-OutputArea-output")

    def save(self, notebook: str, *contents: str) -> str:
        """Save a notebook until its text has all of these in it; return what the file says.

        That the page says it is saved tells nothing while a cell runs: it is changed again at once.
        """
        file = self.lab.work / notebook
        missing: list[str] = []
        for _ in range(60):
            self.page.keyboard.press("Control+s")
            self.page.wait_for_timeout(500)  # not `sleep`, which would stop what passes the gate
            said = file.read_text()
            missing = [each for each in contents if each not in said]
            if not missing:
                return said
        pytest.fail(f"{notebook} was saved without {missing}")

    def restart(self) -> None:
        """Restart the kernel by the menu."""
        self.page.get_by_role("menuitem", name="Kernel", exact=True).click()
        self.page.get_by_text("Restart Kernel…", exact=True).click()
        self.page.locator(".jp-Dialog").get_by_role("button", name="Confirm Kernel Restart").click()

    def theme(self, name: str) -> None:
        """Choose the light or the dark theme and wait until it is there; the next visit begins in light."""
        self.page.get_by_role("menuitem", name="Settings", exact=True).click()
        self.page.get_by_text("Theme", exact=True).hover()
        self.page.get_by_text(f"JupyterLab {name}", exact=True).click()
        light = str(name == "Light").lower()
        expect(self.page.locator("body")).to_have_attribute("data-jp-theme-light", light)
        expect(self.page.locator("#jupyterlab-splash")).to_have_count(0)

    def shoot(self, name: str) -> Path:
        """Write a screenshot into build/screenshots."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        target = SCREENSHOTS / f"{name}.png"
        self.page.screenshot(path=target)
        return target


def _environment(root: Path) -> dict[str, str]:
    """Give JupyterLab folders of its own, so that no setting of this user or machine reaches it."""
    folders = {
        "HOME": "home",
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "IPYTHONDIR": "ipython",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
    }
    for name in folders.values():
        (root / name).mkdir()
    quiet = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}
    labconfig = root / "config" / "labconfig"
    labconfig.mkdir()
    (labconfig / "page_config.json").write_text(json.dumps(quiet))
    own = {variable: str(root / name) for variable, name in folders.items()}
    # The extensions of this checkout, whatever is installed in the environment.
    checkout = {
        "JUPYTER_PATH": _before("JUPYTER_PATH", ROOT / "build" / "share" / "jupyter"),
        "JUPYTER_CONFIG_PATH": _before("JUPYTER_CONFIG_PATH", ROOT / "extension" / "jupyter"),
    }
    return os.environ | own | checkout | {"MLFLOW_DISABLE_TELEMETRY": "true"}


def _before(variable: str, folder: Path) -> str:
    return os.pathsep.join([str(folder), *filter(None, [os.environ.get(variable)])])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=1).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="session")
def built() -> int:
    """Build the JupyterLab extension where its sources are newer; the exit status of that."""
    (ROOT / "build").mkdir(exist_ok=True)
    with FileLock(ROOT / "build" / "extension.lock"):
        return extension.main()


@pytest.fixture
def labextension(built: int) -> None:
    """Skip the test where the JupyterLab extension cannot be built; fail it where its build fails."""
    if built == extension.NOT_BUILT:
        pytest.skip(f"the JupyterLab extension is not built: {extension.obstacle()}")
    assert built == 0, "the JupyterLab extension could not be built"


@pytest.fixture(scope="session")
def lab(built: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    root = tmp_path_factory.mktemp("lab")
    work = root / "work"
    work.mkdir()
    environment = _environment(root)
    port, token = _free_port(), secrets.token_hex(8)
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
        *(f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={work}"),
        *(f"--IdentityProvider.token={token}", "--LabApp.news_url="),
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    log = root / "lab.log"
    with log.open("wb") as out, subprocess.Popen(command, env=environment, stdout=out, stderr=out) as server:
        try:
            url = f"http://127.0.0.1:{port}"
            deadline = time.monotonic() + 60
            while not _answers(f"{url}/api/status?token={token}"):
                if server.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"JupyterLab did not start:\n{log.read_text()}")
                time.sleep(0.1)
            yield Lab(url, token, work, root / "data", root / "settings")
        finally:
            _end(server)


def _end(server: subprocess.Popen[bytes]) -> None:
    """Ask a server to end; a thread of its own that waits for work can keep it, and us, for ever."""
    server.terminate()
    try:
        server.wait(20)
    except subprocess.TimeoutExpired:
        server.kill()


def _chromium(own: str) -> str | None:
    """Find a browser: the one that is named, the system's, or Playwright's own."""
    candidates = [os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome", own]
    return next((found for each in candidates if each and (found := shutil.which(each))), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        path = _chromium(playwright.chromium.executable_path)
        if path is None:
            pytest.skip("no Chromium here: `make test` installs one where it can, or set CHROMIUM")
        browser = playwright.chromium.launch(executable_path=path, headless=True, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser, lab: Lab, request: pytest.FixtureRequest) -> Iterator[Visit]:
    shutil.rmtree(lab.settings, ignore_errors=True)  # a theme that the test before chose
    lab.settings.mkdir()
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    context.set_default_timeout(30_000)
    page = context.new_page()
    here = Visit(page, lab)
    context.route("**/*", _gate(here))
    page.on("pageerror", lambda error: here.errors.append(str(error)))
    yield here
    here.shoot(f"last-{request.node.name}")
    context.close()
    lab.end_kernels()


def _gate(here: Visit) -> Callable[[Route], None]:
    def gate(route: Route) -> None:
        address = route.request.url
        if address.startswith((here.lab.url, "data:", "blob:")):
            route.continue_()
        else:
            here.outside.append(address)
            route.abort()

    return gate

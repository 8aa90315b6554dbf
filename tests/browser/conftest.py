"""A JupyterLab on a free port in folders of its own, and a Chromium that may talk to nothing else."""

from __future__ import annotations

import json
import os
import re
import shutil
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
from playwright.sync_api import Browser, Error, Locator, Page, Route, expect, sync_playwright

import extension
from tests.jupyter import serving

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
PATIENCE = 60_000
"""Milliseconds to wait for anything: what else runs may leave it little of the machine."""

expect.set_options(timeout=PATIENCE)


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
        deadline = time.monotonic() + PATIENCE / 1000
        while (kernels := self._kernels()) != []:
            if time.monotonic() > deadline:
                pytest.fail(f"these kernels of the test do not end: {kernels}")
            for each in kernels or ():
                with suppress(urllib.error.HTTPError):  # it ended meanwhile
                    self._ask(f"api/kernels/{each['id']}", "DELETE")
            time.sleep(0.1)

    def _kernels(self) -> list[dict[str, object]] | None:
        """List the kernels, or None while one is just starting: Jupyter Server cannot list it then."""
        try:
            found: list[dict[str, object]] = json.loads(self._ask("api/kernels"))
        except urllib.error.HTTPError as error:
            if error.code != 500:
                raise
            return None
        return found

    def _ask(self, path: str, method: str = "GET") -> bytes:
        headers = {"Authorization": f"token {self.token}"}
        request = urllib.request.Request(f"{self.url}/{path}", headers=headers, method=method)
        with urllib.request.urlopen(request) as answer:
            said: bytes = answer.read()
        return said

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

    def wait_idle(self) -> None:
        self.page.get_by_text(IDLE).wait_for(timeout=3 * PATIENCE)

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait for something that no locator can say."""
        deadline = time.monotonic() + PATIENCE / 1000
        while not holds():
            if time.monotonic() > deadline:
                pytest.fail(f"it did not come about that {what}")
            self.page.wait_for_timeout(200)  # not `sleep`, which would stop what passes the gate

    def cell(self, number: int) -> Locator:
        return self.page.locator(".jp-Notebook .jp-CodeCell").nth(number)

    def type(self, number: int, text: str) -> None:
        """Type at the end of a cell."""
        self.cell(number).locator(".cm-content").click()
        self.page.keyboard.press("Control+End")
        self.page.keyboard.insert_text(text)

    def start(self, number: int) -> None:
        """Run a cell without waiting for it."""
        here = self.cell(number)
        # The number of its last run stays until this one begins, and would be taken for the end of it.
        here.locator(".jp-InputPrompt").evaluate("prompt => { prompt.textContent = '' }")
        here.locator(".cm-content").click()
        self.page.keyboard.press("Control+Enter")

    def wait_done(self, number: int) -> None:
        """Wait until a cell that was started is done."""
        prompt = self.cell(number).locator(".jp-InputPrompt")
        expect(prompt).to_have_text(re.compile(r"\[\d+\]"), timeout=3 * PATIENCE)
        self.wait_idle()

    def run(self, number: int) -> Locator:
        """Run a cell, wait until it is done, and return its outputs."""
        self.start(number)
        self.wait_done(number)
        return self.cell(number).locator(".jp-OutputArea-output")

    def complete(self) -> Locator:
        """Press Tab, once, and return what is offered."""
        # Before the editor has come to know the cursor, Tab would indent.
        self.page.locator(".jp-mod-completer-enabled").first.wait_for(state="attached")
        self.page.keyboard.press("Tab")
        return self.page.locator(".jp-Completer-item")

    def type_ahead(self, letters: str, is_found: Callable[[], bool]) -> None:
        """Type what a list is searched for; where the page is slow, it has forgotten the first letters."""

        def finds() -> bool:
            self.page.keyboard.type(letters)
            if is_found():
                return True
            self.page.wait_for_timeout(1500)
            return is_found()

        self.until(finds, f"{letters!r} was found")

    def rest_on(self, word: Locator, told: Locator, text: str) -> None:
        """Rest the pointer on a word until it is explained; the word may be drawn anew meanwhile."""

        def is_explained() -> bool:
            self.page.mouse.move(5, 5)
            word.hover()
            try:
                expect(told).to_contain_text(text, timeout=4000)
            except AssertionError:
                return False
            return True

        self.until(is_explained, f"{text!r} was told")

    def show(self, cell: Locator, shown: Locator) -> None:
        """Scroll to the head of a cell, and again where what stands above it grows meanwhile."""

        def is_in_sight() -> bool:
            cell.evaluate("element => element.scrollIntoView({block: 'start'})")
            try:
                expect(shown).to_be_in_viewport(timeout=2000)
            except AssertionError:
                return False
            return True

        self.until(is_in_sight, "it came into sight")

    def save(self, notebook: str, *contents: str) -> str:
        """Save a notebook until its text has all of these in it; return what the file says.

        That the page says it is saved tells nothing while a cell runs: it is changed again at once.
        """
        said = ""

        def has_all() -> bool:
            nonlocal said
            self.page.keyboard.press("Control+s")
            said = (self.lab.work / notebook).read_text()
            return all(each in said for each in contents)

        self.until(has_all, f"{notebook} was saved with {contents} in it")
        return said

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
    quiet = ("--LabApp.news_url=", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate")
    with serving("jupyterlab", work, environment, *quiet) as (url, token):
        yield Lab(url, token, work, root / "data", root / "settings")


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
    lab.settings.mkdir(exist_ok=True)
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    here = Visit(page, lab)
    context.route("**/*", _gate(here))
    page.on("pageerror", lambda error: here.errors.append(str(error)))
    yield here
    with suppress(Error):  # only for whoever looks at what failed
        here.shoot(f"last-{request.node.name}")
    # What is asked just now would be answered to a page that is gone.
    for each in (page, context):
        each.unroute_all(behavior="ignoreErrors")
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

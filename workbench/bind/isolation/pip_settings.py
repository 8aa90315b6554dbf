"""How pip finds packages on this machine, to be told to a pip elsewhere."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator

_PLACES = ("index-url", "extra-index-url", "find-links")
_OTHERS = ("trusted-host", "proxy", "cert", "timeout", "retries", "prefer-binary", "only-binary", "no-binary")
_LINE = re.compile(r"(?P<section>global|install|:env:)\.(?P<key>[a-z-]+)=(?P<value>.+)")
_CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


def pip_settings() -> dict[str, str]:
    """Return the settings of pip here, from its files and from the environment, the latter first.

    An index on this machine's disk is left out: there is none elsewhere. `cert` is a file here.
    """
    found = dict(_settings(_listed()))
    certificates = [os.environ[name] for name in _CERTIFICATES if os.environ.get(name)]
    if certificates:
        found.setdefault("cert", certificates[0])
    for key in _PLACES:
        if key in found:
            found[key] = " ".join(each for each in found[key].split() if not each.startswith(("/", "file:")))
    return {key: value for key, value in found.items() if value}


def _listed() -> list[str]:
    """List the settings that pip knows; without pip, those of the environment."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        return done.stdout.splitlines()
    named = {
        name.removeprefix("PIP_").lower().replace("_", "-"): name for name in os.environ if name[:4] == "PIP_"
    }
    return [f":env:.{key}={os.environ[name]!r}" for key, name in named.items()]


def _settings(lines: list[str]) -> Iterator[tuple[str, str]]:
    read = [each for each in map(_LINE.fullmatch, lines) if each is not None]
    for section in ("global", "install", ":env:"):
        for each in read:
            if each["section"] == section and each["key"] in (*_PLACES, *_OTHERS):
                yield each["key"], str(ast.literal_eval(each["value"]))

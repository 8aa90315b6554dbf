"""What in a store may not run on this machine until it is approved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench import trust
from workbench.train import approvals
from workbench.transform import transforms
from workbench.transform.code import source_fingerprint
from workbench.trust import Unapproved

if TYPE_CHECKING:
    from workbench.lake import Lake


def unapproved(lake: Lake) -> list[Unapproved]:
    """List the Python code of transforms, and the models, that were not approved on this machine."""
    known = trust.approved()
    code = [
        Unapproved("transform", each.name, str(each.version), each.query, source_fingerprint(each.query))
        for each in transforms(lake)
        if each.using == "python"
    ]
    return [*(each for each in code if each.fingerprint not in known), *approvals.unapproved(lake)]

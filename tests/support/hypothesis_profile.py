"""How Hypothesis is used here; a plugin of pytest, loaded where nothing else of these tests can be.

A busy machine is no defect: examples have no deadline of their own, the test has its timeout.
"""

from __future__ import annotations

import hypothesis

hypothesis.settings.register_profile("sidegate", deadline=None, print_blob=True)
hypothesis.settings.load_profile("sidegate")

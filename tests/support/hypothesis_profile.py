"""How Hypothesis is used here; a plugin of pytest, loaded where nothing else of these tests can be.

A busy machine is no defect: examples have no deadline of their own, the test has its timeout. With
``SIDEGATE_TEST_FULL=1`` each property is tried on many more.
"""

from __future__ import annotations

import os

import hypothesis

MORE = 10 if os.environ.get("SIDEGATE_TEST_FULL") else 1
"""By which a test multiplies the number of examples that it asks for."""

hypothesis.settings.register_profile("sidegate", deadline=None, print_blob=True, max_examples=100 * MORE)
hypothesis.settings.load_profile("sidegate")

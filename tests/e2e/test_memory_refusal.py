"""A model that will not fit, refused by the real command before anything of it is loaded."""

import pytest

from support.serving import serving

MORE_THAN_ANY_MACHINE_HAS = ("--cache-size", str(2**30))  # MiB that prompts *may* take

pytestmark = pytest.mark.model


def test_node_that_would_not_fit_says_how_much_it_needs_and_the_way_out(model_cache):
    arguments = ("smollm2-135m", *MORE_THAN_ANY_MACHINE_HAS)
    with serving(*arguments, wait_ready=False) as served:
        assert served.process.wait(120) == 1
    said = "\n".join(served.errors)

    assert "error: the models are estimated to need more memory than is free:" in said
    rows = {line.split()[0]: line.split()[-1] for line in served.errors if line.startswith("  ")}
    assert rows == {"smollm2-135m": "MiB", "together": "MiB", "free": "MiB"}
    assert "--allow-overcommit" in said
    assert served.lines == []


def test_the_same_node_starts_if_told_to_try_all_the_same(model_cache):
    arguments = ("smollm2-135m", *MORE_THAN_ANY_MACHINE_HAS, "--allow-overcommit")
    with serving(*arguments) as served:
        assert served.chat("Hello", max_tokens=1).status_code == 200

"""What is said of a run while it goes."""

import pytest

from linkjax.report import Progress


@pytest.mark.parametrize("step", [5, 6, 10])
def test_a_line_at_an_evaluation_also_at_the_step_that_was_restored(step, capfd):
    progress = Progress(10, 5)
    progress.write(step, {"loss": 2.5, "tokens_per_second": 100.0, "bits_per_byte/en": 1.5})
    progress.close()
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"step {step}/10  loss 2.500") and line.endswith(" s left")

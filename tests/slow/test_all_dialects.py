"""The whole job at every service that is met in practice, each as a table of differences from plain OpenAI."""

from pathlib import Path

import pytest

import whole_job
from services import DIALECTS


@pytest.mark.parametrize("name", DIALECTS)
def test_a_run_ends_judged_and_paid_right_with_few_more_calls_and_a_second_one_sends_nothing(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole_job.check(name, tmp_path, capsys)

"""The trial of local models on a real one: MINIRAG_LOCAL_MODEL names it (a folder, a GGUF file, a model of the hub).

About an hour on two CPU cores, a few minutes on a GPU. MINIRAG_LOCAL_OPTIONS are more options of scripts/trial_local.
"""

import json
import os
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import minirag

SCRIPT = Path(minirag.__file__).parents[1] / "scripts" / "trial_local"


@pytest.mark.skipif(not find_spec("torch"), reason="needs pip install 'minirag[local]'")
@pytest.mark.skipif("MINIRAG_LOCAL_MODEL" not in os.environ, reason="MINIRAG_LOCAL_MODEL names no model")
def test_tuning_brings_a_real_student_nearer_to_its_teacher_and_shuffled_answers_do_not(tmp_path: Path) -> None:
    options = shlex.split(os.environ.get("MINIRAG_LOCAL_OPTIONS", ""))
    subprocess.run([sys.executable, SCRIPT, os.environ["MINIRAG_LOCAL_MODEL"], tmp_path, *options], check=True)
    results = json.loads((tmp_path / "results.json").read_text())
    sample, control, speed = (results[part] for part in ("sample", "control", "speed"))
    assert sample["held_out_fall"] >= 0.2
    assert sample["token_f1"]["tuned"] > sample["token_f1"]["base"]
    assert control["held_out_fall"] < sample["held_out_fall"] / 2
    assert speed["adapter_switch_ms"] < 50
    assert speed.get("ratio_to_trl", 1) >= 0.9

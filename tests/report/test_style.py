"""The style sheet: the arms differ for people who see fewer colours too. (Contrasts are judged in the browser.)"""

import re
from pathlib import Path

import numpy as np
import pytest

from minirag import report

STYLE = Path(report.__file__).with_name("style.css").read_text("utf-8")
COLOURS = re.findall(r"--(\w+): light-dark\((#\w{6}), (#\w{6})\);", STYLE)
SCHEMES = {
    "light": {name: light for name, light, _ in COLOURS},
    "dark": {name: dark for name, _, dark in COLOURS},
}
DEFICIENT = {  # Machado, Oliveira and Fernandes 2009, severity 1.0, for linear RGB
    "full": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def linear(colour: str) -> np.ndarray:
    """Linear RGB of a #rrggbb colour (IEC 61966-2-1)."""
    value = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of linear RGB, D65."""
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ rgb
    f = np.cbrt(np.clip(xyz / [0.9505, 1.0, 1.089], 0, None))
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("sight", DEFICIENT)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_arms_differ_for_people_who_see_fewer_colours(scheme: str, sight: str) -> None:
    seen = {
        arm: lab(np.clip(np.array(DEFICIENT[sight]) @ linear(SCHEMES[scheme][arm]), 0, 1))
        for arm in ("base", "tuned", "teacher")
    }
    for one, other in (("base", "tuned"), ("tuned", "teacher"), ("base", "teacher")):
        assert np.linalg.norm(seen[one] - seen[other]) > 45, (one, other)

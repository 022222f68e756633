"""Cassettes: nothing private is kept in one, and a requested wait is short on replay."""

import re
from pathlib import Path
from typing import Any

import pytest
import vcr
import yaml

from doubles import Script, refusal
from minirag import ChatModel
from minirag.errors import ServiceRefused
from minirag.service import OPENAI_ADDRESS, Service
from minirag.testing import completion, vcr_config
from recorded import CASSETTES

PRIVATE = re.compile(
    r"sk-|bearer |authorization|cookie|\b(org|proj)[-_][A-Za-z0-9]|/home/|/root/|/tmp/|/Users/|[A-Z]:\\"
    r"|127\.0\.0\.1|localhost",
    re.IGNORECASE,
)


def interactions(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load(path.read_text("utf-8"))["interactions"])


@pytest.mark.parametrize("path", sorted(CASSETTES.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_cassette_holds_nothing_private(path):
    assert not PRIVATE.search(path.read_text("utf-8"))
    for each in interactions(path):
        assert set(each["request"]["headers"]) <= {"content-type"}
        assert set(each["response"]["headers"]) <= {"content-type", "retry-after-ms"}
        assert each["request"]["uri"].startswith(OPENAI_ADDRESS)


def test_a_key_a_cookie_and_an_organisation_are_in_no_part_of_a_recording(tmp_path):
    key = "sk-proj-Canary0123456789"
    private = {"set-cookie": "session=Canary", "openai-organization": "org-Canary0123456789"}
    bad_key = refusal(401, f"Incorrect API key provided: {key}.", headers=private)
    path = tmp_path / "canary.yaml"
    with Script(bad_key) as script, vcr.VCR(**vcr_config()).use_cassette(str(path)):
        with Service(script.url, key) as service, pytest.raises(ServiceRefused):
            ChatModel("m", service=service).complete([{"role": "user", "content": f"{key} is secret"}], stage="draft")
        assert script.requests[0]["headers"]["authorization"] == f"Bearer {key}"
    text = path.read_text("utf-8")
    assert "[redacted] is secret" in text
    assert "Canary" not in text
    assert script.url not in text


def test_a_wait_that_a_service_asks_for_is_a_millisecond_on_replay(tmp_path):
    path = tmp_path / "busy.yaml"
    with Script(refusal(429, "slow down", headers={"Retry-After": "1"}), completion("Hi.")) as script:
        for mode in ("all", "none"):
            with (
                vcr.VCR(**vcr_config()).use_cassette(str(path), record_mode=mode),
                Service(script.url, "k") as service,
            ):
                messages = [{"role": "user", "content": "Hello"}]
                assert ChatModel("m", service=service).complete(messages, stage="draft").text == "Hi."
        assert len(script.requests) == 2
    assert interactions(path)[0]["response"]["headers"]["retry-after-ms"] == ["1"]

"""Keys in use reach nothing that is written or shown, whatever the service does with them."""

import json
import stat
from itertools import cycle
from pathlib import Path

import pytest

from minirag import errors, offline
from minirag.cli.main import main
from minirag.errors import InputError, keep_out, redact
from minirag.message_log import Exchange, MessageLog
from minirag.offline import Server
from minirag.server.wire import Reply, Request, json_reply
from minirag.service import Service
from run_files import MODELS

KEYS = ("sk-canary-0123456789abcdef", "canary0123456789", 'Kanarie"99\\<7>&x y')


@pytest.fixture(autouse=True)
def _no_keys_yet(monkeypatch):
    """Each test knows its own keys only, and leaves none to others; nothing is waited for."""
    monkeypatch.setattr(errors, "_keys", [])
    monkeypatch.setattr("minirag.retry.FIRST_WAIT", 0.001)


class Echo:
    """A service that fails in one way, or not at all, and sends back the key that it is sent, wherever it can."""

    def __init__(self, fault: str) -> None:
        self.fault = fault
        self.echoed = 0
        self._works = offline.api()

    def __call__(self, request: Request) -> Reply:
        key = request.headers["authorization"].split(" ", 1)[1]
        self.echoed += 1
        told = f"Incorrect key {key} (Bearer {key}), see https://me:{key}@host/?key={key}"
        error = {"message": told, "type": key, "param": key, "code": key}
        if self.fault.isdigit():
            return json_reply({"error": error}, int(self.fault))._replace(headers={"retry-after-ms": "1"})
        if self.fault == "parameter":
            return json_reply({"error": {**error, "message": f"temperature is unsupported, {told}"}}, 400)
        if self.fault == "redirect":
            headers = {"Location": f"http://me:{key.encode().hex()}@127.0.0.1:9/{key.encode().hex()}"}
            return Reply(307, told.encode(), "text/plain", headers)
        if self.fault == "page":
            return Reply(200, f"<html>{told}</html>".encode(), "text/html")
        if self.fault == "error in a 200":
            return json_reply({"error": error})._replace(headers={"retry-after-ms": "1"})
        reply = json.loads(self._works(request).body)
        for choice in reply.get("choices", []):
            message = choice["message"]
            message["content"] = message["content"].replace('"reason":"', f'"reason":"{_json(key)} ')
        return json_reply({**reply, "model": f"model of {key}", "system_fingerprint": told})


def _json(text: str) -> str:
    return json.dumps(text)[1:-1]


FAULTS = ("401", "429", "500", "parameter", "redirect", "page", "error in a 200")


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"question": "Who?", "answer": "Ann did it. Bob did not.", "contexts": ["Ann did it."]}\n')
    return path


def everything(folder: Path, *shown: str) -> str:
    """All that a command has left behind: names and contents of files, what it said."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return "\n".join([*shown, *map(str, files), *(path.read_bytes().decode("utf-8", "replace") for path in files)])


def spellings(key: str) -> set[str]:
    """The key as it is and as JSON and HTML spell it."""
    return {key, _json(key), key.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")}


@pytest.mark.parametrize(("fault", "key"), list(zip(FAULTS, cycle(KEYS), strict=False)))
def test_a_canary_key_is_found_nowhere_after_a_service_has_sent_it_back(fault, key, rows, monkeypatch, capfd):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    out = rows.parent / "out"
    with Server(echo := Echo(fault)) as server:
        places = ["--base-url", server.base_url, "--out", str(out)]
        code = main(["evaluate", str(rows), *places, *MODELS[2:], "--json", "--patience", "0"])
    assert echo.echoed > 0
    assert code != 0
    found = everything(out, *capfd.readouterr())
    assert [form for form in spellings(key) if form in found] == []
    assert "Traceback" not in found
    assert "messages.jsonl" in found or fault == "redirect"


@pytest.mark.parametrize("fault", ["401", "redirect"])
def test_the_password_of_an_address_is_found_nowhere(fault, rows, capfd):
    password = "canary%4012345"
    with Server(echo := Echo(fault)) as server:
        address = server.base_url.replace("://", f"://me:{password}@")
        main(["evaluate", str(rows), "--base-url", address, "--out", str(rows.parent / "out"), *MODELS[2:]])
    out, err = capfd.readouterr()
    found = everything(rows.parent, out, err)
    assert [form for form in (password, "canary@12345", "me:") if form in found] == []
    assert echo.echoed > 0
    assert f"service: {server.base_url}\n" in err


def test_an_argument_that_is_a_key_is_not_repeated(capsys):
    with pytest.raises(SystemExit):
        main(["run", "--out", "out", "--key=sk-canary-0123456789"])
    assert "[redacted]" in (err := capsys.readouterr().err)
    assert "canary" not in err


# -- what stays as it is -----------------------------------------------------------------------------------


def test_documents_that_look_like_keys_and_words_in_place_of_a_key_stay_as_they_are(tmp_path):
    keep_out("canary0123456789")
    text = "Set the header to Bearer abcdefghijkl or canary0123456789, see https://me:pass@host/."
    with MessageLog(tmp_path / "log.jsonl") as log:
        log.append(Exchange("draft", "chat.completions", "s", {"model": "m", "messages": []}, {"text": text}))
        assert [exchange.response for exchange in log] == [{"text": text}]
    for word in ("", "none", "EMPTY", "ollama", "lm-studio", "no-key-required"):
        keep_out(word)
        assert redact(f"We use {word} here.") == f"We use {word} here."


# -- addresses ---------------------------------------------------------------------------------------------


def test_plain_http_to_another_machine_is_refused_unless_it_is_forced():
    for address in ("http://example.org/v1", "http://192.168.0.7:8000/v1", "http://127.0.0.1.nip.io"):
        with pytest.raises(InputError, match="--insecure-http"):
            Service(address, "k")
        assert Service(address, "k", insecure_http=True).address == address
    for address in ("http://127.0.0.1:8000/v1", "http://[::1]:1/v1", "http://localhost/v1"):
        assert Service(address, "k").address == address


@pytest.mark.parametrize("address", ["ftp://me:Q@host", "https://me:no/Q@host", "https://me:Q@[::1", "me:Q@host"])
def test_an_unusable_address_is_not_repeated_with_its_password(address):
    with pytest.raises(InputError) as caught:
        Service(address.replace("Q", "canary12345"), "k")
    assert "canary12345" not in str(caught.value)


def test_a_service_is_never_named_by_a_file(tmp_path, rows, monkeypatch, capsys):
    evil = "OPENAI_BASE_URL=http://127.0.0.1:1/v1\nOPENAI_API_KEY=sk-evil-0123456789\n"
    for folder in (tmp_path, tmp_path / "out"):
        folder.mkdir(exist_ok=True)
        (folder / ".env").write_text(evil)
        (folder / "run.json").write_text('{"service": "http://127.0.0.1:1/v1", "base_url": "http://127.0.0.1:1/v1"}')
    monkeypatch.chdir(tmp_path)
    with Server(echo := Echo("none")) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        assert main(["evaluate", str(rows), "--out", str(tmp_path / "out"), *MODELS[2:]]) == 0
    assert echo.echoed > 0
    assert f"service: {server.base_url}\n" in capsys.readouterr().err


# -- files -------------------------------------------------------------------------------------------------


def test_all_that_a_run_writes_is_private_whatever_the_umask(finished_run, tmp_path):
    modes = {path: (path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in finished_run.rglob("*")}
    assert len(modes) >= 14
    assert stat.S_IMODE(finished_run.stat().st_mode) == 0o700
    assert {path: mode for path, mode in modes.items() if mode not in {(True, 0o700), (False, 0o600)}} == {}
    assert b"authorization" not in (finished_run / "messages.jsonl").read_bytes().lower()
    (tmp_path / "log.jsonl").write_bytes(b'{"v":1')
    with MessageLog(tmp_path / "log.jsonl") as log:
        log.append(Exchange("draft", "chat.completions", "s", {}, {}))
    assert stat.S_IMODE((tmp_path / "log.jsonl.torn").stat().st_mode) == 0o600

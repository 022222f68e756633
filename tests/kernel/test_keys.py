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
def evaluate(tmp_path, monkeypatch):
    """Runs `minirag evaluate` over one row with further options, in the test's folder."""
    monkeypatch.chdir(tmp_path)
    Path("rows.jsonl").write_text(
        '{"question": "Who?", "answer": "Ann did it. Bob did not.", "contexts": ["Ann did it."]}\n'
    )
    return lambda *options: main(["evaluate", "rows.jsonl", "--out", "out", *MODELS[2:], *options])


def all_that_is_left(*shown: str) -> str:
    """All that a command has left behind: names and contents of files, what it said."""
    files = [path for path in Path().rglob("*") if path.is_file()]
    return "\n".join([*shown, *map(str, files), *(path.read_bytes().decode("utf-8", "replace") for path in files)])


def spellings(key: str) -> set[str]:
    """The key as it is and as JSON and HTML spell it."""
    return {key, _json(key), key.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")}


@pytest.mark.parametrize(("fault", "key"), list(zip(FAULTS, cycle(KEYS), strict=False)))
def test_a_canary_key_is_found_nowhere_after_a_service_has_sent_it_back(fault, key, evaluate, monkeypatch, capfd):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with Server(echo := Echo(fault)) as server:
        assert evaluate("--base-url", server.base_url, "--json", "--patience", "0") != 0
    assert echo.echoed > 0
    everything = all_that_is_left(*capfd.readouterr())
    assert [form for form in spellings(key) if form in everything] == []
    assert "Traceback" not in everything
    assert "messages.jsonl" in everything or fault == "redirect"


@pytest.mark.parametrize("fault", ["401", "redirect"])
def test_the_password_of_an_address_is_found_nowhere(fault, evaluate, capfd):
    password = "canary%4012345"
    with Server(echo := Echo(fault)) as server:
        evaluate("--base-url", server.base_url.replace("://", f"://me:{password}@"))
    out, err = capfd.readouterr()
    everything = all_that_is_left(out, err)
    assert [form for form in (password, "canary@12345", "me:") if form in everything] == []
    assert echo.echoed > 0
    assert f"service: {server.base_url}\n" in err


def test_an_argument_that_is_a_key_is_not_repeated(capsys):
    with pytest.raises(SystemExit):
        main(["run", "--out", "out", "--key=sk-canary-0123456789"])
    assert "[redacted]" in (err := capsys.readouterr().err)
    assert "canary" not in err


def test_documents_that_look_like_keys_and_words_in_place_of_a_key_stay_as_they_are(tmp_path):
    keep_out("canary0123456789")
    text = "Set the header to Bearer abcdefghijkl or canary0123456789, see https://me:pass@host/."
    with MessageLog(tmp_path / "log.jsonl") as log:
        log.append(Exchange("draft", "chat.completions", "s", {"model": "m", "messages": []}, {"text": text}))
        assert [exchange.response for exchange in log] == [{"text": text}]
    for word in ("", "none", "EMPTY", "ollama", "lm-studio", "no-key-required"):
        keep_out(word)
        assert redact(f"We use {word} here.") == f"We use {word} here."


UNUSABLE = "ftp://me:Q@host https://me:no/Q@host https://me:Q@[::1 me:Q@host host/v1 https:// nonsense".split()
NOT_LOOPBACK = "http://example.org/v1 http://192.168.0.7:8000/v1 http://127.0.0.1.nip.io".split()


@pytest.mark.parametrize("address", [*UNUSABLE, *NOT_LOOPBACK])
def test_an_address_that_cannot_be_used_is_a_sentence_that_does_not_repeat_its_password(address):
    with pytest.raises(InputError, match="no service address" if address in UNUSABLE else "--insecure-http") as caught:
        Service(address.replace("Q", "canary12345"), "k")
    assert "canary12345" not in str(caught.value)


def test_plain_http_is_used_on_this_machine_or_where_it_is_forced():
    for address in NOT_LOOPBACK:
        assert Service(address, "k", insecure_http=True).address == address
    for address in ("http://127.0.0.1:8000/v1", "http://[::1]:1/v1", "http://localhost/v1"):
        assert Service(address).address == address
    with pytest.raises(InputError, match="OPENAI_API_KEY"):
        Service()  # OpenAI needs a key, a service on this machine does not


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

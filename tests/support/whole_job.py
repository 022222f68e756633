"""The whole job at a service of any dialect: it ends, judged, paid as the service counts, and never paid twice."""

import json
import re
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from minirag.cli.main import main
from run_files import MODELS, SAMPLE_TEXT, rows
from services import DEPLOYED, DIALECTS, EMBEDDING, JUDGE, STUDENT, TEACHER, Dialect, address, serve

SIZE = "--train-questions 12 --eval-questions 12 --chunk-size 160 --chunk-overlap 0 --context-window 1200".split()
NAMES = (TEACHER, STUDENT, JUDGE, EMBEDDING, f"ft:{STUDENT}", DEPLOYED)
PRICE = '[models."{}"]\ninput = 1.0\ncached = 0.1\noutput = 10.0\ntraining = 2.0\n'


class WholeJob(ExitStack):
    """A service that speaks a dialect, beside a plain one that embeds where the first does not (or the reverse)."""

    def __init__(self, name: str, folder: Path) -> None:
        super().__init__()
        self.dialect, self.folder = DIALECTS[name], folder
        (server, self._speaker), (plain, self._plain) = serve(self.dialect), serve(Dialect(trains=True))
        self._servers = [self.enter_context(one) for one in (server, plain)]
        places = {model.removeprefix("offline-"): address(server, self.dialect, model) for model in NAMES[:4]}
        self._options = ["--base-url", places["teacher"]]
        if name == "tei":
            self._options = ["--base-url", plain.base_url, "--embedding-base-url", places["embedding"]]
        if self.dialect.inputs == 0:
            self._options += ["--embedding-base-url", plain.base_url]
        self._options += [option.format(**places) for option in self.dialect.options]
        (folder / "prices.toml").write_text("".join(map(PRICE.format, NAMES)))
        pages = SAMPLE_TEXT.read_text("utf-8").split("\n# ")[:11]  # half of them: the more, the longer it takes
        (folder / "report.md").write_text("\n# ".join(pages), "utf-8")

    def run(self, *more: str) -> int:
        files = ["--prices", str(self.folder / "prices.toml"), "--out", str(self.folder / "out")]
        return main(["run", str(self.folder / "report.md"), *MODELS, *SIZE, *self._options, *files, *more])

    @property
    def arms(self) -> set[str]:
        """The arms with scores."""
        return {row["arm"] for row in rows(self.folder / "out" / "scores.jsonl") if row["value"] is not None}

    @property
    def calls(self) -> int:
        return sum(sum(server.requests.values()) for server in self._servers)

    @property
    def charged(self) -> float:
        """The US dollars that the services themselves charge for chats and embeddings."""
        billed = [tokens for speaker in (self._speaker, self._plain) for tokens in speaker.billed.values()]
        return sum(new + 0.1 * cached + 10 * output + 1.25 * written for new, cached, output, written in billed) / 1e6

    @property
    def billed(self) -> float:
        """The same in `costs.json`, without embeddings whose tokens the service does not tell."""
        lines = json.loads((self.folder / "out" / "costs.json").read_text("utf-8"))["lines"]
        untold = [line for line in lines if line["model"] == EMBEDDING and not line["input_tokens"]]
        return sum(line["usd"] for line in lines if not line["training_tokens"] and line not in untold)


@cache
def calls_of_openai() -> int:
    """Return how many requests the run takes at OpenAI."""
    with TemporaryDirectory() as folder, WholeJob("openai", Path(folder)) as job:
        assert job.run() == 0
        return job.calls


def check(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Hold that a run ends with all arms, few more calls and the right bill, and that a second one sends nothing."""
    most = 1.2 * calls_of_openai()
    capsys.readouterr()
    with WholeJob(name, folder) as job:
        code, dialect, said = job.run(), job.dialect, capsys.readouterr().err
        assert code == 0, said
        can_train = dialect.trains and not dialect.is_top_level
        assert job.arms == {"base", "teacher", *(("tuned",) if can_train else ())}
        limits = {"temperature", "json_schema"} & dialect.refuses.keys()
        for words in (*dialect.says, *limits, *([] if dialect.trains else ["trains no models"])):
            assert words in said
        assert job.calls <= most
        assert job.billed == pytest.approx(job.charged)
        log, answers, training = (
            (folder / "out" / f"{name}.jsonl").read_text("utf-8") for name in ("messages", "answers", "training")
        )
        assert ("Let me see" in log) == (dialect.shows in {"tags", "parts", "field"})
        assert not re.search("Let me see|'type'", answers + training)  # nor a list of parts as Python prints it
        before = job.calls
        assert job.run() == 0
        assert job.calls == before

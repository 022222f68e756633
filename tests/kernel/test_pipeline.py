"""The main job from documents to report, on the embedded server, and what a second run does."""

import json
import shutil
from collections import Counter
from pathlib import Path

from faults import Rule, serve, shows, training_not_available
from minirag import FineTuningJob, MessageLog, offline
from minirag.cli.main import main
from minirag.service import Service
from minirag.text import for_model
from run_files import MODELS, SAMPLE, SAMPLE_TEXT, contents, rows

REBUILT = """answers.jsonl comparison.json costs.json questions.jsonl report.html scores.jsonl training.jsonl
    training_report.json""".split()
FILES = sorted([*REBUILT, *"chunks.jsonl index.json job.json messages.jsonl run.json vectors.npy".split()])


def test_a_run_writes_every_file_of_the_contract(finished_run):
    assert sorted(contents(finished_run)) == FILES
    facts = json.loads((finished_run / "run.json").read_text())
    assert list(facts["documents"]) == [str(SAMPLE)]
    assert facts["settings"]["teacher"] == "offline-teacher"
    assert facts["service"] == "offline"
    assert facts["models_served"]["offline-judge"] == ["offline-judge"]


def test_log_vectors_and_job_rebuild_all_other_results_for_free(finished_run, tmp_path, capsys):
    folder = tmp_path / "copy"
    shutil.copytree(finished_run, folder)
    for name in REBUILT:
        (folder / name).unlink()
    for command in ("run", "report"):
        assert main([command, "--out", str(folder)]) == 0
        assert contents(folder) == contents(finished_run)
    assert "tuned against base" in capsys.readouterr().out


def test_what_the_log_and_the_index_answer_starts_no_server(tmp_path, monkeypatch, capsys):
    (tmp_path / "notes.txt").write_text(400 * "The trams are blue. " + "\f\fThe boats are red.")
    command = ["index", str(tmp_path / "notes.txt"), "--offline", "--out", str(tmp_path / "out")]
    assert main(command) == 0
    assert f"no text on {tmp_path / 'notes.txt'} page 2" in capsys.readouterr().err
    before = contents(tmp_path / "out")
    with monkeypatch.context() as patch:
        patch.setattr("subprocess.Popen", None)
        assert main(command) == 0
    assert contents(tmp_path / "out") == before
    assert "as before" in capsys.readouterr().err
    assert main([*command, "--chunk-size", "512"]) == 0
    assert "as before" not in capsys.readouterr().err


def test_every_chat_request_fits_the_window_with_its_reserved_reply(finished_run):
    chats = [e for e in MessageLog(finished_run / "messages.jsonl") if e.endpoint == "chat.completions"]
    assert {e.stage for e in chats} == {"question", "draft", "refine", "statements", "verdicts", "reverse"}
    for exchange in chats:
        prompt = for_model(exchange.model).count_messages(exchange.request["messages"])
        assert max(prompt, exchange.usage["prompt_tokens"]) + exchange.request["max_tokens"] <= 1200


def test_no_page_serves_both_splits_and_no_eval_page_stands_in_a_training_prompt(finished_run):
    questions = rows(finished_run / "questions.jsonl")
    pages = {split: {q["page"] for q in questions if q["split"] == split} for split in ("train", "eval")}
    assert Counter(q["split"] for q in questions) == {"train": 14, "eval": 10}
    assert not pages["train"] & pages["eval"]
    prompts = [row["messages"][1]["content"] for row in rows(finished_run / "training.jsonl")]
    assert [page for page in pages["eval"] if any(f'page="{page}"' in prompt for prompt in prompts)] == []


def test_the_answers_of_a_run_can_be_scored_with_other_metrics(finished_run, tmp_path, embedded, capsys):
    options = ["--judge=offline-judge", *embedded[-2:], "--metrics", "context_relevancy", "--out", str(tmp_path)]
    assert main(["evaluate", str(finished_run), *options, "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert {summary[arm]["context_relevancy"]["n"] for arm in ("base", "tuned", "teacher")} == {10}


def test_each_step_is_a_command_and_the_next_one_goes_on_from_it(tmp_path, embedded, capsys):
    out, size = tmp_path / "out", ["--train-questions", "3", "--eval-questions", "2"]
    assert main(["questions", str(SAMPLE), *embedded, *size, "--out", str(out)]) == 0
    assert {"chunks.jsonl", "questions.jsonl", "run.json"} <= set(contents(out))
    assert "training.jsonl" not in contents(out)
    goes_on = [*embedded[-2:], "--out", str(out)]
    assert main(["collect", *goes_on]) == 0
    asked = len(MessageLog(out / "messages.jsonl"))
    assert "report.html" not in contents(out)
    assert main(["ask", *goes_on, "--json"]) == 0
    assert len(MessageLog(out / "messages.jsonl")) == asked
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["questions"] == 5


def test_a_resumed_run_is_not_sent_to_another_address(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("The trams are blue.\fThe boats are red.")
    index = ["index", str(tmp_path / "notes.txt"), *MODELS, "--out", str(tmp_path / "out")]
    with offline.serve() as server, offline.serve() as other:
        assert main([*index, "--base-url", server.base_url]) == 0
        assert main(["index", "--base-url", other.base_url, "--out", str(tmp_path / "out")]) == 2
        assert server.base_url in capsys.readouterr().err
        assert main([*index, "--base-url", other.base_url]) == 0  # models of the same names, but others
        assert json.loads((tmp_path / "out" / "index.json").read_text())["model"].endswith(other.base_url)


def test_what_changed_since_the_last_run_is_said_and_its_results_do_not_stay(tmp_path, embedded, monkeypatch, capsys):
    document, out = tmp_path / "notes.txt", tmp_path / "out"
    document.write_bytes(SAMPLE_TEXT.read_bytes())

    def said(*arguments: str) -> list[str]:
        capsys.readouterr()
        assert main(["index", *arguments, *embedded, "--out", str(out)]) == 0
        return [line for line in capsys.readouterr().err.splitlines() if line.startswith("changed since")]

    monkeypatch.chdir(tmp_path)
    assert said("notes.txt") == []
    monkeypatch.chdir(out)  # a run that was begun with a relative path is resumed from any folder
    (out / "comparison.json").write_text("{}")
    assert said() == []
    assert (out / "comparison.json").exists()
    assert said("--top-k", "3") == ["changed since the last run: top_k"]
    assert not (out / "comparison.json").exists()
    sent = len(MessageLog(out / "messages.jsonl"))
    document.write_text(document.read_text("utf-8") + "\nOne sentence more.\n")
    assert said() == ["changed since the last run: notes.txt"]
    log = list(MessageLog(out / "messages.jsonl"))
    redone = [e for e in log[sent:] if e.stage == "embed" and e.tags == {"for": "index"}]
    assert len(redone) == 1
    assert len({e.id for e in log}) == len(log)


def served(server: offline.Server, out: Path, *more: str) -> list[str]:
    """A run against a server that is already there, as against any other service."""
    size = ["--train-questions", "11", "--eval-questions", "2"]  # a job takes ten examples
    return ["run", str(SAMPLE), *MODELS, "--base-url", server.base_url, *size, "--out", str(out), *more]


def test_an_answer_that_could_not_be_had_is_unscored_in_every_mean(tmp_path):
    """A service that refuses some of a model's questions must not raise its mean quietly."""
    rain = Rule(holding=r"(?=.*offline-teacher).*\\nDoes it rain", status=400, error={"message": "no"})
    questions = tmp_path / "eval.txt"
    questions.write_text("What does Tarnwick make?\nDoes it rain in Tarnwick?\nWho founded Tarnwick in 1986?")
    with serve(faults=[rain]) as server:
        options = ["--tuned=offline-judge", "--train-questions=1", f"--eval-questions={questions}"]
        assert main(served(server, tmp_path / "o", *options)) == 3
    arms = json.loads((tmp_path / "o" / "comparison.json").read_text())["metrics"]["answer_relevancy"]["arms"]
    assert (arms["teacher"]["n"], arms["teacher"]["n_unscored"]) == (2, 1)
    assert arms["teacher"]["unscored"] == {"there is no answer: the call failed": 1}
    assert arms["base"]["n"] == 3


def test_where_training_is_closed_a_model_from_elsewhere_completes_the_run(tmp_path, capsys):
    with serve(faults=[training_not_available()]) as server:
        assert main(served(server, tmp_path / "out")) == 0
        said = capsys.readouterr().err
        assert "training.jsonl elsewhere, then run again with --tuned MODEL --tuned-base-url URL." in said
        comparison = json.loads((tmp_path / "out" / "comparison.json").read_text())
        assert comparison["answer"].startswith("There is no tuned model to compare: ")
        assert "no longer trains" in comparison["answer"]
        assert comparison["metrics"]["faithfulness"]["arms"].keys() == {"base", "teacher"}
        before = server.requests["POST", "/v1/files"]
        with offline.serve() as elsewhere:
            tuned = ["--tuned", "offline-student", "--tuned-base-url", elsewhere.base_url]
            assert main(served(server, tmp_path / "out", *tuned)) == 0
            assert elsewhere.requests["POST", "/v1/chat/completions"] > 0
        assert server.requests["POST", "/v1/files"] == before


def test_a_student_of_another_service_is_asked_trained_and_verified_there(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("MINIRAG_STUDENT_API_KEY", "student-key")
    out, chats = tmp_path / "out", ("POST", "/v1/chat/completions")
    with offline.serve() as main_service, offline.serve() as students:
        command = served(main_service, out, "--student-base-url", students.base_url)
        assert main(command) == 0
        assert students.requests["POST", "/v1/fine_tuning/jobs"] == 1
        assert main_service.requests["POST", "/v1/fine_tuning/jobs"] == 0
        with MessageLog(out / "messages.jsonl") as log:
            arms = {(e.tags["arm"], e.service) for e in log if e.stage == "draft" and e.tags["split"] == "eval"}
        own = {(arm, students.base_url) for arm in ("base", "tuned")}
        assert arms == {*own, ("teacher", main_service.base_url)}
        sent = main_service.requests[chats], students.requests[chats]
        assert main(["run", "--out", str(out), "--base-url", main_service.base_url]) == 2
        assert f"give --student-base-url {students.base_url} again" in capsys.readouterr().err
        addresses = ["--base-url", main_service.base_url, *command[-2:]]
        assert main(["finetune", "--out", str(out), *addresses, "--status"]) == 0
        assert "succeeded" in capsys.readouterr().out
        assert main(command) == 0
        assert (main_service.requests[chats], students.requests[chats]) == sent
    assert main(["verify", str(out)]) == 0


def test_with_too_few_examples_for_a_job_the_other_models_are_judged(tmp_path, capsys):
    run = ["--offline", "--train-questions", "3", "--eval-questions", "2", "--out", str(tmp_path)]
    assert main(["run", str(SAMPLE_TEXT), *run]) == 0
    assert "a job needs at least 10" in capsys.readouterr().err
    assert {row["arm"] for row in rows(tmp_path / "scores.jsonl")} == {"base", "teacher"}
    assert "a job needs at least 10" in (tmp_path / "report.html").read_text("utf-8")
    assert main(["finetune", "--out", str(tmp_path)]) == 2


def test_a_job_is_cancelled_by_a_command_of_its_own(tmp_path, capsys):
    out, files = tmp_path / "out", shows("jobs", 1)
    with serve(faults=[shows("jobs", 1, last=3, status="running"), files]) as server:
        options, place = served(server, out)[1:], ["--base-url", server.base_url, "--out", str(out)]
        assert main(["collect", *options]) == 0
        assert main(["finetune", *place, "--cancel"]) == 2
        assert "holds no fine-tuning job" in capsys.readouterr().err
        with MessageLog(out / "messages.jsonl") as log, Service(server.base_url, "k") as service:
            file, how = out / "training.jsonl", {"seed": 0, "log": log, "service": service}
            job = FineTuningJob.create(file, base="offline-student", path=out / "job.json", **how)
        assert main(["finetune", *place, "--cancel", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["job"]["id"], told["job"]["status"]) == (job.id, "cancelled")
        assert "cancellation" in told["events"][-1]["message"]
        assert main(["finetune", *options]) == 0  # a cancelled job is not taken up again: a new one is started
        assert main(["finetune", *place, "--status"]) == 0
        assert "The job has successfully completed" in capsys.readouterr().out
        assert main(["finetune", *place, "--download"]) == 2
        assert "has no result files" in capsys.readouterr().err
        vars(files)["fields"] = {"result_files": [job.state["training_file"]]}
        assert main(["finetune", *place, "--download", "--json"]) == 0
        [path] = json.loads(capsys.readouterr().out)["files"]
        assert Path(path).read_bytes() == file.read_bytes()

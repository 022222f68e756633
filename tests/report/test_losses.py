"""The worst losses: the questions in which the tuned model lost most against the teacher, with both answers."""

import re
from dataclasses import replace

from made_results import made
from minirag.metrics.score import Score, ScoredRow, Scores
from minirag.report import Results, report_html
from minirag.report.results import worst_losses

TEXTS = [f"Why {number}?" for number in range(8)]


def lost(points: dict[str, float]) -> Results:
    """Results in which the teacher scores 1 and the tuned model so much less in faithfulness; both 1 in the rest."""
    results = made(TEXTS)
    scores = Scores()
    for row in results.scores:
        loss = points.get(row.question_id, 0.0) if (row.arm, row.metric) == ("tuned", "faithfulness") else 0.0
        evidence = [{"statement": f"claim of {row.question_id}", "supported": not loss, "reason": "not said"}]
        scores.append(ScoredRow(row.question_id, row.arm, row.metric, 0, Score(1.0 - loss, "", evidence)))
    return replace(results, scores=scores)


def test_the_five_largest_losses_come_first_with_the_statement_that_nothing_supports() -> None:
    page = worst_losses(lost({f"e{n}": n / 10 for n in range(8)}))
    assert re.findall(r"#question-(e\d)", page) == ["e7", "e6", "e5", "e4", "e3"]
    assert "faithfulness -0.700, answer relevancy +0.000" in page
    assert "<bdi>claim of e7</bdi> (not said)" in page
    assert "claim of e2" not in page


def test_it_is_said_where_a_model_lost_nowhere_and_left_out_where_there_is_none() -> None:
    assert "It scored below the teacher in no question." in worst_losses(lost({}))
    assert "Where the tuned model lost most" not in report_html(made(TEXTS, arms=("base", "teacher")))

"""Whether the page that a question was written from was found; all arms were given the same passages."""

from minirag.query import Answer
from minirag.questions import PAGE_GUESSED
from minirag.report.charts.retrieval import retrieval
from minirag.report.layout import figures, section
from minirag.report.markup import tag, text
from minirag.report.results import Results


def found_pages(results: Results) -> str:
    """The rank of each question's page, as a chart; questions whose page was guessed are left out."""
    ranks, guessed, most = [], 0, 1
    for question in results.questions:
        page, answer = results.source_pages.get(question.id), given(results, question.id)
        guessed += PAGE_GUESSED in question.flags
        if page is not None and answer is not None and PAGE_GUESSED not in question.flags:
            pages = [(hit.chunk.source, hit.chunk.page) for hit in answer.hits]
            ranks.append(pages.index(page) + 1 if page in pages else None)
            most = max(most, len(pages))
    told = f"Of {guessed} questions the page is only guessed: they are not counted." if guessed else ""
    return section(
        "Retrieval",
        figures([("Rank of the page that a question was written from", retrieval("Source page found", ranks, most))]),
        tag("p", text(told), class_="soft") if told else "",
    )


def given(results: Results, question: str) -> Answer | None:
    """An answer to the question, whose passages are those of all; None where every call failed."""
    return next((results.answers[arm, question] for arm in results.arms if (arm, question) in results.answers), None)

"""The fine-tuning job: how long each of its states took, and how the loss fell."""

from minirag.charts.training_job import job_timeline, loss_curve
from minirag.markup import tag, text
from minirag.report.layout import figures, section
from minirag.report.results import Results


def training(results: Results) -> str:
    """Both as charts; a sentence where nothing was trained here."""
    job = results.job
    if job is None:
        elsewhere = results.facts["settings"].get("tuned")
        told = f"{elsewhere} was trained elsewhere." if elsewhere else "No job was started."
        return section("Training", tag("p", text(told)))
    drawn = [
        ("The job's states", job_timeline("How long each state of the job took", job.states, job.end)),
        ("Loss, as told while it ran", loss_curve("Training and validation loss", job.training, job.validation)),
    ]
    return section("Training", figures(drawn))

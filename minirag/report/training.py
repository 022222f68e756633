"""The fine-tuning job: how long each of its states took, and how the loss fell."""

from minirag.report.charts.training_job import job_timeline, loss_curve
from minirag.report.layout import figures, section
from minirag.report.markup import tag, text
from minirag.report.results import Results

MINUTE = 60.0
"""Seconds: the states of a shorter job are not worth a picture, and would differ each time."""


def training(results: Results) -> str:
    """Both as charts; a sentence where nothing was trained here."""
    job = results.job
    if job is None:
        elsewhere = results.facts["settings"].get("tuned")
        told = f"{elsewhere} was trained elsewhere." if elsewhere else "No job was started."
        return section("Training", tag("p", text(told)))
    drawn = [("Loss", loss_curve("Training and validation loss", job.training, job.validation))]
    if job.states and job.end - job.states[0][1] >= MINUTE:
        timeline = job_timeline("How long each state of the job took", job.states, job.end)
        drawn.insert(0, ("The job's states", timeline))
    return section("Training", figures(drawn))

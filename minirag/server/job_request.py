"""Apart. What a client asks of a fine-tuning job, checked, as the job object that the service shows."""

import re
import time

from minirag.server.wire import Json, Refused, integer, number, optional_string, wrong_type


def new_job(body: Json, model: str, training_file: str, validation_file: str | None) -> Json:
    """The job as it is first shown, without its id; refused if a setting is not one."""
    settings = _hyperparameters(body)
    return {
        "object": "fine_tuning.job",
        "model": model,
        "created_at": int(time.time()),
        "finished_at": None,
        "fine_tuned_model": None,
        "organization_id": "org-minirag",
        "result_files": [],
        "status": "validating_files",
        "training_file": training_file,
        "validation_file": validation_file,
        "hyperparameters": settings,
        "trained_tokens": None,
        "error": None,
        "user_provided_suffix": optional_string(body, "suffix", 64),
        "seed": integer(body, "seed", 0, 2**31 - 1) or 0,
        "estimated_finish": None,
        "integrations": _integrations(body),
        "metadata": metadata(body),
        "method": method(settings),
    }


def method(settings: Json) -> Json:
    """The newer of the two places where a job shows its hyperparameters."""
    return {"type": "supervised", "supervised": {"hyperparameters": settings}}


def suffix(asked: str | None) -> str:
    """A suffix as it stands in a model's name.

    >>> suffix("My 10-K!"), suffix(None)
    ('my-10-k', '')
    """
    return re.sub(r"[^a-z0-9]+", "-", (asked or "").lower()).strip("-")


def _hyperparameters(body: Json) -> Json:
    """All three settings, "auto" where the client left the choice to us."""
    chosen = body.get("method") or {
        "type": "supervised",
        "supervised": {"hyperparameters": body.get("hyperparameters")},
    }
    if not isinstance(chosen, dict) or chosen.get("type") != "supervised":
        message = "Invalid 'method': this service trains with the type 'supervised' only."
        raise Refused(400, message, param="method", code="invalid_value")
    supervised = chosen.get("supervised") or {}
    given = (supervised.get("hyperparameters") if isinstance(supervised, dict) else supervised) or {}
    if not isinstance(given, dict):
        raise wrong_type("hyperparameters", "an object", given)
    asked = {name: value for name, value in given.items() if value != "auto"}
    return {
        "n_epochs": integer(asked, "n_epochs", 1, 50) or "auto",
        "batch_size": integer(asked, "batch_size", 1, 256) or "auto",
        "learning_rate_multiplier": number(asked, "learning_rate_multiplier", 1e-6, 1e6) or "auto",
    }


def _integrations(body: Json) -> list[Json]:
    """Kept and shown, but nothing is reported to anywhere: this service talks to nobody."""
    wanted = body.get("integrations") or []
    if not isinstance(wanted, list):
        raise wrong_type("integrations", "an array", wanted)
    for each in wanted:
        project = each.get("wandb", {}).get("project") if isinstance(each, dict) else None
        if not isinstance(project, str) or each.get("type") != "wandb":
            message = "Invalid 'integrations': each has the type 'wandb' and names a project."
            raise Refused(400, message, param="integrations", code="invalid_value")
    return wanted


def metadata(body: Json) -> dict[str, str] | None:
    """What a client wants to find its job or batch by."""
    metadata = body.get("metadata")
    if metadata is None:
        return None
    if not isinstance(metadata, dict):
        raise wrong_type("metadata", "an object", metadata)
    texts = all(isinstance(value, str) and len(value) <= 512 and len(key) <= 64 for key, value in metadata.items())
    if not texts or len(metadata) > 16:
        message = "Invalid 'metadata': at most 16 pairs of texts, keys up to 64 characters, values up to 512."
        raise Refused(400, message, param="metadata", code="invalid_value")
    return metadata

"""Apart. Embeddings: a request's JSON in, the reply's JSON out, as OpenAI's service shapes them."""

import base64

import numpy as np

from minirag import text as tokens
from minirag.offline import embedding
from minirag.offline.catalogue import EMBEDDING_MODEL, Catalogue
from minirag.offline.completions import model_name
from minirag.server.wire import Json, Refused, integer, optional_string, string, wrong_type

_MOST_TEXTS = 2048
_MOST_TOKENS = 300_000
_MOST_CHARACTERS = 1 << 20


def embeddings(body: Json, models: Catalogue) -> Json:
    """POST /v1/embeddings: one vector of unit length per text, as floats or as base64 of little-endian float32."""
    name = model_name(body)
    models.check_embedding(name)
    texts = _texts(body)
    dimensions = integer(body, "dimensions", 1, embedding.DIMENSIONS) or embedding.DIMENSIONS
    form = optional_string(body, "encoding_format") or "float"
    if form not in ("float", "base64"):
        raise Refused(
            400, f"'{form[:40]}' is not one of ['float', 'base64'] - 'encoding_format'", param="encoding_format"
        )
    used = _count(texts, models.window(name))
    rows = np.ascontiguousarray(embedding.embed(texts, dimensions), dtype="<f4")
    vectors = [base64.b64encode(row.tobytes()).decode() if form == "base64" else row.tolist() for row in rows]
    return {
        "object": "list",
        "data": [{"object": "embedding", "index": i, "embedding": vector} for i, vector in enumerate(vectors)],
        "model": name,
        "usage": {"prompt_tokens": used, "total_tokens": used},
    }


def _texts(body: Json) -> list[str]:
    given = body.get("input")
    if given is None:
        string(body, "input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise wrong_type("input", "a string or an array of strings (this model reads no token numbers)", given)
    if not 1 <= len(texts) <= _MOST_TEXTS or not all(0 < len(text) <= _MOST_CHARACTERS for text in texts):
        message = f"Invalid 'input': expected 1 to {_MOST_TEXTS} texts of 1 to {_MOST_CHARACTERS} characters each."
        raise Refused(400, message, param="input", code="invalid_value")
    return texts


def _count(texts: list[str], window: int) -> int:
    """The tokens of all texts; refused if one, or all together, have too many."""
    counts = list(map(tokens.for_model(EMBEDDING_MODEL).count, texts))
    if max(counts) > window:
        raise Refused(
            400,
            f"This model's maximum context length is {window} tokens, however you requested {max(counts)} tokens "
            f"({max(counts)} in your prompt; 0 for the completion). Please reduce your prompt; or completion length.",
        )
    if sum(counts) > _MOST_TOKENS:
        message = f"Requested {sum(counts)} tokens, max {_MOST_TOKENS} tokens per request"
        raise Refused(400, message, code="max_tokens_per_request", kind="max_tokens_per_request")
    return sum(counts)

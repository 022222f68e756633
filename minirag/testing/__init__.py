"""For tests of your own scripts: models without a service, a recorded log as a service, settings for cassettes.

Nothing is patched: the models have the methods of `ChatModel` and `EmbeddingModel` and are passed in their place.
"""

from minirag.testing.cassettes import vcr_config
from minirag.testing.models import FunctionChat, ScriptedChat, TableEmbedding, completion
from minirag.testing.replay import Replay

__all__ = ["FunctionChat", "Replay", "ScriptedChat", "TableEmbedding", "completion", "vcr_config"]

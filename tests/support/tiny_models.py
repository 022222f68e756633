"""A Llama of random weights, small enough to learn a few rows by heart in seconds, its tokenizer, and such rows."""

from pathlib import Path
from typing import Any

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}{% endif %}"
)
"""ChatML, with a switch for thinking as Qwen's template has it."""
COLOURS = {"grass": "green", "snow": "white", "coal": "black", "sky": "blue"}
CHATS: Any = [
    [
        {"role": "user", "content": f"What is the colour of {thing} ?"},
        {"role": "assistant", "content": f"It is {colour} ."},
    ]
    for thing, colour in COLOURS.items()
]
TEXTS = ["system user assistant What is the colour of grass snow coal sky ? It green white black blue Say ."]


def save(folder: Path, template: str | None = TEMPLATE) -> str:
    """Write the model into a folder and return its path. As in SmolLM2, the padding token is the end token."""
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    vocabulary = ByteLevelBPETokenizer()
    vocabulary.train_from_iterator(TEXTS * 20, vocab_size=400, special_tokens=["<|im_end|>", "<|im_start|>"])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=vocabulary._tokenizer, eos_token="<|im_end|>", pad_token="<|im_end|>", chat_template=template
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=256,
            initializer_range=0.3,  # of the usual 0.02 an adapter alone can learn nothing
            bos_token_id=1,
            eos_token_id=0,
            pad_token_id=0,
        )
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)

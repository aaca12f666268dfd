"""Serves a tiny model with llama.cpp's own server: llama_cpp.py PORT KEY [embeddings]

The model is made here: random weights from a fixed seed, so that its answers mean nothing and are always the same.
"""

import pathlib
import signal
import sys
import time

import gguf
import numpy as np
import xllamacpp as llama

EMBEDDING, LAYERS, HEADS, FEED_FORWARD, CONTEXT = 64, 2, 4, 128, 1024
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def byte_letters() -> dict[int, str]:
    """The letters by which GPT-2's tokenizer writes bytes."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {byte: chr(byte) for byte in printable}
    for byte in range(256):
        if byte not in letters:
            letters[byte] = chr(256 + len(letters) - len(printable))
    return letters


def vocabulary() -> tuple[list[str], list[str]]:
    letters = byte_letters()
    tokens = [letters[byte] for byte in range(256)]
    merges: list[str] = []
    for word in (" the", " of", " data", " model", " rust", "ing"):
        done = letters[ord(word[0])]
        for letter in word[1:]:
            merge = f"{done} {letters[ord(letter)]}"
            if merge not in merges:
                merges.append(merge)
            done += letters[ord(letter)]
            if done not in tokens:
                tokens.append(done)
    return tokens, merges


def write(path: pathlib.Path) -> None:
    tokens, merges = vocabulary()
    types = [gguf.TokenType.NORMAL] * len(tokens) + [gguf.TokenType.CONTROL] * len(SPECIAL)
    tokens += SPECIAL
    random = np.random.default_rng(7)
    file = gguf.GGUFWriter(path, "llama")
    file.add_name("tiny-random")
    file.add_context_length(CONTEXT)
    file.add_embedding_length(EMBEDDING)
    file.add_block_count(LAYERS)
    file.add_feed_forward_length(FEED_FORWARD)
    file.add_head_count(HEADS)
    file.add_head_count_kv(HEADS)
    file.add_layer_norm_rms_eps(1e-5)
    file.add_rope_dimension_count(EMBEDDING // HEADS)
    file.add_vocab_size(len(tokens))
    file.add_file_type(gguf.LlamaFileType.ALL_F32)
    file.add_tokenizer_model("gpt2")
    file.add_tokenizer_pre("gpt-2")
    file.add_token_list(tokens)
    file.add_token_types(types)
    file.add_token_merges(merges)
    file.add_bos_token_id(tokens.index(SPECIAL[0]))
    file.add_eos_token_id(tokens.index(SPECIAL[2]))
    file.add_add_bos_token(False)
    file.add_chat_template(TEMPLATE)

    def weights(*shape: int) -> np.ndarray:
        return (random.standard_normal(shape) * 0.08).astype(np.float32)

    def ones(name: str) -> None:
        file.add_tensor(name, np.ones(EMBEDDING, dtype=np.float32))

    file.add_tensor("token_embd.weight", weights(len(tokens), EMBEDDING))
    output = weights(len(tokens), EMBEDDING) * 6
    # Control characters and halves of letters are unlikely, so that answers can be read.
    output[:32] = 0
    output[127:256] = 0
    file.add_tensor("output.weight", output)
    ones("output_norm.weight")
    for layer in range(LAYERS):
        block = f"blk.{layer}."
        ones(block + "attn_norm.weight")
        ones(block + "ffn_norm.weight")
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            file.add_tensor(f"{block}{name}.weight", weights(EMBEDDING, EMBEDDING))
        file.add_tensor(block + "ffn_gate.weight", weights(FEED_FORWARD, EMBEDDING))
        file.add_tensor(block + "ffn_up.weight", weights(FEED_FORWARD, EMBEDDING))
        file.add_tensor(block + "ffn_down.weight", weights(EMBEDDING, FEED_FORWARD))
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()


def main() -> None:
    port, key, *mode = sys.argv[1:]
    model = pathlib.Path("tiny.gguf").resolve()
    write(model)
    settings = llama.CommonParams()
    settings.model.path = str(model)
    settings.hostnames = ["127.0.0.1"]
    settings.port = int(port)
    settings.n_ctx = 512
    settings.n_parallel = 1
    settings.cpuparams.n_threads = 1
    settings.cpuparams_batch.n_threads = 1
    settings.warmup = False
    settings.offline = True
    settings.ui = False
    settings.use_jinja = True
    settings.model_alias = {"tiny"}
    settings.api_keys = [key]
    if mode:
        settings.embedding = True
        settings.pooling_type = llama.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    server = llama.Server(settings)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print("listening at", server.listening_address, flush=True)
    while True:
        time.sleep(1)


if __name__ == "__main__":
    main()

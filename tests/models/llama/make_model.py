"""Writes a tiny model of Llama's kind with random weights, and a vocabulary of single bytes: make_model.py FILE SEED"""

import sys

import gguf
import numpy

WIDTH, LAYERS, HEADS, HIDDEN, CONTEXT = 64, 2, 4, 128, 512
CONTROL = ["<unk>", "<s>", "</s>"]
VOCABULARY = CONTROL + [f"<0x{byte:02X}>" for byte in range(256)]
TEMPLATE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant:"


def main(path, seed):
    random = numpy.random.default_rng(seed)
    model = gguf.GGUFWriter(path, "llama")
    model.add_context_length(CONTEXT)
    model.add_embedding_length(WIDTH)
    model.add_block_count(LAYERS)
    model.add_feed_forward_length(HIDDEN)
    model.add_head_count(HEADS)
    model.add_head_count_kv(HEADS)
    model.add_layer_norm_rms_eps(1e-5)
    model.add_rope_dimension_count(WIDTH // HEADS)
    model.add_vocab_size(len(VOCABULARY))
    model.add_tokenizer_model("llama")
    model.add_token_list(VOCABULARY)
    model.add_token_scores([0.0] * len(VOCABULARY))
    types = [gguf.TokenType.UNKNOWN] + [gguf.TokenType.CONTROL] * 2
    model.add_token_types(types + [gguf.TokenType.BYTE] * 256)
    model.add_unk_token_id(0)
    model.add_bos_token_id(1)
    model.add_eos_token_id(2)
    model.add_chat_template(TEMPLATE)

    def weights(name, *shape):
        model.add_tensor(name + ".weight", (random.standard_normal(shape) * 0.2).astype(numpy.float32))

    def ones(name):
        model.add_tensor(name + ".weight", numpy.ones(WIDTH, dtype=numpy.float32))

    weights("token_embd", len(VOCABULARY), WIDTH)
    ones("output_norm")
    weights("output", len(VOCABULARY), WIDTH)
    for layer in range(LAYERS):
        block = f"blk.{layer}."
        ones(block + "attn_norm")
        ones(block + "ffn_norm")
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            weights(block + name, WIDTH, WIDTH)
        weights(block + "ffn_gate", HIDDEN, WIDTH)
        weights(block + "ffn_up", HIDDEN, WIDTH)
        weights(block + "ffn_down", WIDTH, HIDDEN)
    model.write_header_to_file()
    model.write_kv_data_to_file()
    model.write_tensors_to_file()
    model.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

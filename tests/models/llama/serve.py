"""Serves a tiny model with llama.cpp's own server, under this name: serve.py PORT NAME chat|embeddings"""

import sys
import threading

import make_model
import xllamacpp

if __name__ == "__main__":
    port, name, kind = sys.argv[1:]
    make_model.main("model.gguf", 1)
    params = xllamacpp.CommonParams()
    params.model.path = "model.gguf"
    params.model_alias = {name} if isinstance(params.model_alias, set) else [name]
    params.hostnames = ["127.0.0.1"]
    params.port = int(port)
    params.n_ctx = 2048
    params.n_parallel = 4
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    params.ui = False
    if kind == "embeddings":
        params.embedding = True
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    server = xllamacpp.Server(params)
    threading.Event().wait()

"""llama.cpp as a peer of the bench: reads one request a line, answers with seconds of time and of processor time.

open PATH           the model; answers with what the library was compiled with
decode N THREADS    N greedy tokens after one token of prompt
prefill N THREADS   N tokens of prompt
"""

import ctypes
import sys
import time

import llama_cpp as lib
import numpy as np

model = context = None
vocabulary = 0


def forward(tokens):
    array = (lib.llama_token * len(tokens))(*tokens)
    if lib.llama_decode(context, lib.llama_batch_get_one(array, len(tokens))) != 0:
        sys.exit("llama_decode failed")
    logits = lib.llama_get_logits_ith(context, -1)
    return int(np.ctypeslib.as_array(logits, shape=(vocabulary,)).argmax())


def measure(work):
    lib.llama_memory_clear(lib.llama_get_memory(context), True)
    start, busy = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - start, time.process_time() - busy


def decode(count):
    token = 1
    for _ in range(count):
        token = forward([token])


def main():
    global model, context, vocabulary
    silent = lib.llama_log_callback(lambda *_: None)
    lib.llama_log_set(silent, ctypes.c_void_p(0))
    lib.llama_backend_init()
    for line in sys.stdin:
        request, *rest = line.split()
        if request == "open":
            params = lib.llama_model_default_params()
            model = lib.llama_model_load_from_file(rest[0].encode(), params)
            params = lib.llama_context_default_params()
            params.n_ctx, params.n_batch, params.n_ubatch = 1024, 512, 512
            context = lib.llama_init_from_model(model, params)
            vocabulary = lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(model))
            print(lib.llama_print_system_info().decode().replace("\n", " "), flush=True)
            continue
        count, threads = map(int, rest)
        lib.llama_set_n_threads(context, threads, threads)
        prompt = [1] + [259 + i * 37 % 1000 % (vocabulary - 259) for i in range(count - 1)]
        work = (lambda: decode(count)) if request == "decode" else (lambda: forward(prompt))
        print(*measure(work), flush=True)


main()

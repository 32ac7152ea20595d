"""llama.cpp as a peer of the bench: reads one request a line; answers runs with seconds of time and of processor time.

open PATH                    the model; answers with what the library was compiled with
decode N THREADS             N greedy tokens after one token of prompt
prefill N THREADS            N tokens of prompt
batch SEQUENCES N THREADS    N greedy tokens of that many sequences at once, in all
logits PATH, ID, ID ... (tabs between)   writes the logits after each of these tokens, binary32 [tokens, vocabulary], into a file; answers with their number
"""

import ctypes
import sys
import time

import llama_cpp as lib
import numpy as np

CONTEXT = 1024
SEQUENCES = 8

model = context = None
vocabulary = 0
# The library gives logits where it gave the last ones: an array for a place is made once.
views = {}


def logits(index):
    """The logits of an output of the last batch, without a copy."""
    pointer = lib.llama_get_logits_ith(context, index)
    address = ctypes.addressof(pointer.contents)
    if address not in views:
        views[address] = np.ctypeslib.as_array(pointer, shape=(vocabulary,))
    return views[address]


def run(batch):
    if lib.llama_decode(context, batch) != 0:
        sys.exit(f"llama_decode failed on {batch.n_tokens} tokens")


def measure(work):
    lib.llama_memory_clear(lib.llama_get_memory(context), True)
    start, busy = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - start, time.process_time() - busy


def decode(count):
    token = (lib.llama_token * 1)(1)
    batch = lib.llama_batch_get_one(token, 1)
    for _ in range(count):
        run(batch)
        token[0] = logits(-1).argmax()


def prefill(count):
    prompt = [1] + [259 + i * 37 % 1000 % (vocabulary - 259) for i in range(count - 1)]
    # The batch points into the array: it must not be freed before the run.
    tokens = (lib.llama_token * count)(*prompt)
    run(lib.llama_batch_get_one(tokens, count))
    logits(-1).argmax()


def decode_batch(sequences, count):
    batch = lib.llama_batch_init(sequences, 0, 1)
    batch.n_tokens = sequences
    for i in range(sequences):
        batch.token[i], batch.n_seq_id[i], batch.logits[i] = i or 1, 1, 1
        batch.seq_id[i][0] = i
    for position in range(count // sequences):
        for i in range(sequences):
            batch.pos[i] = position
        run(batch)
        for i in range(sequences):
            batch.token[i] = logits(i).argmax()
    lib.llama_batch_free(batch)


def write_logits(path, tokens):
    lib.llama_memory_clear(lib.llama_get_memory(context), True)
    batch = lib.llama_batch_init(len(tokens), 0, 1)
    batch.n_tokens = len(tokens)
    for i, token in enumerate(tokens):
        batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, i, 1, 1
        batch.seq_id[i][0] = 0
    run(batch)
    np.stack([logits(i) for i in range(len(tokens))]).astype("<f4").tofile(path)
    lib.llama_batch_free(batch)
    return len(tokens)


def open_model(path):
    global model, context, vocabulary
    if context:
        lib.llama_free(context)
        lib.llama_model_free(model)
    views.clear()
    model = lib.llama_model_load_from_file(path.encode(), lib.llama_model_default_params())
    if not model:
        sys.exit(f"llama.cpp cannot load {path}")
    params = lib.llama_context_default_params()
    params.n_ctx, params.n_batch, params.n_ubatch = CONTEXT, 512, 512
    params.n_seq_max, params.kv_unified = SEQUENCES, True
    context = lib.llama_init_from_model(model, params)
    if not context:
        sys.exit(f"llama.cpp cannot run {path}")
    vocabulary = lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(model))
    info = lib.llama_print_system_info().decode().replace("\n", " ").strip(" |")
    return f"llama-cpp-python {lib.__version__}: {info}"


def main():
    silent = lib.llama_log_callback(lambda *_: None)
    lib.llama_log_set(silent, ctypes.c_void_p(0))
    lib.llama_backend_init()
    for line in sys.stdin:
        request, rest = line.rstrip("\n").split(" ", 1)
        if request == "open":
            print(open_model(rest), flush=True)
            continue
        if request == "logits":
            path, *tokens = rest.split("\t")
            print(write_logits(path, [int(token) for token in tokens]), flush=True)
            continue
        *numbers, threads = map(int, rest.split())
        lib.llama_set_n_threads(context, threads, threads)
        work = {"decode": decode, "prefill": prefill, "batch": decode_batch}[request]
        print(*measure(lambda: work(*numbers)), flush=True)


main()

"""Runs llama.cpp's server: `python chat_server.py MODEL.gguf`. It prints its address, and ends with stdin."""

import sys

import xllamacpp

parameters = xllamacpp.CommonParams()
parameters.model.path = sys.argv[1]
parameters.port = 0
parameters.n_ctx = 4096
parameters.n_parallel = 2
parameters.warmup = False
# Threads that wait for each other stand still on a machine that is busy with other things.
parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
server = xllamacpp.Server(parameters)
print(server.listening_address, flush=True)
sys.stdin.read()

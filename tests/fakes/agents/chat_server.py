"""Runs llama.cpp's server: `python chat_server.py MODEL.gguf`. It prints its address, and ends with stdin."""

import sys

import xllamacpp

parameters = xllamacpp.CommonParams()
parameters.model.path = sys.argv[1]
parameters.port = 0
parameters.n_ctx = 8192
parameters.n_parallel = 2
server = xllamacpp.Server(parameters)
print(server.listening_address, flush=True)
sys.stdin.read()

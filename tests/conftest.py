"""What every test's process is told before torch, vLLM and the Hub's library are imported anywhere."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two workers of a suite on two cores
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TQDM_DISABLE", "1")
os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")

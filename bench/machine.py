"""What benchmarks say about the machine that they ran on."""

import platform


def _cpuinfo(key):
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith(key):
                return line.split(":", 1)[1].strip()
    return ""


def cpu_name():
    return _cpuinfo("model name") or platform.processor()


def cpu_features():
    """Those that decide how fast convolutions can be."""
    flags = _cpuinfo("flags").split()
    return [f for f in ("avx2", "avx512f", "avx512_bf16", "amx_tile") if f in flags]

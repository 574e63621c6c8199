"""What benchmarks say about the machine that they ran on."""

import platform
import subprocess


def _first_value(file, key):
    with open(file, encoding="utf-8") as lines:
        for line in lines:
            if line.startswith(key):
                return line.split(":", 1)[1].strip()
    return ""


def cpu_name():
    return _first_value("/proc/cpuinfo", "model name") or platform.processor()


def available_memory():
    """Bytes that processes can still get."""
    return int(_first_value("/proc/meminfo", "MemAvailable").split()[0]) << 10


def cpu_features():
    """Those that decide how fast convolutions can be."""
    flags = _first_value("/proc/cpuinfo", "flags").split()
    return [f for f in ("avx2", "avx512f", "avx512_bf16", "amx_tile", "amx_bf16") if f in flags]


def two_core_speedup(cores, source, folder, trials=12):
    """How much more two processes on two cores compute than one: 2 on two real cores, 1 on two threads of one.

    The best of many short trials: other work on the machine can only make it smaller.
    """
    program = folder / "fma_rate"
    subprocess.run(["cc", "-O2", "-march=native", "-o", program, source], check=True)

    def together(some):
        started = [subprocess.Popen(["taskset", "-c", str(core), program, "0.1"], stdout=subprocess.PIPE,
                                    stderr=subprocess.DEVNULL, text=True) for core in some]
        return sum(float(p.communicate()[0]) for p in started)

    alone = max(together([core]) for core in cores[:2] for _ in range(trials // 2))
    return max(together(cores[:2]) for _ in range(trials)) / alone

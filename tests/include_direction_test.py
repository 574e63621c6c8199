"""A folder includes only what stands left of it in DESIGN's order.

Run as: include_direction_test.py SOURCE_DIR.
"""

import pathlib
import re
import sys

# Folders of one row do not include each other. models, generators, bench and tests stand outside: they may include
# anything, and only the command may include models.
ORDER = [
    ["base"],
    ["network"],
    ["onnx", "pytorch", "simplify", "nest"],
    ["plan"],
    ["lower"],
    ["kernels"],
    ["legality"],
    ["autoschedule"],
    ["compile"],
    ["report"],
    ["explore"],
    ["cli"],
]
RANK = {folder: rank for rank, row in enumerate(ORDER) for folder in row}
OUTSIDE = {"models", "generators", "bench", "tests"}


def violations(folder, text):
    """What is wrong with the includes of a file's text, for a file of this folder."""
    text = re.sub(r'R"(\w*)\(.*?\)\1"', '""', text, flags=re.S)  # generated code in raw strings
    for line in re.findall(r'^\s*#\s*include\s*"([^"]+)"', text, re.M):
        target = line.split("/")[0]
        if target == folder or (folder, target) == ("cli", "models"):
            continue
        if target in OUTSIDE:
            yield f'"{line}": {folder} does not include {target}'
        elif "/" not in line or target not in RANK:
            yield f'"{line}": no folder {target}; includes are relative to the root'
        elif RANK[target] >= RANK[folder]:
            yield f'"{line}": {target} does not stand left of {folder}'


def check_itself():
    for folder, include, wrong in [
        ("network", "base/result.h", False),
        ("base", "network/network.h", True),
        ("nest", "simplify/simplify.h", True),
        ("nest", "nest/step.h", False),
        ("compile", "autoschedule/space.h", False),
        ("autoschedule", "compile/loaded_network.h", True),
        ("cli", "models/models.h", False),
        ("plan", "models/models.h", True),
        ("plan", "util/strings.h", True),
        ("plan", "plan.h", True),
    ]:
        assert not list(violations(folder, f'const char* t = R"(\n#include "{include}"\n)";'))
        assert bool(list(violations(folder, f'#include "{include}"\n'))) == wrong, (folder, include)


def main(root):
    check_itself()
    found, files = [], 0
    places = {folder: root / "src" / folder for folder in RANK}
    places["autoschedule"] = root / "autoschedule"
    unknown = [p.name for p in (root / "src").iterdir() if p.is_dir() and p.name not in RANK]
    found += [f"src/{name} is not in the order" for name in unknown]
    for folder, place in places.items():
        for path in sorted(p for p in place.rglob("*") if p.suffix in {".h", ".cpp", ".c"}):
            files += 1
            for what in violations(folder, path.read_text()):
                found.append(f"{path.relative_to(root)}: {what}")
    print("\n".join(found) or f"{files} files include only what stands left of them")
    assert files > 0
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))

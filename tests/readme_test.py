"""The program in README.md is examples/app/app.cpp, which the tests build and run."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def main():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    example = (ROOT / "examples" / "app" / "app.cpp").read_text(encoding="utf-8")
    shown = re.search(r"```cpp\n(.*?)```", readme, re.DOTALL).group(1)
    code = "".join(line for line in example.splitlines(keepends=True) if not line.startswith("//"))
    if shown != code:
        sys.exit("README.md's program differs from examples/app/app.cpp: make them equal")
    for verb in re.findall(r"^\./dev (\w+)", readme, re.MULTILINE):
        if not re.search(rf"\b{verb}\b", (ROOT / "dev").read_text(encoding="utf-8")):
            sys.exit(f"README.md names ./dev {verb}, which is no verb")


if __name__ == "__main__":
    main()

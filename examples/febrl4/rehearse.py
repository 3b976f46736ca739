"""Rehearse on both versions of FEBRL 4 and write build/febrl4.json.

    python examples/febrl4/rehearse.py --out build/febrl4.json

`full` and `half` are each the object that `linkage rehearse --json` prints.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("build/febrl4.json"))
    parser.add_argument("--seed", type=int, default=None, help="which quarter is dropped")
    arguments = parser.parse_args()
    files = arguments.out.parent / "febrl4"
    seed = [] if arguments.seed is None else ["--seed", str(arguments.seed)]
    subprocess.run([sys.executable, HERE / "make_files.py", files, *seed], check=True)
    results = {}
    for case in ("full", "half"):
        directory = files / case
        command = [sys.executable, "-m", "linkage", "rehearse", directory / "manifest.json"]
        for partner in ("a", "b"):
            command += ["--partner", f"{partner}={directory / partner}.csv"]
        command += ["--truth", "truth", "--json"]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        results[case] = json.loads(done.stdout.splitlines()[-1])
        at = results[case]["recommended"]
        print(
            f"{case}: F1 {at['f1']:.4f} at the recommended threshold {at['threshold']:g}"
            f" (precision {at['precision']:.4f}, recall {at['recall']:.4f};"
            f" best F1 {results[case]['best']['f1']:.4f})"
        )
    arguments.out.write_text(json.dumps(results, indent=1) + "\n")
    print(f"wrote {arguments.out}")


if __name__ == "__main__":
    main()

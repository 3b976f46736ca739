"""clkhash itself, to compare with; run by the peers' own Python (`make peers`).

One case a line on standard input, `{"schema": {...}, "rows": [[...]], "secret": hex}`, or with the
texts of a CSV file and of a secret, `{"schema": {...}, "csv": text, "secret": text}`; one answer a
line on standard output, `{"clks": [base64, ...]}`, or `{"error": class}` if clkhash refuses the
schema or a row.
"""

import io
import json
import sys

from clkhash.clk import generate_clk_from_csv, generate_clks
from clkhash.schema import from_json_dict
from clkhash.serialization import serialize_bitarray


def answer(case: dict) -> dict:
    try:
        schema = from_json_dict(case["schema"])
        if "csv" in case:
            lines = io.StringIO(case["csv"])
            how = {"progress_bar": False, "max_workers": 1}
            clks = generate_clk_from_csv(lines, case["secret"], schema, **how)
        else:
            rows, secret = case["rows"], bytes.fromhex(case["secret"])
            clks = generate_clks(rows, schema, secret, max_workers=1)
    except Exception as error:  # whatever it is, clkhash makes no filters of this case
        return {"error": type(error).__name__}
    return {"clks": [serialize_bitarray(clk) for clk in clks]}


def main() -> None:
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()

"""The python3 workload: JSON documents made, written and read again.

    json_round_trips.py [DOCUMENTS]   default 24900

Run with PYTHONMALLOC=malloc, every object of the interpreter is a malloc block.
Every document differs from the last in content and shape; one in eight is
written with indentation, which the json module does in Python rather than in C.
The same documents every time.
"""

import json
import random
import sys


def document(rng, n):
    return {
        "id": n,
        "name": "item %d" % rng.randrange(1 << rng.randrange(1, 40)),
        "tags": ["tag%d" % rng.randrange(1000) for _ in range(rng.randrange(16))],
        "scores": [rng.random() * k for k in range(rng.randrange(24))],
        "nested": {
            "left": {"value": n, "next": None},
            "right": [{"k": k, "v": "x" * rng.randrange(80)} for k in range(rng.randrange(12))],
        },
    }


def main():
    documents = int(sys.argv[1]) if len(sys.argv) > 1 else 24900
    rng = random.Random(3)
    length = 0
    for n in range(documents):
        made = document(rng, n)
        text = json.dumps(made, indent=2 if n % 8 == 0 else None)
        assert json.loads(text) == made
        length += len(text)
    print(length)


if __name__ == "__main__":
    main()

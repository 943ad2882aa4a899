#!/usr/bin/env python3
"""Writes the SQL script of the sqlite workload to stdout.

    sqlite_script.py [ROWS]        default 30000

One INSERT statement a row (the parser and the code generator allocate for each),
then joins, groups, sorts, updates and text functions over the rows. For
`sqlite3 :memory:`. The same script every time.
"""

import random
import sys


def main():
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 30000
    rng = random.Random(2)
    words = ["alpha", "bravo", "cedar", "delta", "ember", "fjord", "grain", "harbor"]
    out = ["BEGIN;"]
    out.append("CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT, price REAL, kind INTEGER);")
    out.append("CREATE TABLE sale(item INTEGER, day INTEGER, amount INTEGER, note TEXT);")
    out.append("CREATE INDEX sale_item ON sale(item, day);")
    for i in range(rows):
        name = "%s-%s-%d" % (rng.choice(words), rng.choice(words), i)
        if i % 4 == 0:
            out.append("INSERT INTO item VALUES(%d, '%s', %.2f, %d);"
                       % (i // 4, name, rng.random() * 100, rng.randrange(20)))
        else:
            out.append("INSERT INTO sale VALUES(%d, %d, %d, upper('%s') || '-' || %d);"
                       % (rng.randrange(i // 4 + 1), rng.randrange(365), rng.randrange(50), name, i))
        if i % 50 == 49:
            out.append("SELECT count(*), sum(amount), max(note) FROM sale WHERE item = %d AND day > %d;"
                       % (rng.randrange(i // 4 + 1), rng.randrange(365)))
    out.append("COMMIT;")
    for kind in range(20):
        out.append("SELECT i.name, sum(s.amount * i.price) AS total, group_concat(substr(s.note, 1, 4)) "
                   "FROM sale s JOIN item i ON i.id = s.item WHERE i.kind = %d "
                   "GROUP BY i.id HAVING total > 10 ORDER BY total DESC, i.name LIMIT 3;" % kind)
        out.append("UPDATE sale SET note = replace(note, 'ALPHA', 'omega') || '%d' "
                   "WHERE item IN (SELECT id FROM item WHERE kind = %d);" % (kind, kind))
    out.append("SELECT printf('%s:%d', kind, count(DISTINCT name)) FROM item GROUP BY kind ORDER BY 1;")
    out.append("SELECT length(group_concat(note, ',')) FROM sale;")
    print("\n".join(out))


if __name__ == "__main__":
    main()

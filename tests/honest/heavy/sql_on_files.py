# needs: duckdb
# flags: --import duckdb --read {data} --read {out} --write {out} --memory 2GiB
# args: {data} {out}
# prints: [('north', 30), ('south', 12)]
import sys

import duckdb

data, out = sys.argv[1:]
base = duckdb.connect(f"{out}/base.duckdb")
base.execute(f"create table sales as select * from read_csv('{data}/sales.csv')")
print(base.execute("select region, sum(amount) from sales group by all order by 1").fetchall())
base.close()

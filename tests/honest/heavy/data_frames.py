# denials: some
# needs: pandas
# flags: --import pandas --read {data} --read {out} --write {out} --memory 2GiB
# args: {data} {out}
# prints: {'north': 30, 'south': 12}
# prints: [11.0, 20.0]
# prints: (3, 3) (5, 5)
import sys

import pandas as pd

data, out = sys.argv[1:]
sales = pd.read_csv(f"{data}/sales.csv")
print(sales.groupby("region")["amount"].sum().to_dict())
sales["when"] = pd.date_range("2026-01-30", periods=len(sales), freq="D", tz="UTC")
print(sales.set_index("when").resample("ME")["amount"].mean().round(1).tolist())
sales.to_json(f"{out}/sales.json", orient="records", date_format="iso")
sales.to_pickle(f"{out}/sales.pkl")
print(pd.read_pickle(f"{out}/sales.pkl").shape, sales.merge(sales, on="region").shape)

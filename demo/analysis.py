"""Where do people keep their clocks? A small analysis of the time-zone tables of IANA.

    python analysis.py ZONEINFO OUT

Reads zone1970.tab and iso3166.tab in ZONEINFO, prints a report, writes OUT/zones.csv and
OUT/summary.json. Nothing here knows of Belljar.
"""

import csv
import json
import os
import sys
from collections import Counter


def rows(path):
    """The fields of every line that is not a comment."""
    with open(path, encoding="utf-8") as file:
        return [line.rstrip("\n").split("\t") for line in file if not line.startswith("#")]


def degrees(text):
    """One ISO 6709 angle, `+DDMM`, `+DDDMM`, `+DDMMSS` or `+DDDMMSS`, as degrees.

    >>> degrees("-720041")
    -72.01138888888889
    """
    sign = -1 if text[0] == "-" else 1
    digits = text[1:]
    whole = len(digits) % 2 + 2  # three digits where the number of digits is odd
    parts = [digits[:whole], *(digits[i : i + 2] for i in range(whole, len(digits), 2))]
    return sign * sum(int(part) / 60**power for power, part in enumerate(parts))


def coordinates(text):
    """Latitude and longitude of `-720041+0023206`, in degrees."""
    cut = max(text.rfind("+"), text.rfind("-"))
    return degrees(text[:cut]), degrees(text[cut:])


def read_zones(folder):
    """Every zone as a dict: name, codes, countries, latitude, longitude, comment."""
    names = dict(rows(os.path.join(folder, "iso3166.tab")))
    zones = []
    for codes, place, name, *comment in rows(os.path.join(folder, "zone1970.tab")):
        latitude, longitude = coordinates(place)
        zones.append(
            {
                "name": name,
                "codes": codes.split(","),
                "countries": [names[code] for code in codes.split(",")],
                "latitude": latitude,
                "longitude": longitude,
                "comment": comment[0] if comment else "",
            }
        )
    return zones


def summarise(zones):
    """The figures of the report."""
    most = Counter(country for zone in zones for country in zone["countries"])
    shared = max(zones, key=lambda zone: len(zone["codes"]))
    return {
        "zones": len(zones),
        "countries": len({code for zone in zones for code in zone["codes"]}),
        "most zones": most.most_common(6),
        "most shared": [shared["name"], len(shared["codes"])],
        "hemispheres": {
            "north": sum(zone["latitude"] >= 0 for zone in zones),
            "south": sum(zone["latitude"] < 0 for zone in zones),
            "east": sum(zone["longitude"] >= 0 for zone in zones),
            "west": sum(zone["longitude"] < 0 for zone in zones),
        },
        "furthest": {
            "north": furthest(zones, "latitude", max),
            "south": furthest(zones, "latitude", min),
            "east": furthest(zones, "longitude", max),
            "west": furthest(zones, "longitude", min),
        },
    }


def furthest(zones, axis, choose):
    zone = choose(zones, key=lambda zone: zone[axis])
    return [zone["name"], round(zone[axis], 2)]


def report(summary):
    """Print the summary as tables."""
    print(f"{summary['zones']} time zones in {summary['countries']} countries and territories")
    print()
    print(f"{'most zones':<28}{'furthest':<10}{'zone':<24}{'degrees':>9}")
    left = [f"{name:<22}{count:>3}" for name, count in summary["most zones"]]
    right = [f"{side:<10}{name:<24}{at:>9.2f}" for side, (name, at) in summary["furthest"].items()]
    right += ["", "{:<10}{} ({} countries)".format("shared", *summary["most shared"])]
    for pair in zip(left, right, strict=True):
        print(f"{pair[0]:<28}{pair[1]}".rstrip())
    print()
    print("zones by hemisphere")
    for side, count in summary["hemispheres"].items():
        print(f"  {side:<6}{count:>4}  {'#' * (count // 8)}")


def save(zones, summary, folder):
    """zones.csv, north to south, and summary.json."""
    with open(os.path.join(folder, "zones.csv"), "w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(["zone", "latitude", "longitude", "countries", "comment"])
        for zone in sorted(zones, key=lambda zone: -zone["latitude"]):
            place = [f"{zone['latitude']:.4f}", f"{zone['longitude']:.4f}"]
            out.writerow([zone["name"], *place, ";".join(zone["countries"]), zone["comment"]])
    with open(os.path.join(folder, "summary.json"), "w", encoding="utf-8") as file:
        json.dump(summary, file, indent=2, ensure_ascii=False)
        file.write("\n")


def main(zoneinfo, out):
    zones = read_zones(zoneinfo)
    summary = summarise(zones)
    report(summary)
    save(zones, summary, out)


if __name__ == "__main__":
    main(*sys.argv[1:])

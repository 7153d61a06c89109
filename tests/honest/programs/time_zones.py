# flags:
# prints: 2024-07-01T12:00:00+02:00 CEST
# prints: True
from datetime import datetime
from zoneinfo import ZoneInfo, available_timezones

print(
    datetime(2024, 7, 1, 12, tzinfo=ZoneInfo("Europe/Berlin")).isoformat(),
    datetime(2024, 7, 1, tzinfo=ZoneInfo("Europe/Berlin")).tzname(),
)
print(len(available_timezones()) > 400)

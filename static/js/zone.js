// The browser's time zone, told once while the person has none; loaded only then.
"use strict";
{
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  const { zoneUrl } = document.body.dataset;
  if (timeZone && zoneUrl) htmx.ajax("POST", zoneUrl, { values: { time_zone: timeZone }, swap: "none" }).catch(() => {});
}

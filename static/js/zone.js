// The browser's time zone, told once while the person has none; loaded only then.
"use strict";
{
  const TOLD = "zone-told";
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  const { zoneUrl } = document.body.dataset;
  if (timeZone && zoneUrl && sessionStorage.getItem(TOLD) !== timeZone) {
    sessionStorage.setItem(TOLD, timeZone); // a zone that is not known here is not told again with every page
    htmx.ajax("POST", zoneUrl, { values: { time_zone: timeZone }, swap: "none" }).catch(() => {});
  }
}

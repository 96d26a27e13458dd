// The time in which a cancel can be undone: what waits counts down where it is shown, and a toast offers the way back at once.
// The server decides when the time is over; a page without script shows the same with both buttons.
"use strict";
{
  const LOOKS_AFTER = [1500, 4000, 9000]; // what was sent has an outcome by then
  const anchors = new WeakMap(); // the server says how many seconds are left, whatever this machine's clock says

  function count() {
    for (const part of document.querySelectorAll("[data-undo-seconds]")) {
      const given = part.dataset.undoSeconds;
      let anchor = anchors.get(part);
      if (anchor?.given !== given) {
        anchor = { given, ends: performance.now() + Number(given) * 1000, isOver: given === "0" };
        anchors.set(part, anchor);
      }
      const left = Math.max(0, Math.ceil((anchor.ends - performance.now()) / 1000));
      const words = part.querySelector("[data-countdown]");
      const said = left ? `${words.dataset.countdown} in ${left} s` : "Sending…";
      if (words.textContent !== said) words.textContent = said;
      const bar = part.querySelector("progress");
      if (bar) bar.value = left;
      if (left || anchor.isOver) continue;
      anchor.isOver = true;
      if (part.matches(".toast")) part.remove();
      for (const wait of LOOKS_AFTER) setTimeout(look, wait);
    }
  }
  function look() {
    if (!document.hidden) document.dispatchEvent(new Event("instanceChanged"));
  }

  document.addEventListener("undoable", ({ detail }) => {
    const mould = document.querySelector("template[data-undo-toast]");
    if (!mould || !detail.undo) return;
    const made = mould.content.firstElementChild.cloneNode(true);
    made.querySelector(".text").textContent = detail.text;
    made.dataset.undoSeconds = detail.seconds;
    made.querySelector("progress").max = detail.seconds;
    for (const name of ["undo", "now"]) made.querySelector(`[data-deed="${name}"]`).setAttribute("hx-post", detail[name]);
    document.getElementById("toasts").append(made);
    htmx.process(made);
    count();
  });
  document.addEventListener("htmx:afterRequest", ({ detail }) => {
    // Undone or sent, here or on the page: whatever came of it is told by a toast of its own.
    const deed = `[hx-post="${CSS.escape(detail.requestConfig?.path ?? "")}"]`;
    for (const made of document.querySelectorAll(".toast[data-undo-seconds]")) if (made.querySelector(deed)) made.remove();
  });
  setInterval(count, 500);
  count();
}

"use strict";
// Asks the service every two seconds whether something has changed, and replaces what has. Nothing else on the page
// moves, so that scrolling, a selection and the place of a screen reader stay.
(() => {
  const EVERY = 2000; // milliseconds; chosen, not measured
  const SILENT = 10000; // milliseconds without a reply until the page says so; chosen, not measured
  let tag = "";
  let answered = Date.now();

  const show = (fresh) => {
    const [now, next] = [document, fresh].map((page) => [...page.querySelectorAll("[data-live]")]);
    if (now.map((one) => one.id).join() !== next.map((one) => one.id).join()) {
      location.reload(); // the first figures are there, or the service is another version
      return;
    }
    document.title = fresh.title;
    now.forEach((one, place) => {
      if (one.innerHTML === next[place].innerHTML) return;
      const scrolled = [...one.querySelectorAll(".wide")].map((wide) => wide.scrollLeft);
      one.replaceChildren(...next[place].childNodes);
      one.querySelectorAll(".wide").forEach((wide, n) => { wide.scrollLeft = scrolled[n] || 0; });
    });
  };

  const look = async () => {
    if (!document.hidden) {
      try {
        const reply = await fetch("/", { cache: "no-store", headers: { "If-None-Match": tag }, signal: AbortSignal.timeout(SILENT) });
        if (reply.status === 200) {
          show(new DOMParser().parseFromString(await reply.text(), "text/html"));
          tag = reply.headers.get("ETag") || "";
        } else if (reply.status !== 304) {
          throw new Error(reply.statusText);
        }
        answered = Date.now();
      } catch {
        // it is restarting, or has ended: said below
      }
      document.getElementById("gone").hidden = Date.now() - answered < SILENT;
    } else {
      answered = Date.now();
    }
    setTimeout(look, EVERY);
  };
  look();
})();

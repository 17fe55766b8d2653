// Follows a running open-relay test and shows its result when it has ended.
"use strict";

const card = document.querySelector("[data-follow]");
if (card) {
  const events = new EventSource(card.dataset.follow);
  events.addEventListener("progress", (event) => {
    const step = JSON.parse(event.data);
    card.querySelector("[data-doing]").textContent = `${step.doing}: ${step.settled} of ${step.total} probes settled`;
    card.querySelector("progress").value = step.total ? step.settled / step.total : 0;
    card.querySelector("[data-left]").textContent = step.seconds_left ? `at most ${Math.ceil(step.seconds_left)} s left` : "";
  });
  events.addEventListener("done", () => { events.close(); location.reload(); });
}

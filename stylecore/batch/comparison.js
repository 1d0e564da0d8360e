"use strict";
(() => {
  const voting = document.getElementById("voting");
  const pairs = [...voting.querySelectorAll(".pair")];
  if (!pairs.length) return;
  const comparison = voting.dataset.comparison;
  const place = `stylebatch-votes-${comparison}`;
  const keys = { ArrowLeft: "left", ArrowRight: "right", ArrowDown: "same" };
  const buttons = [...voting.querySelectorAll("[data-choice]")];
  const votes = recall();
  let shown = pairs.findIndex((pair) => !votes.has(pair.dataset.pair));
  if (shown < 0) shown = pairs.length;

  // A browser may forbid storage to files: the votes then live as long as the page.
  function recall() {
    try {
      return new Map(JSON.parse(localStorage.getItem(place)) || []);
    } catch {
      return new Map();
    }
  }

  function keep() {
    try {
      localStorage.setItem(place, JSON.stringify([...votes]));
    } catch {
      return;
    }
  }

  function show() {
    pairs.forEach((pair, index) => (pair.hidden = index !== shown));
    const isOver = shown >= pairs.length;
    document.getElementById("end").hidden = !isOver;
    document.getElementById("back").disabled = shown === 0;
    const choice = isOver ? undefined : votes.get(pairs[shown].dataset.pair);
    for (const button of buttons) {
      button.disabled = isOver;
      button.setAttribute("aria-pressed", String(button.dataset.choice === choice));
    }
    const place = isOver ? "" : `pair ${shown + 1}, `;
    document.getElementById("count").textContent = `${place}${known().length} of ${pairs.length} voted`;
  }

  function known() {
    return pairs.map((pair) => pair.dataset.pair).filter((pair) => votes.has(pair));
  }

  function vote(choice) {
    if (shown >= pairs.length) return;
    votes.set(pairs[shown].dataset.pair, choice);
    keep();
    shown += 1;
    show();
  }

  function goBack() {
    shown = Math.max(0, shown - 1);
    show();
  }

  function save() {
    const lines = known().map((pair) => ({ pair, choice: votes.get(pair) }));
    const text = JSON.stringify({ comparison, votes: lines }, null, 2);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    link.download = "votes.json";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  buttons.forEach((button) => button.addEventListener("click", () => vote(button.dataset.choice)));
  document.getElementById("back").addEventListener("click", goBack);
  document.getElementById("save").addEventListener("click", save);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
    if (event.key in keys) vote(keys[event.key]);
    else if (event.key === "ArrowUp") goBack();
    else return;
    event.preventDefault();
  });
  show();
})();

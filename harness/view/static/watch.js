// A run that is being made is looked at again every few seconds; what has changed is put in place, and what is
// chosen by keyboard stays chosen.

const PAUSE = 3000;

async function look(state) {
  const answer = await fetch(state.address);
  if (!answer.ok) return state;
  const found = await answer.json();
  if (found.stamp === state.stamp) return state;
  await renew();
  return { ...state, stamp: found.stamp, running: found.running };
}

async function renew() {
  const answer = await fetch(location.href);
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const chosen = document.activeElement.dataset?.href;
  for (const old of document.querySelectorAll("[data-live]")) {
    const next = fresh.getElementById(old.id);
    if (next) old.replaceWith(document.importNode(next, true));
  }
  if (chosen) document.querySelector(`[data-href="${CSS.escape(chosen)}"]`)?.focus();
}

async function watch(state) {
  while (state.running) {
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
    try {
      state = await look(state);
    } catch {
      document.body.classList.add("lost");
    }
  }
}

const { watch: address, stamp } = document.body.dataset;
if (address) watch({ address, stamp, running: true });

// What the keyboard does on every page: a table row is chosen with j and k and opened with enter.
// Forms and buttons keep their keys; a combination with ctrl, alt or meta is the browser's.

export function typing(event) {
  const field = event.target.closest("input:not([type=range]):not([type=checkbox]), select, textarea");
  return Boolean(field) || event.ctrlKey || event.altKey || event.metaKey;
}

const rows = () => [...document.querySelectorAll("[data-rows] [data-href]")];

function choose(step) {
  const all = rows();
  if (!all.length) return false;
  const now = all.indexOf(document.activeElement.closest("[data-href]"));
  if (now + step >= all.length && step > 0) return turn("next");
  if (now + step < 0 && now >= 0) return turn("prev");
  const row = all[now < 0 ? (step > 0 ? 0 : all.length - 1) : now + step];
  row.focus();
  row.scrollIntoView({ block: "nearest" });
  return true;
}

function turn(relation) {
  const link = document.querySelector(`a[rel=${relation}]`);
  if (link) link.click();
  return Boolean(link);
}

function follow(key, event) {
  if (key === "j" || key === "k") return choose(key === "j" ? 1 : -1) || turn(key === "j" ? "next" : "prev");
  if (key === "/") {
    const search = document.querySelector("input[type=search]");
    if (search) search.focus();
    return Boolean(search);
  }
  if (key === "u" || key === "Backspace") return turn("up");
  if (key === "?") {
    const help = document.querySelector("details.help");
    if (help) help.open = !help.open;
    return Boolean(help);
  }
  if (key === "Enter" && event.target.matches("[data-href]")) {
    location.assign(event.target.dataset.href);
    return true;
  }
  return false;
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && event.target.closest("input, select")) {
    event.target.blur();
    return;
  }
  if (!typing(event) && follow(event.key, event)) event.preventDefault();
});

document.addEventListener("click", (event) => {
  const row = event.target.closest("[data-href]");
  if (row && !event.target.closest("a, button, input, label") && !String(getSelection())) {
    location.assign(row.dataset.href);
  }
});

// A choice in a form of filters is an answer already; the button is for those without a script.
for (const form of document.querySelectorAll("form[data-auto]")) {
  form.addEventListener("change", () => form.requestSubmit());
  form.addEventListener("formdata", (event) => {
    for (const [name, value] of [...event.formData]) if (value === "") event.formData.delete(name);
  });
}

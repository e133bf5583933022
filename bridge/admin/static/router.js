// Shows one section of the page at a time, as the URL says: #/intakes, #/intakes/NAME, #/sources?find=TEXT.

export const SECTIONS = ["overview", "intakes", "sources", "unrouted", "quarantine", "listeners", "log"];

const handlers = new Map(SECTIONS.map((name) => [name, []]));
let current = null;

/** Calls `handler({detail, query})` whenever the section is shown, and when its detail or query changes. */
export const onShow = (section, handler) => handlers.get(section).push(handler);

export const isShown = (section) => current?.section === section;

/** Returns the URL of a section, of a detail of it, or of its content as filtered by `query`. */
export function linkTo(section, detail = "", query = {}) {
  const text = new URLSearchParams(Object.entries(query).filter(([, value]) => value)).toString();
  return `#/${section}${detail ? `/${encodeURIComponent(detail)}` : ""}${text ? `?${text}` : ""}`;
}

export function go(section) {
  if (isShown(section)) focusTitle();
  else location.hash = linkTo(section);
}

/** Changes the query in the URL without a new entry in the browser's history. */
export const remember = (section, query) => history.replaceState(null, "", linkTo(section, "", query));

function read() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [section, detail] = path.split("/");
  let name = "";
  try { name = decodeURIComponent(detail ?? ""); } catch { /* not a link of this page */ }
  return { section: SECTIONS.includes(section) ? section : "overview", detail: name, query: new URLSearchParams(query) };
}

function show() {
  const isFirst = current === null;
  const before = current?.section;
  current = read();
  for (const section of SECTIONS) document.getElementById(section).hidden = section !== current.section;
  for (const link of document.querySelectorAll("#sections a")) {
    if (link.hash === `#/${current.section}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (!isFirst && before !== current.section) {
    scrollTo(0, 0);
    focusTitle();
  }
  for (const handler of handlers.get(current.section)) handler(current);
}

function focusTitle() {
  document.querySelector(`#${current.section} h2`).focus({ preventScroll: true });
}

/** Shows the section of the URL, now and after each change. */
export function start() {
  addEventListener("hashchange", show);
  document.getElementById("skip").addEventListener("click", (event) => {
    event.preventDefault();
    document.getElementById("main").focus();
  });
  show();
}

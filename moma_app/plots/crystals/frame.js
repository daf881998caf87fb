// Starts the viewer in a page of its own, a frame of a notebook. What is drawn stands in the page as data.

const data = JSON.parse(document.getElementById("data").textContent);

// The page around this one, where it may be looked at: its theme is followed, and what it puts into
// `momaFrames` under this frame's key is shown.
const outside = (() => {
  try {
    return parent.document ? parent : null;
  } catch {
    return null; // a page of another origin
  }
})();

function followTheme() {
  const body = outside?.document.body;
  const dark = body?.dataset.jpThemeLight === "false" || body?.matches(".vscode-dark, .vscode-high-contrast");
  document.documentElement.dataset.mode = data.mode === "auto" ? (dark ? "dark" : "light") : data.mode;
}

followTheme();
if (outside) {
  new MutationObserver(followTheme).observe(outside.document.body, {
    attributes: true, attributeFilter: ["data-jp-theme-light", "class"],
  });
}

// The library is packed, so that the frame is small.
async function unpacked(element) {
  const bytes = Uint8Array.from(atob(element.textContent), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const code = await new Response(stream).text();
  return URL.createObjectURL(new Blob([code], {type: "text/javascript"}));
}

const listeners = {};
const model = {
  structures: data.structures,
  empty: data.empty,
  esm_constants: {library: await unpacked(document.getElementById("library"))},
  on: (name, act) => (listeners[name] = act),
  get active() {
    return this.number ?? 0;
  },
  set active(number) {
    this.number = number;
    listeners.active();
  },
};
document.body.append(render({model, view: {}}));

function show(structures) {
  model.structures = structures;
  model.number = 0;
  listeners.structures();
}

if (outside && data.key) {
  const place = ((outside.momaFrames ??= {})[data.key] ??= {views: new Set()});
  place.views.add(show);
  addEventListener("pagehide", () => place.views.delete(show));
  if (place.structures) show(place.structures);
}

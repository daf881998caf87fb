// Brings Bokeh into the page, once, and then says so to the kernel by a click on the button beside it.
// It runs as the handler of an image, `this`: scripts that a widget's HTML holds do not run by themselves.
(async (image) => {
  const pause = () => new Promise((done) => setTimeout(done, 50));
  let place = null;
  for (let i = 0; i < 600 && !(place = image.closest(".moma-library")); i++) await pause();
  if (!place) return;
  const library = image.parentElement.querySelector("[data-library]");
  async function load() {
    const bytes = Uint8Array.from(atob(library.textContent), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(stream).text();
    document.head.append(script);
  }
  if (!window.Bokeh) await (window.momaBokeh ??= load());
  // Once for each kernel and page: figures that were drawn before are drawn anew.
  const told = (window.momaTold ??= new Set());
  if (told.has(library.dataset.library)) return;
  let button = null;
  for (let i = 0; i < 600 && !(button = place.querySelector("button")); i++) await pause();
  told.add(library.dataset.library);
  button?.click();
})(this);

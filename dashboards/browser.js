// What a page needs of the browser itself: its address, its theme, links, and what to do when the server is lost.
const AGAIN = 1500  // ms between two looks whether the server is back

// Panel's table drops rows that reach it while it is being built, and shows the old ones until the next change.
const keep_late_rows = () => {
  const table = Bokeh.Models.get("panel.models.tabulator.DataTabulator").prototype.default_view.prototype
  if (table.moma_late !== undefined) {
    return
  }
  const {setData, tableBuilt} = table
  table.moma_late = false
  table.setData = function() {
    this.moma_late = this._initializing || this._building
    return setData.call(this)
  }
  table.tableBuilt = function() {
    tableBuilt.call(this)
    if (this.moma_late) {
      void this.setData().then(() => this.postUpdate())
    }
  }
}

export function render({model, view, el}) {
  el.style.display = "none"
  keep_late_rows()

  const show_query = (first) => {
    const before = new URL(window.location.href)
    const url = new URL(window.location.href)
    url.search = model.query
    if (url.href === before.href) {
      return
    }
    const is_step = model.steps.some((name) => before.searchParams.get(name) !== url.searchParams.get(name))
    if (is_step && !first) {
      window.history.pushState({}, "", url)
    } else {
      window.history.replaceState({}, "", url)
    }
  }
  const keep_theme = () => {
    document.cookie = `moma_theme=${model.theme}; path=/; max-age=31536000; samesite=strict`
  }
  const go = () => {
    if (model.target !== "") {
      window.location.assign(model.target)
    }
  }
  model.on("query", () => show_query(false))
  model.on("theme", keep_theme)
  model.on("target", go)
  window.addEventListener("popstate", () => window.location.reload())  // the state is in the address
  keep_theme()
  show_query(true)
  document.documentElement.lang = "en"

  // Runs do not end with the server. As a page's state is in its address, it is simply read anew.
  const lost = () => {
    if (document.getElementById("moma-lost") !== null) {
      return
    }
    const note = document.createElement("div")
    note.id = "moma-lost"
    note.setAttribute("role", "alert")
    note.textContent = "The dashboard's server is away. Runs go on without it; this page comes back when it does."
    note.style.cssText = "position:fixed;left:50%;bottom:24px;transform:translateX(-50%);z-index:9999;" +
      "padding:12px 20px;border-radius:6px;background:#5f2120;color:#fff;font:14px system-ui,sans-serif;max-width:80vw"
    document.body.append(note)
    const look = async () => {
      try {
        const answer = await fetch(window.location.href, {cache: "no-store"})
        if (answer.ok) {
          window.location.reload()
          return
        }
      } catch {
        // It is still away: look again.
      }
      setTimeout(look, AGAIN)
    }
    setTimeout(look, AGAIN)
  }
  view.model.document.on_event("connection_lost", lost)
}

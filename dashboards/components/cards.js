// Cards side by side, as many as fit. Every text is set as text, never as markup.
const SVG = "http://www.w3.org/2000/svg"
const WIDTH = 92
const HEIGHT = 30

export function render({model, el}) {
  const grid = document.createElement("div")
  grid.className = "grid"
  el.append(grid)

  const part = (name, className, text, parent) => {
    const made = document.createElement(name)
    made.className = className
    made.textContent = text
    parent.append(made)
    return made
  }

  const spark = (values, text, parent) => {
    const low = Math.min(...values)
    const span = Math.max(...values) - low || 1
    const points = values.map((value, index) => {
      const x = 1 + (WIDTH - 2) * index / Math.max(1, values.length - 1)
      const y = HEIGHT - 2 - (HEIGHT - 4) * (value - low) / span
      return `${x.toFixed(1)},${y.toFixed(1)}`
    })
    const svg = document.createElementNS(SVG, "svg")
    svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`)
    svg.setAttribute("class", "spark")
    svg.setAttribute("role", "img")
    svg.setAttribute("aria-label", text)
    const title = document.createElementNS(SVG, "title")
    title.textContent = text
    const line = document.createElementNS(SVG, "polyline")
    line.setAttribute("points", points.join(" "))
    svg.append(title, line)
    parent.append(svg)
  }

  const card = (item) => {
    const box = document.createElement(item.href === "" ? "div" : "a")
    box.className = item.problem === "" ? "card" : "card problem"
    if (item.href !== "") {
      box.href = item.href
      box.addEventListener("click", (event) => {
        if (!(event.ctrlKey || event.metaKey || event.shiftKey || event.button)) {
          event.preventDefault()
          model.send_msg({name: item.name})
        }
      })
    }
    const head = part("div", "head", "", box)
    part("strong", "name", item.name, head)
    for (const badge of item.badges) {
      part("span", "badge", badge, head)
    }
    if (item.subtitle !== "") {
      part("div", "subtitle", item.subtitle, box)
    }
    if (item.problem !== "") {
      part("div", "reason", item.problem, box)
    }
    const body = part("div", "body", "", box)
    const facts = part("dl", "facts", "", body)
    for (const [name, value] of item.facts) {
      part("dt", "", name, facts)
      part("dd", "", value, facts)
    }
    if (item.spark.length > 1) {
      spark(item.spark, item.spark_text, body)
    }
    if (item.note !== "") {
      part("div", "note", item.note, box).title = item.note
    }
    return box
  }

  const show = () => grid.replaceChildren(...model.items.map(card))
  model.on("items", show)
  show()
}

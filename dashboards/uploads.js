// A box to drop files into: sends them in pieces, each when the one before has been written.
export function render({model, el}) {
  const box = document.createElement("label")
  box.className = "box"
  box.tabIndex = 0
  const text = document.createElement("span")
  const input = document.createElement("input")
  input.type = "file"
  input.multiple = model.many
  input.accept = model.suffixes.join(",")
  input.setAttribute("aria-label", model.label)
  box.append(text, input)
  el.append(box)

  let waiting = null  // resolves when the server has written a piece
  let busy = false

  const show = () => {
    text.textContent = model.status || model.label
    box.classList.toggle("busy", busy)
  }
  const refuse = (message) => model.send_msg({what: "refused", message})

  const send_file = async (file, number, count) => {
    let offset = 0
    do {
      const piece = await file.slice(offset, offset + model.chunk).arrayBuffer()
      const written = new Promise((resolve) => { waiting = resolve })
      model.send_msg({what: "piece", name: file.name, number, count, offset, size: file.size, data: piece})
      if (!await written) {
        return false
      }
      offset += model.chunk
    } while (offset < file.size)
    return true
  }

  const send = async (list) => {
    const files = Array.from(list)
    if (busy || files.length === 0) {
      return
    }
    if (!model.many && files.length > 1) {
      refuse("Give one file at a time.")
      return
    }
    const total = files.reduce((sum, file) => sum + file.size, 0)
    if (total > model.limit) {
      refuse(`These are ${(total / 1e6).toFixed(0)} MB; at most ${(model.limit / 1e6).toFixed(0)} MB can be given at once.`)
      return
    }
    busy = true
    show()
    for (const [number, file] of files.entries()) {
      if (!await send_file(file, number, files.length)) {
        break
      }
    }
    busy = false
    input.value = ""
    show()
  }

  model.on("msg:custom", ({go_on}) => { waiting?.(go_on) })
  model.on("status", show)
  input.addEventListener("change", () => send(input.files))
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault()
      input.click()
    }
  })
  for (const kind of ["dragenter", "dragover"]) {
    box.addEventListener(kind, (event) => { event.preventDefault(); box.classList.add("over") })
  }
  for (const kind of ["dragleave", "drop"]) {
    box.addEventListener(kind, () => box.classList.remove("over"))
  }
  box.addEventListener("drop", (event) => { event.preventDefault(); send(event.dataTransfer.files) })
  show()
}

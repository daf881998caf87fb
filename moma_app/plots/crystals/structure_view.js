// Shows crystal structures with 3Dmol.js. Whatever comes from a file is set as text, never as markup.

const AXES = [["a", "#d55e00"], ["b", "#009e73"], ["c", "#3b8ed0"]]; // told apart by people with any colour vision
const EDGE = "#8b949e";
const TURN = 15; // degrees, for one press of an arrow key
const NO_WEBGL =
  "This browser draws no 3D graphics (WebGL is absent or switched off): the structure is described below, " +
  "and another browser or its settings for hardware acceleration may help.";
const NO_LIBRARY = "The 3D viewer could not be loaded from the server: reload the page.";

let library = null; // promise of the module 3Dmol.js, asked for when the first structure comes into view
const spare = []; // viewers that nobody uses: a browser keeps only about 16 WebGL contexts

export function render({model, view}) {
  shown.get(view)?.dispose();
  const viewer = new StructureViewer(model);
  shown.set(view, viewer);
  model.on("structures", () => viewer.restart());
  model.on("active", () => viewer.update());
  model.on("empty", () => viewer.update());
  model.on("remove", () => viewer.dispose());
  return viewer.root;
}

const shown = new WeakMap(); // what each of Bokeh's views shows, as it may render more than once

class StructureViewer {
  constructor(model) {
    this.model = model;
    this.lease = null; // {stage, view}: the canvas and its 3Dmol viewer, while this shows something
    this.visible = false;
    this.disposed = false;
    this.build();
    this.observer = new IntersectionObserver((entries) => {
      this.visible = entries.some((entry) => entry.isIntersecting);
      if (this.visible) this.draw();
    });
    this.observer.observe(this.stage);
    this.update();
  }

  build() {
    this.picker = make("div", {class: "picker", role: "tablist", "aria-label": "Structures"});
    this.legend = make("ul", {class: "legend", "aria-label": "Elements"});
    this.message = make("p", {class: "message", role: "status"});
    this.reset = make("button", {class: "reset", type: "button"}, "Reset view");
    this.stage = make("div", {
      class: "stage",
      tabindex: "0",
      role: "img",
      title: "Drag to turn. Click, then scroll to zoom. Keys: arrows turn, + and − zoom, Home resets.",
    });
    this.name = make("div", {class: "name"});
    this.facts = make("div", {class: "facts"});
    this.root = make("section", {class: "viewer"});
    this.frame = make("div", {class: "frame"});
    this.frame.append(this.stage, this.legend, this.reset, this.message);
    this.root.append(this.picker, this.frame, this.name, this.facts);
    this.reset.addEventListener("click", () => this.lease?.view.setView(this.home));
    this.stage.addEventListener("pointerdown", () => this.stage.focus({preventScroll: true}));
    this.stage.addEventListener("keydown", (event) => this.press(event));
    this.picker.addEventListener("keydown", (event) => this.step(event));
    // The wheel scrolls the page until the picture has been chosen by a click or the keyboard.
    const guard = (event) => this.stage.matches(":focus") || event.stopPropagation();
    this.stage.addEventListener("wheel", guard, {capture: true, passive: true});
  }

  get active() {
    return Math.min(Math.max(this.model.active, 0), this.model.structures.length - 1);
  }

  restart() {
    this.picker.replaceChildren();
    this.update();
  }

  update() {
    const {structures} = this.model;
    const structure = structures[this.active];
    this.root.classList.toggle("is-empty", !structure);
    this.picker.hidden = structures.length < 2;
    if (this.picker.childElementCount !== structures.length) {
      this.picker.replaceChildren(...structures.map((one, index) => this.tab(one, index)));
    }
    [...this.picker.children].forEach((tab, index) => {
      tab.setAttribute("aria-selected", String(index === this.active));
      tab.tabIndex = index === this.active ? 0 : -1;
    });
    this.describe(structure);
    this.drawn = null;
    if (this.visible) this.draw();
  }

  tab(structure, index) {
    const tab = make("button", {type: "button", role: "tab"});
    tab.append(...formula(structure.formula));
    if (structure.label) tab.append(make("small", {}, structure.label));
    tab.addEventListener("click", () => (this.model.active = index));
    return tab;
  }

  step(event) {
    const move = {ArrowLeft: -1, ArrowRight: 1}[event.key];
    const next = this.picker.children[this.active + (move ?? 0)];
    if (!move || !next) return;
    event.preventDefault();
    next.click();
    next.focus();
  }

  describe(structure) {
    this.name.replaceChildren();
    this.facts.replaceChildren();
    this.legend.replaceChildren();
    this.say(structure ? "" : this.model.empty);
    this.stage.setAttribute("aria-label", structure ? `Structure of ${structure.formula}` : this.model.empty);
    if (!structure) return;
    this.name.append(make("strong", {}, ...formula(structure.formula)));
    for (const text of [structure.label, structure.note]) if (text) this.name.append(make("span", {}, text));
    const {n_atoms, lengths, angles, volume, remark} = structure;
    const facts = [
      n_atoms === 1 ? "1 atom" : `${n_atoms} atoms`,
      ...lengths.map((value, axis) => `${"abc"[axis]} ${value.toFixed(3)} Å`),
      ...angles.map((value, axis) => `${"αβγ"[axis]} ${value.toFixed(1)}°`),
      `V ${volume.toFixed(1)} Å³`,
      ...(remark ? [remark] : []),
    ];
    this.facts.append(...facts.map((text) => make("span", {}, text)));
    this.facts.title = facts.join("  "); // where they do not fit
    for (const element of structure.elements) {
      const swatch = make("i", {});
      swatch.style.background = element.color;
      this.legend.append(make("li", {}, swatch, element.symbol));
    }
  }

  say(text) {
    this.message.textContent = text;
    this.message.hidden = !text;
  }

  async draw() {
    const structure = this.model.structures[this.active];
    if (!structure) return this.giveBack();
    if (structure === this.drawn) return;
    this.drawn = structure;
    if (!hasWebGL()) return this.say(NO_WEBGL);
    try {
      library ??= import(new URL(this.model.esm_constants.library, import.meta.url).href);
      const mol = await library;
      if (this.disposed || structure !== this.drawn) return;
      this.lease ??= borrow(mol, this.stage);
      this.home = paint(this.lease.view, structure);
    } catch (error) {
      library = null;
      this.drawn = null;
      this.say(NO_LIBRARY);
      console.warn(error);
    }
  }

  press(event) {
    const view = this.lease?.view;
    const moves = {
      ArrowLeft: () => view.rotate(-TURN, "vy"),
      ArrowRight: () => view.rotate(TURN, "vy"),
      ArrowUp: () => view.rotate(-TURN, "vx"),
      ArrowDown: () => view.rotate(TURN, "vx"),
      "+": () => view.zoom(1.2),
      "-": () => view.zoom(1 / 1.2),
      Home: () => view.setView(this.home),
    };
    if (!view || !moves[event.key]) return;
    event.preventDefault();
    moves[event.key]();
  }

  giveBack() {
    if (!this.lease) return;
    this.lease.view.clear();
    this.lease.canvas.remove();
    spare.push(this.lease);
    this.lease = null;
  }

  dispose() {
    this.disposed = true;
    this.observer.disconnect();
    this.giveBack();
  }
}

function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children); // strings become text nodes
  return element;
}

function formula(text) {
  return text.split(/(\d+(?:\.\d+)?)/).map((part, index) => (index % 2 ? make("sub", {}, part) : part));
}

let webgl = null;
function hasWebGL() {
  if (webgl === null) {
    const canvas = document.createElement("canvas");
    const context = canvas.getContext("webgl2") ?? canvas.getContext("webgl");
    webgl = Boolean(context);
    context?.getExtension("WEBGL_lose_context")?.loseContext();
  }
  return webgl;
}

function borrow(mol, stage) {
  const known = spare.pop();
  const canvas = known?.canvas ?? make("div", {class: "canvas"});
  stage.append(canvas);
  if (!known) {
    return {canvas, view: mol.createViewer(canvas, {backgroundAlpha: 0, disableFog: true, minimumZoomToDistance: 2})};
  }
  known.view.resize();
  return known;
}

// Draws a structure and returns the view to come back to.
function paint(view, structure) {
  view.clear();
  const points = triples(structure.positions);
  const atoms = points.map((point, index) => ({
    ...point, elem: structure.elements[structure.kinds[index]].symbol, bonds: [], bondOrder: [],
  }));
  for (let i = 0; i < structure.bonds.length; i += 2) {
    const [one, other] = [structure.bonds[i], structure.bonds[i + 1]];
    atoms[one].bonds.push(other);
    atoms[other].bonds.push(one);
    atoms[one].bondOrder.push(1);
    atoms[other].bondOrder.push(1);
  }
  const crystal = view.addModel();
  crystal.addAtoms(atoms);
  for (const {symbol, color, radius} of structure.elements) {
    crystal.setStyle({elem: symbol}, {
      sphere: {color, radius: 0.2 + 0.25 * radius},
      stick: {color, radius: 0.11},
    });
  }
  const corners = structure.cell.length ? cornersOf(triples(structure.cell)) : [];
  if (structure.whole_cell) view.addModel().addAtoms(corners.map((corner) => ({...corner, elem: "X", hidden: true})));
  view.setView([0, 0, 0, 0, 0, 0, 0, 1]);
  view.zoomTo();
  view.zoom(0.85);
  if (corners.length) drawCell(view, corners);
  view.render();
  return view.getView();
}

function triples(numbers) {
  return Array.from({length: numbers.length / 3}, (_, i) => ({
    x: numbers[3 * i], y: numbers[3 * i + 1], z: numbers[3 * i + 2],
  }));
}

// Corner i lies at the sum of those lattice vectors whose bit is set in i.
function cornersOf(vectors) {
  return Array.from({length: 8}, (_, i) =>
    vectors.reduce((sum, v, axis) => (i & (1 << axis) ? along(sum, v, 1) : sum), {x: 0, y: 0, z: 0}));
}

function along(from, vector, share) {
  return {x: from.x + share * vector.x, y: from.y + share * vector.y, z: from.z + share * vector.z};
}

function drawCell(view, corners) {
  const size = Math.hypot(corners[7].x, corners[7].y, corners[7].z);
  const radius = Math.min(Math.max(0.003 * size, 0.02), 0.12);
  for (let i = 0; i < 8; i++) {
    for (let axis = 0; axis < 3; axis++) {
      if (i & (1 << axis)) continue;
      const color = i === 0 ? AXES[axis][1] : EDGE;
      const spec = {start: corners[i], end: corners[i | (1 << axis)], color, radius: i === 0 ? 1.6 * radius : radius};
      view.addCylinder({...spec, fromCap: 2, toCap: 2});
    }
  }
  AXES.forEach(([letter, color], axis) => {
    const tip = corners[1 << axis];
    const position = along(tip, tip, (0.6 + 0.04 * size) / Math.max(Math.hypot(tip.x, tip.y, tip.z), 1e-6));
    view.addLabel(letter, {
      position, fontColor: color, font: "Arial, sans-serif", fontSize: 16, bold: true, showBackground: false, inFront: true, alignment: "center",
    });
  });
}

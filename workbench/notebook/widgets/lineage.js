// The lineage graph: the drawing of the static form, made to answer to the mouse and the keyboard.

const LEAST = 0.3;
const MOST = 4;

/** Name all that can be reached from a box along arrows, in one direction. */
function reached(from, edges, before, after) {
  const found = new Set();
  const front = [from];
  while (front.length) {
    const name = front.pop();
    for (const edge of edges) {
      if (edge[before] === name && !found.has(edge[after])) {
        found.add(edge[after]);
        front.push(edge[after]);
      }
    }
  }
  return found;
}

class Graph {
  constructor(model, el) {
    this.start = model.get("start");
    this.here = frame(model, el, this.start.name, "lineage");
    this.stage = h("div", { class: "mlw-stage" });
    this.stage.innerHTML = this.start.svg; // Drawn and escaped by the kernel, from which this script comes too.
    this.svg = this.stage.querySelector("svg");
    this.side = h("div", { class: "mlw-side", "aria-live": "polite" });
    const tools = h("div", { class: "mlw-tools" },
      button("+", () => this.zoom(1.25), { "aria-label": "Zoom in" }),
      button("−", () => this.zoom(0.8), { "aria-label": "Zoom out" }),
      button("Fit", () => this.fit()),
      h("span", { class: "mls-kind" }, "Choose a box to see what it is made from and what is made from it; drag to move."));
    this.here.body.append(tools, h("div", { class: "mlw-split" }, this.stage, this.side));
    this.prepare();
  }

  prepare() {
    const { svg } = this;
    this.size = { width: svg.viewBox.baseVal.width, height: svg.viewBox.baseVal.height };
    svg.setAttribute("role", "group");
    svg.setAttribute("aria-label", `Lineage of ${this.start.name}`);
    svg.removeAttribute("width");
    svg.removeAttribute("height");
    this.stage.style.height = `${Math.min(460, Math.max(150, this.size.height + 20))}px`;
    this.boxes = new Map();
    for (const box of svg.querySelectorAll("[data-node]")) {
      const { node } = box.dataset;
      this.boxes.set(node, box);
      const kind = this.start.nodes.find((each) => each.name === node)?.kind || "";
      const set = { tabindex: 0, role: "button", "aria-pressed": "false", "aria-label": `${kind} ${node}` };
      for (const [name, value] of Object.entries(set)) box.setAttribute(name, value);
      box.addEventListener("click", () => this.moved || this.choose(node));
      box.addEventListener("keydown", (event) => this.key(event, node));
    }
    this.stage.addEventListener("pointerdown", (event) => this.grab(event));
    this.stage.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return; // Plain scrolling goes on through the notebook.
      event.preventDefault();
      this.zoom(event.deltaY < 0 ? 1.1 : 0.9);
    }, { passive: false });
    this.fit();
  }

  fit() {
    this.scale = 1;
    this.middle = { x: this.size.width / 2, y: this.size.height / 2 };
    this.place();
  }

  zoom(factor) {
    this.scale = Math.min(MOST, Math.max(LEAST, this.scale * factor));
    this.place();
  }

  place() {
    const wide = this.size.width / this.scale;
    const tall = this.size.height / this.scale;
    this.svg.setAttribute("viewBox", `${this.middle.x - wide / 2} ${this.middle.y - tall / 2} ${wide} ${tall}`);
  }

  grab(event) {
    if (event.button) return;
    this.moved = false;
    const from = { x: event.clientX, y: event.clientY, ...{ mx: this.middle.x, my: this.middle.y } };
    const { a: unit } = this.svg.getScreenCTM();
    const move = (now) => {
      const [dx, dy] = [now.clientX - from.x, now.clientY - from.y];
      if (Math.abs(dx) + Math.abs(dy) > 4) this.moved = true;
      if (!this.moved) return;
      this.middle = { x: from.mx - dx / unit, y: from.my - dy / unit };
      this.place();
    };
    const drop = () => {
      window.removeEventListener("pointermove", move);
      window.removeEventListener("pointerup", drop);
    };
    window.addEventListener("pointermove", move);
    window.addEventListener("pointerup", drop);
  }

  /** Enter chooses a box; arrow keys go along the arrows. */
  key(event, node) {
    const { edges } = this.start;
    if (event.key === "Enter" || event.key === " ") this.choose(node);
    else if (event.key === "ArrowRight") this.focus(edges.find((edge) => edge.source === node)?.target);
    else if (event.key === "ArrowLeft") this.focus(edges.find((edge) => edge.target === node)?.source);
    else if (event.key === "Escape") this.choose(null);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  focus(node) {
    this.boxes.get(node)?.focus();
  }

  choose(node) {
    this.chosen = this.chosen === node ? null : node;
    const { edges } = this.start;
    const lit = this.chosen && new Set([this.chosen,
      ...reached(this.chosen, edges, "target", "source"), ...reached(this.chosen, edges, "source", "target")]);
    for (const [name, box] of this.boxes) {
      box.classList.toggle("mlw-dim", Boolean(lit) && !lit.has(name));
      box.classList.toggle("mlw-chosen", name === this.chosen);
      box.setAttribute("aria-pressed", String(name === this.chosen));
    }
    for (const arrow of this.svg.querySelectorAll("[data-edge]")) {
      const [source, target] = JSON.parse(arrow.dataset.edge);
      arrow.classList.toggle("mlw-dim", Boolean(lit) && !(lit.has(source) && lit.has(target)));
    }
    this.tell(this.chosen);
  }

  tell(name) {
    const node = this.start.nodes.find((each) => each.name === name);
    if (!node) return this.side.replaceChildren();
    const parts = this.start.describes ? [] : [h("div", { class: "mls-head" }, h("span", { class: "mls-kind" }, node.kind), h("span", { class: "mls-name" }, node.name))];
    if (node.columns.length) parts.push(this.columns(node));
    this.side.replaceChildren(...parts);
    if (this.start.describes) quietly(this.describe(name));
    else if (node.query) this.side.append(h("pre", { class: "mls-code" }, node.query));
  }

  async describe(name) {
    const found = await this.here.get("describe", { name });
    if (this.chosen !== name) return;
    const place = h("div");
    place.innerHTML = found; // Escaped by the kernel.
    this.side.append(place);
  }

  /** The columns of a box; choosing one says what it is made from and what is made from it. */
  columns(node) {
    const told = h("div", { class: "mlw-pairs" });
    const list = node.columns.map((column) =>
      button(column, (event) => {
        for (const each of event.target.parentElement.children) each.setAttribute("aria-pressed", String(each === event.target));
        told.replaceChildren(...this.pairs(node.name, column));
      }, { "aria-pressed": "false" }));
    return h("div", {}, h("div", { class: "mls-title" }, "Follow a column"), h("div", { class: "mlw-choices" }, list), told);
  }

  pairs(name, column) {
    const lines = [];
    for (const edge of this.start.edges) {
      for (const [source, target, kind] of edge.columns) {
        if (edge.target === name && (target === column || target === "*")) lines.push(`← ${edge.source}.${source} (${kind})`);
        if (edge.source === name && (source === column || source === "*")) lines.push(`→ ${edge.target}.${target} (${kind})`);
      }
    }
    return (lines.length ? lines : ["nothing of the store"]).map((line) => h("div", {}, line));
  }
}

export default {
  render({ model, el }) {
    const graph = new Graph(model, el);
    return () => graph.here.ask.close();
  },
};

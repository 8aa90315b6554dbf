// What all widgets share: elements, questions to the kernel, a table that scrolls over any number of rows.

const SVG = "http://www.w3.org/2000/svg";

/** Make an element: properties that start with "on" are listeners, the others attributes. */
function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** Make an element of a drawing. */
function s(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((each) => each != null && each !== ""));
  return element;
}

const count = (number) => Number(number).toLocaleString("en-US");
const rowsOf = (number) => `${count(number)} row${number === 1 ? "" : "s"}`;

const GONE = { message: "The kernel that answered here is gone.", hint: "Run the cell again to make this live." };

/** Call a function once the kernel of a widget was restarted, died, or was shut down. */
function whenGone(model, gone) {
  const kernel = model.widget_manager?.kernel; // of JupyterLab and Notebook; others tell nothing
  const look = (_, status) => /restarting|dead|terminating/.test(status) && gone();
  kernel?.statusChanged?.connect(look);
  kernel?.disposed?.connect(gone);
  return () => {
    kernel?.statusChanged?.disconnect(look);
    kernel?.disposed?.disconnect(gone);
  };
}

const REPEATED = 5000; // A question or its answer may be lost while the page connects to the kernel again.

/** Return a function that asks the kernel; an answer that is an error rejects. */
function asker(model) {
  const waiting = new Map();
  const prefix = Math.random().toString(36).slice(2);
  let last = 0;
  const hear = (message) => {
    const asked = waiting.get(message.id);
    if (!asked) return;
    forget(message.id);
    if (message.error) asked.reject(message.error);
    else asked.resolve(message.answer);
  };
  const forget = (id) => {
    clearInterval(waiting.get(id).again);
    waiting.delete(id);
  };
  model.on("msg:custom", hear);
  const ask = (what, given = {}) =>
    new Promise((resolve, reject) => {
      if (ask.gone) return reject(GONE);
      const id = `${prefix}-${last++}`;
      const send = () => model.send({ id, ask: what, given }); // It is done once, however often it is asked.
      const repeat = () => model.widget_manager?.kernel?.status === "idle" && send();
      waiting.set(id, { resolve, reject, again: setInterval(repeat, REPEATED) });
      send();
    });
  ask.gone = false;
  ask.waiting = () => waiting.size;
  /** Let nobody wait for a kernel that is gone. */
  ask.end = () => {
    ask.gone = true;
    for (const [id, { reject }] of [...waiting]) {
      forget(id);
      reject(GONE);
    }
  };
  ask.close = () => {
    for (const id of [...waiting.keys()]) forget(id);
    model.off("msg:custom", hear);
    ask.deaf?.();
  };
  return ask;
}

/** The frame of a widget: a heading, a line that says how it stands, and the body. */
function frame(model, el, title, kind) {
  const status = h("span", { class: "mlw-status", role: "status", "aria-live": "polite" });
  const error = h("div", { class: "mlw-error", role: "alert", hidden: true });
  const gone = h("div", { class: "mlw-gone", role: "status" });
  const body = h("div", { class: "mlw-body" });
  const head = h("div", { class: "mls-head" });
  if (kind) head.append(h("span", { class: "mls-kind" }, kind));
  if (title) head.append(h("span", { class: "mls-name" }, title));
  head.append(status);
  el.classList.add("mls", "mlw");
  el.dataset.lmSuppressShortcuts = "true"; // JupyterLab's shortcuts would take Enter and the arrow keys.
  el.addEventListener("keydown", passOn);
  el.append(head, gone, error, body);
  const ask = asker(model);
  ask.deaf = whenGone(model, () => {
    if (ask.gone) return;
    ask.end();
    el.classList.add("mlw-lost");
    gone.append(h("b", {}, GONE.message), ` ${GONE.hint}`);
    error.hidden = true;
    // What is drawn stays to be read; what would ask the kernel cannot be used any more.
    for (const each of el.querySelectorAll("[data-asks]")) each.disabled = true;
  });
  // Drawn from what was saved, with no kernel behind it: what stands before it says as much.
  requestAnimationFrame(() => el.closest(".jupyter-widgets-disconnected") && el.classList.remove("mlw"));
  const here = { model, el, ask, head, body };
  here.say = (text) => (status.textContent = text);
  // What is shown went wrong with one question, and goes away when that one is answered.
  here.clear = (what) => (error.hidden ||= error.dataset.asked === what);
  here.fail = (problem, what) => {
    error.dataset.asked = what;
    const message = problem.message || String(problem);
    error.replaceChildren(h("b", {}, message), problem.hint ? h("div", {}, problem.hint) : "");
    error.hidden = false;
  };
  here.get = (what, given) => whileWaiting(here, what, ask(what, given));
  return here;
}

/** Let JupyterLab have the shortcuts with Ctrl or Cmd that a widget does not use, such as the one to save. */
function passOn(event) {
  // Shortcuts of one letter are for whatever has the focus and is no text field: a list of choices, a button.
  if (!(event.ctrlKey || event.metaKey)) return event.stopPropagation();
  const text = event.target.matches("input:not([type=checkbox],[type=range]),textarea");
  if (event.defaultPrevented || (text && event.key !== "s")) return;
  const taken = !event.currentTarget.parentElement.dispatchEvent(new KeyboardEvent("keydown", event));
  if (taken) event.preventDefault();
}

/** Show that an answer takes long, and what went wrong with it. */
async function whileWaiting(here, what, answer) {
  const slow = setTimeout(() => here.say("working …"), 600);
  const busy = setTimeout(() => here.say("waiting for the kernel, which is busy …"), 8000);
  try {
    const found = await answer;
    here.clear(what);
    return found;
  } catch (problem) {
    if (!here.ask.gone) here.fail(problem, what);
    throw problem;
  } finally {
    clearTimeout(slow);
    clearTimeout(busy);
    if (!here.ask.waiting()) here.say("");
  }
}

/** Run an async listener; what it rejects with is shown by `get` already. */
const quietly = (work) => Promise.resolve(work).catch(() => {});

/** Call a function once nothing has called for it for a while. */
function settled(wait, work) {
  let timer;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...given), wait);
  };
}

const ROW = 24;
const BLOCK = 200;
const TALLEST = 6_000_000; // Browsers draw no element much taller.
const KEPT_BLOCKS = 60;
let grids = 0;

/** A table over any number of rows: only those in sight are drawn, and blocks of them are fetched. */
class Grid {
  constructor({ label, height = 420, fetch, head, columns, total, first }) {
    this.id = `mlw-grid-${grids++}`;
    this.fetch = fetch;
    this.head = head;
    this.header = h("div", { class: "mlw-header", role: "row", "aria-rowindex": 1 });
    this.rows = h("div", { class: "mlw-rows", role: "rowgroup" });
    this.sheet = h("div", { class: "mlw-sheet" }, this.header, this.rows);
    this.inner = h("div", { class: "mlw-inner" }, this.sheet);
    this.el = h("div", {
      class: "mlw-grid",
      role: "grid",
      tabindex: 0,
      "aria-label": label,
      style: `max-height:${height}px`,
      onscroll: () => this.scrolled(),
      onkeydown: (event) => this.key(event),
    }, this.inner);
    this.el.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.draw = this.draw.bind(this);
    this.load = settled(40, () => this.fetchMissing());
    this.observer = new ResizeObserver(() => this.layout());
    this.observer.observe(this.el);
    this.reset({ columns, total, first });
  }

  /** Show other rows: `first` are those of the first block, where they are known. */
  reset({ columns, total, first }) {
    this.turn = (this.turn || 0) + 1;
    this.blocks = new Map();
    this.asked = new Set();
    if (first) this.blocks.set(0, first);
    if (columns) this.setColumns(columns, first || []);
    this.total = total;
    this.top = 0;
    this.active = { row: 0, column: 0 };
    this.el.setAttribute("aria-rowcount", total + 1);
    this.layout();
    this.el.scrollTop = 0;
    this.draw();
  }

  setColumns(columns, rows) {
    this.columns = columns;
    this.widths = columns.map((column, place) => width(column, place, rows));
    this.lefts = [0];
    for (const each of this.widths) this.lefts.push(this.lefts.at(-1) + each);
    this.el.setAttribute("aria-colcount", columns.length);
    this.header.replaceChildren(
      ...columns.map((column, place) =>
        h("div", {
          class: `mlw-column${column.right ? " mls-right" : ""}`,
          role: "columnheader",
          "aria-colindex": place + 1,
          style: `width:${this.widths[place]}px`,
        }, this.head(column, place)),
      ),
    );
  }

  layout() {
    const header = this.header.offsetHeight || 40;
    const whole = header + this.total * ROW;
    this.scaled = whole > TALLEST;
    this.inner.style.height = `${Math.min(whole, TALLEST)}px`;
    this.inner.style.width = `${this.lefts.at(-1)}px`;
    this.sheet.style.height = `${Math.min(this.el.clientHeight || whole, whole)}px`;
    this.visible = Math.max(1, (this.el.clientHeight - header) / ROW);
    this.last = Math.max(0, this.total - this.visible);
    this.draw();
  }

  get range() {
    return Math.max(1, this.el.scrollHeight - this.el.clientHeight);
  }

  scrolled() {
    if (this.expected == null || Math.abs(this.el.scrollTop - this.expected) > 1) {
      this.top = this.scaled ? (this.el.scrollTop / this.range) * this.last : this.el.scrollTop / ROW;
    }
    this.expected = null;
    this.draw();
  }

  /** Where the bar stands for many rows each, the wheel still moves by rows. */
  wheel(event) {
    if (!this.scaled || event.ctrlKey || !event.deltaY) return;
    event.preventDefault();
    this.goto(this.top + event.deltaY / ROW);
  }

  goto(row) {
    this.top = Math.min(this.last, Math.max(0, row));
    this.el.scrollTop = this.scaled ? (this.top / (this.last || 1)) * this.range : this.top * ROW;
    this.expected = this.el.scrollTop;
    this.draw();
  }

  key(event) {
    if (event.target !== this.el) return;
    const page = Math.floor(this.visible) - 1;
    const steps = { ArrowUp: -1, ArrowDown: 1, PageUp: -page, PageDown: page };
    const { active } = this;
    if (event.key in steps) active.row += steps[event.key];
    else if (event.key === "ArrowLeft") active.column -= 1;
    else if (event.key === "ArrowRight") active.column += 1;
    else if (event.key === "Home") event.ctrlKey ? (active.row = 0) : (active.column = 0);
    else if (event.key === "End") event.ctrlKey ? (active.row = this.total - 1) : (active.column = this.columns.length - 1);
    else return;
    event.preventDefault();
    event.stopPropagation();
    active.row = Math.min(this.total - 1, Math.max(0, active.row));
    active.column = Math.min(this.columns.length - 1, Math.max(0, active.column));
    if (active.row < this.top) this.goto(active.row);
    else if (active.row > this.top + this.visible - 1) this.goto(active.row - this.visible + 1);
    const [left, right] = [this.lefts[active.column], this.lefts[active.column + 1]];
    if (left < this.el.scrollLeft) this.el.scrollLeft = left;
    else if (right > this.el.scrollLeft + this.el.clientWidth) this.el.scrollLeft = right - this.el.clientWidth;
    this.draw();
  }

  row(index) {
    const block = this.blocks.get(Math.floor(index / BLOCK));
    return block && block[index % BLOCK];
  }

  draw() {
    if (!this.columns) return;
    const first = Math.floor(this.top);
    const end = Math.min(this.total, Math.ceil(this.top + this.visible) + 1);
    const drawn = [];
    let missing = false;
    for (let index = first; index < end; index++) {
      const row = this.row(index);
      missing ||= !row;
      drawn.push(this.drawRow(index, row));
    }
    this.rows.replaceChildren(...drawn);
    this.el.setAttribute("aria-activedescendant", `${this.id}-${this.active.row}-${this.active.column}`);
    this.el.toggleAttribute("aria-busy", missing);
    if (missing) this.load();
  }

  drawRow(index, row) {
    const tone = row && row.tone ? ` mlw-${row.tone}` : "";
    const line = h("div", {
      class: `mlw-row${tone}${row ? "" : " mlw-absent"}`,
      role: "row",
      "aria-rowindex": index + 2,
      style: `transform:translateY(${Math.round((index - this.top) * ROW)}px)`,
    });
    const [left, right] = [this.el.scrollLeft, this.el.scrollLeft + this.el.clientWidth];
    this.columns.forEach((column, place) => {
      if (this.lefts[place + 1] < left || this.lefts[place] > right) return;
      line.append(this.drawCell(index, row, column, place));
    });
    return line;
  }

  drawCell(index, row, column, place) {
    const value = row ? row.cells[place] : "";
    const names = ["mlw-cell"];
    if (column.right) names.push("mls-right");
    if (row && row.marked && row.marked.includes(place)) names.push("mls-mark");
    if (index === this.active.row && place === this.active.column) names.push("mlw-active");
    const cell = h("div", {
      class: names.join(" "),
      role: "gridcell",
      id: `${this.id}-${index}-${place}`,
      "aria-colindex": place + 1,
      style: `left:${this.lefts[place]}px;width:${this.widths[place]}px`,
      onmousedown: () => {
        this.active = { row: index, column: place };
        this.draw();
      },
    });
    if (value == null) cell.append(h("span", { class: "mls-null" }, "NULL"));
    else {
      cell.textContent = value;
      if (value.length > 20) cell.title = value;
    }
    return cell;
  }

  async fetchMissing() {
    const turn = this.turn;
    const blocks = [Math.floor(this.top / BLOCK), Math.floor((this.top + this.visible) / BLOCK)];
    for (const block of new Set(blocks)) {
      if (this.blocks.has(block) || this.asked.has(block) || block * BLOCK >= this.total) continue;
      this.asked.add(block);
      try {
        const rows = await this.fetch(block * BLOCK, BLOCK);
        if (turn !== this.turn) return;
        this.blocks.set(block, rows);
        if (this.blocks.size > KEPT_BLOCKS) this.blocks.delete(this.blocks.keys().next().value);
        this.draw();
      } catch {
        return; // It is shown; the block is asked for again when it comes into sight again.
      } finally {
        this.asked.delete(block);
      }
    }
  }

  close() {
    this.observer.disconnect();
  }
}

/** Guess how wide a column should be from its name and its first values. */
function width(column, place, rows) {
  let longest = Math.max(column.name.length + 3, (column.type || "").length * 0.85);
  for (const row of rows.slice(0, 60)) longest = Math.max(longest, (row.cells[place] || "NULL").length);
  return Math.round(Math.min(320, Math.max(column.filtered ? 110 : 64, longest * 7.3 + 24)));
}

/** A table of few rows, all drawn. */
function table(columns, rows, label) {
  const right = columns.map((column) => column.right);
  return h("div", { class: "mls-scroll" },
    h("table", { class: "mls-grid", "aria-label": label },
      h("thead", {}, h("tr", {}, columns.map((column) => h("th", { class: column.right ? "mls-right" : "", scope: "col" }, column.name)))),
      h("tbody", {}, rows.map((row) =>
        h("tr", { class: row.tone ? `mlw-${row.tone}` : "" },
          row.cells.map((value, place) => h("td", { class: right[place] ? "mls-right" : "" }, value ?? ""))))),
    ));
}

function button(label, onclick, attributes = {}) {
  return h("button", { type: "button", class: "mlw-button", onclick, ...attributes }, label);
}

/** Ask before something is done: the button becomes a question with two answers. */
function asking(label, question, work, attributes = {}) {
  const place = h("span", { class: "mlw-asking" });
  const first = button(label, () => {
    const yes = button("Yes", () => quietly(done(work())), { "data-yes": true, "data-asks": true });
    const no = button("No", () => done());
    place.replaceChildren(h("span", {}, question), yes, no);
    yes.focus();
  }, { ...attributes, "data-asks": true });
  const done = async (working) => {
    place.replaceChildren(first);
    first.disabled = true;
    try {
      await working;
    } finally {
      first.disabled = Boolean(first.closest(".mlw-lost"));
      first.focus();
    }
  };
  place.append(first);
  return place;
}

/** One value of a few, as buttons that are pressed or not. */
function choices(label, options, chosen, onchange, attributes = {}) {
  const group = h("span", { class: "mlw-choices", role: "group", "aria-label": label });
  const show = () =>
    group.replaceChildren(
      ...options.map(([value, text, tone]) =>
        button(text, () => {
          chosen = value;
          show();
          onchange(value);
        }, { ...attributes, "aria-pressed": String(value === chosen), class: `mlw-button ${tone ? `mls-${tone}` : ""}` })),
    );
  show();
  return group;
}

// The explorer: a table of any size, sorted, filtered, as it was at any snapshot, with what changed there.

const NEXT = { "": "up", up: "down", down: "" };
const ARROW = { "": "↕", up: "↑", down: "↓" };

class Explorer {
  constructor(model, el) {
    const start = model.get("start");
    this.here = frame(model, el, start.name, start.kind);
    this.view = { order: [], filters: {}, where: "" };
    this.snapshot = start.snapshot;
    this.changes = false;
    this.profiles = new Map();
    this.charts = new Map();
    this.tools = h("div", { class: "mlw-tools" });
    this.said = h("span", { class: "mlw-count" });
    this.past = h("span", { class: "mlw-past" });
    this.tools.append(this.said, this.whereBox(), this.past);
    this.grid = new Grid({
      label: `Rows of ${start.name}`,
      columns: start.columns,
      total: start.total,
      first: start.rows,
      head: (column) => this.column(column),
      fetch: (from, many) => this.rows(from, many),
    });
    this.here.body.append(this.tools, this.grid.el);
    this.total(start.total);
    if (start.past) quietly(this.offerPast());
    quietly(this.drawCharts(start.columns));
  }

  asked() {
    return { ...this.view, snapshot: this.snapshot, changes: this.changes };
  }

  async rows(start, count) {
    return (await this.here.get("page", { ...this.asked(), start, count })).rows;
  }

  total(number) {
    this.said.textContent = `${rowsOf(number)} · snapshot ${this.snapshot}`;
  }

  /** Show the view that is asked for now, unless another was asked for meanwhile. */
  async renew({ columns = false } = {}) {
    const turn = (this.turn = (this.turn || 0) + 1);
    const found = await this.here.get("page", { ...this.asked(), start: 0, count: BLOCK });
    if (turn !== this.turn) return;
    if (columns) this.charts.clear();
    this.grid.reset({ columns: columns ? found.columns : null, total: found.total, first: found.rows });
    this.total(found.total);
    await this.drawCharts(this.grid.columns);
  }

  whereBox() {
    const change = settled(350, (text) => {
      this.view.where = text;
      quietly(this.renew());
    });
    return h("input", {
      class: "mlw-input mlw-where",
      type: "search",
      placeholder: "condition in SQL, such as fare > 10 and zone = 3",
      "aria-label": "Condition in SQL",
      "data-asks": true,
      spellcheck: "false",
      oninput: (event) => change(event.target.value),
    });
  }

  column(column) {
    const state = this.order(column.name);
    const sort = button(column.name, () => this.sort(column.name), {
      class: "mlw-sort",
      title: `${column.name}: ${column.type}. Sort`,
      "aria-label": `Sort by ${column.name}`,
      "data-asks": true,
    });
    const arrow = h("span", { class: "mlw-arrow", "data-column": column.name, "aria-hidden": "true" }, ARROW[state]);
    sort.append(arrow);
    const chart = h("div", { class: "mlw-chart" });
    this.charts.set(column.name, chart);
    const change = settled(350, (text) => {
      if (text.trim()) this.view.filters[column.name] = text;
      else delete this.view.filters[column.name];
      quietly(this.renew());
    });
    const filter = h("input", {
      class: "mlw-input mlw-filter",
      type: "search",
      placeholder: column.compared ? "= > < a..b" : "contains",
      title: "A value, >= value, low..high, null or not null",
      "aria-label": `Filter ${column.name}`,
      "data-asks": true,
      value: this.view.filters[column.name] || "",
      spellcheck: "false",
      oninput: (event) => change(event.target.value),
    });
    return [sort, h("small", {}, column.type), chart, filter];
  }

  order(name) {
    const found = this.view.order.find(([column]) => column === name);
    return found ? (found[1] ? "down" : "up") : "";
  }

  sort(name) {
    const next = NEXT[this.order(name)];
    this.view.order = next ? [[name, next === "down"]] : [];
    for (const arrow of this.grid.header.querySelectorAll(".mlw-arrow")) {
      const state = this.order(arrow.dataset.column);
      arrow.textContent = ARROW[state];
      const words = { "": "none", up: "ascending", down: "descending" };
      arrow.closest("[role=columnheader]").setAttribute("aria-sort", words[state]);
    }
    quietly(this.renew());
  }

  /** Ask for the profiles one by one, so that pages are never waited for long. */
  async drawCharts(columns) {
    const turn = (this.profiling = (this.profiling || 0) + 1);
    for (const column of columns) {
      const asked = this.asked();
      const key = JSON.stringify([asked.filters, asked.where, asked.snapshot, asked.changes, column.name]);
      if (!this.profiles.has(key)) this.profiles.set(key, await this.here.get("profile", { ...asked, column: column.name }));
      if (turn !== this.profiling) return;
      this.charts.get(column.name)?.replaceChildren(...profile(this.profiles.get(key)));
    }
  }

  async offerPast() {
    const past = await this.here.ask("past");
    if (past.length < 2) return;
    const label = h("output", { class: "mlw-when" });
    const say = (place) => (label.textContent = past[place].said);
    const move = settled(200, (place) => {
      this.snapshot = past[place].snapshot;
      quietly(this.renew({ columns: true }));
    });
    const shift = (step) => {
      slider.value = +slider.value + step;
      slider.dispatchEvent(new Event("input"));
    };
    const slider = h("input", {
      type: "range",
      min: 0,
      max: past.length - 1,
      value: past.length - 1,
      "aria-label": "Snapshot",
      "data-asks": true,
      oninput: (event) => {
        say(+event.target.value);
        slider.setAttribute("aria-valuetext", label.textContent);
        move(+event.target.value);
      },
    });
    const changes = h("input", {
      type: "checkbox",
      "data-asks": true,
      onchange: (event) => {
        this.changes = event.target.checked;
        this.view = { order: [], filters: {}, where: "" };
        this.tools.querySelector(".mlw-where").value = "";
        quietly(this.renew({ columns: true }));
      },
    });
    say(past.length - 1);
    this.past.replaceChildren(
      button("‹", () => shift(-1), { "aria-label": "Earlier snapshot", "data-asks": true }), slider,
      button("›", () => shift(1), { "aria-label": "Later snapshot", "data-asks": true }), label, h("label", {}, changes, "what changed"));
  }

  close() {
    this.grid.close();
    this.here.ask("rest").catch(() => {});
    this.here.ask.close();
  }
}

export default {
  render({ model, el }) {
    const explorer = new Explorer(model, el);
    return () => explorer.close();
  },
};

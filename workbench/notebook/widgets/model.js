// The model page: metrics with their intervals, importance, versions to deploy, decisions of the gate.

const SCALE = { width: 180, height: 20 };
const short = (value) => (value == null ? "" : Number(value).toPrecision(4));

/** A metric on a line: the interval, the value, and what a model that learned nothing reaches. */
function interval({ metric, value, low, high, baseline }) {
  const known = [value, low, high, baseline].filter((each) => each != null);
  const [least, most] = [Math.min(...known), Math.max(...known)];
  const pad = (most - least || Math.abs(most) || 1) * 0.08;
  const x = (each) => 6 + ((each - least + pad) / (most - least + 2 * pad)) * (SCALE.width - 12);
  const middle = SCALE.height / 2;
  const label = `${metric} ${short(value)}${low == null ? "" : `, between ${short(low)} and ${short(high)}`}${baseline == null ? "" : `, baseline ${short(baseline)}`}`;
  return s("svg", { class: "mlw-scale", role: "img", "aria-label": label, viewBox: `0 0 ${SCALE.width} ${SCALE.height}`, width: SCALE.width, height: SCALE.height },
    s("title", {}, label),
    s("line", { x1: 0, x2: SCALE.width, y1: middle, y2: middle, class: "mlw-lane" }),
    baseline == null ? "" : s("line", { x1: x(baseline), x2: x(baseline), y1: 3, y2: SCALE.height - 3, class: "mlw-base" }),
    low == null ? "" : s("line", { x1: x(low), x2: x(high), y1: middle, y2: middle, class: "mlw-interval" }),
    value == null ? "" : s("circle", { cx: x(value), cy: middle, r: 4.5, class: "mlw-point" }));
}

function metrics(rows) {
  return section("Metrics on the held-out rows",
    h("table", { class: "mls-grid" }, h("tbody", {}, rows.map((row) => h("tr", {},
      h("th", { scope: "row" }, row.metric),
      h("td", { class: "mls-right" }, short(row.value)),
      h("td", {}, interval(row)),
      h("td", { class: "mls-kind" }, row.low == null ? "" : `${short(row.low)} to ${short(row.high)}`))))),
    h("div", { class: "mls-foot" }, "point: value · thick line: 95 % interval · thin mark: baseline"));
}

function importance(rows) {
  const most = Math.max(...rows.map((row) => row.value), 1e-12);
  return section(`Importance (${rows[0].by})`, h("div", { class: "mlw-bars-list" }, rows.map((row) => [
    h("span", { title: row.feature }, row.feature),
    h("span", { class: "mlw-track" }, h("i", { style: `width:${Math.max(0, (100 * row.value) / most)}%` })),
    h("span", { class: "mls-right" }, short(row.value)),
  ])));
}

function section(title, ...parts) {
  return h("section", {}, h("div", { class: "mls-title" }, title), ...parts);
}

function more({ title, columns, rows }) {
  return h("details", {}, h("summary", {}, title), table(columns, rows, title));
}

class ModelPage {
  constructor(model, el) {
    this.here = frame(model, el, "", "model");
    this.draw(model.get("start"));
  }

  draw(state) {
    this.name = state.name.split("@")[0];
    this.title ??= h("span", { class: "mls-name" });
    this.badge ??= h("span");
    this.here.head.insertBefore(this.title, this.here.head.lastChild);
    this.here.head.insertBefore(this.badge, this.here.head.lastChild);
    this.title.textContent = state.name;
    this.badge.textContent = state.status;
    this.badge.className = `mls-badge ${state.status === "champion" ? "mls-good" : "mls-warn"}`;
    const facts = h("dl", { class: "mls-facts" }, state.facts.filter(([key, value]) => value.length < 400 && key !== "query")
      .map(([key, value]) => [h("dt", {}, key), h("dd", {}, value)]));
    const query = state.facts.find(([key]) => key === "query");
    this.here.body.replaceChildren(
      h("div", { class: "mlw-split" },
        h("div", { class: "mlw-half" }, state.metrics.length ? metrics(state.metrics) : "", state.importance.length ? importance(state.importance) : ""),
        h("div", { class: "mlw-half" }, this.versions(state), this.decisions(state))),
      h("details", {}, h("summary", {}, "What it was made from"), facts, query ? h("pre", { class: "mls-code" }, query[1]) : ""),
      ...state.tables.map(more));
  }

  async change(what, given) {
    this.draw(await this.here.get(what, given));
  }

  versions({ versions }) {
    const lines = versions.map((each) => h("tr", { class: each.champion ? "mlw-added" : "" },
      h("td", { class: "mls-right" }, `@${each.version}`),
      h("td", {}, `${each.metric} ${short(each.value)}`),
      h("td", {}, each.trained_at),
      h("td", {}, each.champion
        ? h("span", { class: "mls-badge mls-good" }, "champion")
        : asking("Deploy", `Make ${this.name}@${each.version} the champion?`,
          () => this.change("deploy", { version: each.version }), { "aria-label": `Deploy version ${each.version}` }))));
    const back = versions.length > 1
      ? asking("Roll back", `Make the previous champion of ${this.name} the champion again?`, () => this.change("rollback"))
      : "";
    return section("Versions", h("div", { class: "mls-scroll" }, h("table", { class: "mls-grid" }, h("tbody", {}, lines))), h("div", { class: "mlw-tools" }, back));
  }

  decisions({ decisions }) {
    if (!decisions.length) return "";
    return section("What the gate decided", h("ul", { class: "mlw-list" }, decisions.map((each) =>
      h("li", {}, h("span", { class: each.deployed ? "mls-good" : "mls-warn" }, `@${each.version} ${each.deployed ? "deployed" : "not deployed"}`),
        ` · ${each.decided_at} · ${each.reason || each.gate}`))));
  }
}

export default {
  render({ model, el }) {
    const page = new ModelPage(model, el);
    return () => page.here.ask.close();
  },
};

// The binding page: coverage, errors by message, versions in use, how long rows took.

const TONE = { ok: "good", pending: "info", error: "bad" };

function share(part, whole) {
  const percent = whole ? (100 * part) / whole : 0;
  return percent > 0 && percent < 0.1 ? "<0.1 %" : percent < 100 && percent > 99.9 ? ">99.9 %" : `${percent.toFixed(percent % 1 ? 1 : 0)} %`;
}

function part(title, ...children) {
  return h("section", { class: "mlw-half" }, h("div", { class: "mls-title" }, title), ...children);
}

/** One bar of all rows, divided by what became of them, and the numbers below. */
function coverage({ total, statuses, missing }) {
  const parts = [...statuses, ...(missing ? [["no prediction yet", missing]] : [])];
  const label = parts.map(([status, number]) => `${count(number)} ${status}`).join(", ") || "no rows";
  return part("Coverage",
    h("div", { class: "mlw-stack", role: "img", "aria-label": label }, parts.map(([status, number]) =>
      h("i", { class: `mlw-${TONE[status] || "none"}`, style: `flex-grow:${number}`, title: `${count(number)} ${status}` }))),
    h("div", { class: "mls-foot" }, parts.map(([status, number]) =>
      h("span", { class: TONE[status] ? `mls-${TONE[status]}` : "" }, `${count(number)} ${status} (${share(number, total)})  `))));
}

function counted(title, rows, none) {
  return part(title, rows.length
    ? h("ul", { class: "mlw-list" }, rows.map(([value, number]) => h("li", {}, h("b", {}, count(number)), ` ${value}`)))
    : h("div", { class: "mls-foot" }, none));
}

/** How long a row took in the last runs, oldest left. */
function latency(runs) {
  if (!runs.length) return part("Latency", h("div", { class: "mls-foot" }, "no run has predicted a row yet"));
  const ordered = [...runs].reverse();
  const most = Math.max(...ordered.map((run) => run.ms), 1e-9);
  const [wide, tall, step] = [260, 44, Math.min(20, 260 / ordered.length)];
  const label = `Milliseconds a row over the last ${runs.length} runs: the newest took ${runs[0].ms.toPrecision(3)}`;
  return part("Latency",
    s("svg", { class: "mlw-bars", role: "img", "aria-label": label, viewBox: `0 0 ${wide} ${tall}`, width: wide, height: tall },
      s("title", {}, label),
      ordered.map((run, place) => {
        const high = Math.max(1, (run.ms / most) * tall);
        return s("rect", { x: place * step, y: tall - high, width: Math.max(1, step - 2), height: high },
          s("title", {}, `${run.at}: ${count(run.rows)} rows in ${run.seconds.toFixed(2)} s, ${run.ms.toPrecision(3)} ms a row`));
      })),
    h("div", { class: "mls-foot" }, `newest run: ${runs[0].ms.toPrecision(3)} ms a row, ${count(Math.round(1000 / runs[0].ms))} rows a second`));
}

export default {
  render({ model, el }) {
    const start = model.get("start");
    const here = frame(model, el, start.name, "binding");
    const renew = async (what) => draw(await here.get(what));
    const draw = (state) => {
      const current = state.behind.startsWith("no");
      here.body.replaceChildren(
        h("div", { class: "mlw-tools" },
          h("span", { class: `mls-badge ${current ? "mls-good" : "mls-warn"}` }, current ? "up to date" : "stale"),
          current ? "" : h("span", {}, state.behind),
          button("Count again", () => quietly(renew("state")), { "data-asks": true }),
          asking("Refresh", `Predict what is missing or stale in ${state.name}?`, () => renew("refresh"))),
        h("div", { class: "mlw-split" }, coverage(state), latency(state.runs),
          counted("Model versions in use", state.versions, "none yet"), counted("Errors by message", state.errors, "no errors")),
        h("details", {}, h("summary", {}, "Definition"), h("dl", { class: "mls-facts" }, state.facts.map(([key, value]) => [h("dt", {}, key), h("dd", {}, value)]))),
        ...state.tables.map(({ title, columns, rows }) => h("details", {}, h("summary", {}, title), table(columns, rows, title))));
    };
    draw(start);
    return () => here.ask.close();
  },
};

// The run history: a timeline with a lane for each name, and the runs as a list.

const WIDE = 720;
const LANE = 22;
const LABEL = 150;
const MOST_LANES = 14;
const MOST_LISTED = 200;

/** Runs lie close together and far apart: they are placed by their order, and are as long as they took. */
function timeline(runs, chosen, onchoose) {
  const names = [...new Set(runs.map((run) => run.name))].slice(0, MOST_LANES);
  const shown = runs.filter((run) => names.includes(run.name)).sort((a, b) => a.began - b.began);
  const step = (WIDE - LABEL - 10) / Math.max(1, shown.length);
  const longest = Math.max(0.001, ...shown.map((run) => run.seconds));
  const lanes = names.map((name, lane) => {
    const y = lane * LANE;
    return s("g", {},
      s("text", { x: 0, y: y + 15, "font-size": 11.5 }, s("title", {}, name), name.length > 22 ? `${name.slice(0, 21)}…` : name),
      s("line", { x1: LABEL, x2: WIDE, y1: y + 11, y2: y + 11, class: "mlw-lane" }));
  });
  const bars = shown.map((run, place) => {
    const tall = 4 + 14 * Math.sqrt(run.seconds / longest);
    const said = `${run.name}: ${run.mode}, ${run.took}, ${run.status}, ${run.at}`;
    return s("rect", {
      x: LABEL + place * step,
      y: names.indexOf(run.name) * LANE + 11 - tall / 2,
      width: Math.max(2, Math.min(14, step - 1)),
      height: tall,
      rx: 1.5,
      class: `mlw-run ${run.failed ? "mlw-failed" : ""} ${run === chosen ? "mlw-chosen" : ""}`,
      onclick: () => onchoose(run),
    }, s("title", {}, said));
  });
  const tall = names.length * LANE;
  return s("svg", {
    class: "mlw-timeline", role: "img", viewBox: `0 0 ${WIDE} ${tall}`, width: WIDE, height: tall,
    "aria-label": `${shown.length} runs of ${names.length} names, oldest left; a taller bar took longer`,
  }, lanes, bars);
}

export default {
  render({ model, el }) {
    const { runs, total } = model.get("start");
    const here = frame(model, el, "", "runs");
    let [kind, text, failed, chosen] = ["", "", false, null];
    const said = h("span", { class: "mlw-count" });
    const place = h("div");
    const list = h("div");
    const draw = () => {
      const found = runs.filter((run) =>
        (!kind || run.kind === kind) && (!failed || run.failed) && `${run.name} ${run.mode} ${run.why}`.toLowerCase().includes(text));
      said.textContent = found.length === total ? `${count(total)} runs` : `${count(found.length)} of ${count(total)} runs`;
      place.replaceChildren(timeline(found, chosen, (run) => {
        chosen = chosen === run ? null : run;
        draw();
      }));
      const columns = ["name", "kind", "mode", "rows", "took", "status", "snapshot", "began", "because"].map((name) => ({ name, right: name === "took" || name === "snapshot" }));
      const listed = (chosen ? [chosen] : found).slice(0, MOST_LISTED);
      list.replaceChildren(table(columns, listed.map((run) => ({
        tone: run.failed ? "removed" : "",
        cells: [run.name, run.kind, run.mode, run.rows, run.took, run.status, run.snapshot == null ? "" : String(run.snapshot), run.at, run.why],
      })), "Runs"));
      if (found.length > listed.length && !chosen) list.append(h("div", { class: "mls-foot" }, `the newest ${MOST_LISTED}`));
    };
    const kinds = [...new Set(runs.map((run) => run.kind))];
    const tools = h("div", { class: "mlw-tools" }, said,
      kinds.length > 1 ? choices("Kind of run", [["", "all"], ...kinds.map((each) => [each, each])], "", (value) => {
        kind = value;
        chosen = null;
        draw();
      }) : "",
      h("input", {
        class: "mlw-input", type: "search", placeholder: "name, mode or reason", "aria-label": "Search the runs",
        oninput: (event) => {
          text = event.target.value.toLowerCase();
          chosen = null;
          draw();
        },
      }),
      h("label", {}, h("input", {
        type: "checkbox",
        onchange: (event) => {
          failed = event.target.checked;
          chosen = null;
          draw();
        },
      }), "only failed"));
    here.body.append(tools, place, list);
    draw();
    return () => here.ask.close();
  },
};

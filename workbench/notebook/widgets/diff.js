// A difference: how many rows of each kind, and the rows, their changed cells marked.

const TONES = { added: "good", removed: "bad", changed: "warn" };

export default {
  render({ model, el }) {
    const start = model.get("start");
    const here = frame(model, el, "", "diff");
    here.head.insertBefore(h("span", { class: "mlw-count" }, start.said), here.head.lastChild);
    const fetch = (kind) => async (from, many) => (await here.get("page", { kind, start: from, count: many })).rows;
    const grid = new Grid({
      label: "Rows that differ",
      columns: start.columns,
      total: start.total,
      first: start.rows,
      head: (column) => [h("b", {}, column.name), h("small", {}, column.type)],
      fetch: fetch(""),
    });
    const pick = async (kind) => {
      const found = await here.get("page", { kind, start: 0, count: BLOCK });
      grid.fetch = fetch(kind);
      grid.reset({ total: found.total, first: found.rows });
    };
    const kinds = Object.entries(start.counts).map(([kind, number]) => [kind, `${count(number)} ${kind}`, TONES[kind]]);
    const tools = h("div", { class: "mlw-tools" });
    if (kinds.length > 1) tools.append(choices("Kind of change", [["", `all ${count(start.total)}`], ...kinds], "", (kind) => quietly(pick(kind)), { "data-asks": true }));
    here.body.append(tools, grid.el);
    return () => {
      grid.close();
      here.ask.close();
    };
  },
};

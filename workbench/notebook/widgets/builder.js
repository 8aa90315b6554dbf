// The builder: columns and built-in functions are chosen; the statement and its first rows follow.

const MANY = 8;
const options = (values, chosen) => values.map((each) => h("option", { value: each, selected: each === chosen }, each || "…"));

class Builder {
  constructor(model, el) {
    const start = (this.start = model.get("start"));
    this.here = frame(model, el, start.name, "build");
    this.offers = new Map(start.offers.map((each) => [each.step, each]));
    this.name = start.choices.name;
    this.key = start.choices.key;
    this.when = start.choices.when;
    this.refit = start.choices.refit_when;
    this.columns = start.columns.map((each) => ({ ...each, features: [] }));
    for (const { column, steps, name } of start.choices.features) {
      this.column(column).features.push({ steps: steps.map(({ step, given }) => ({ step, given: { ...given } })), name });
    }
    this.told = ({ told }) => told != null && this.here.say(told);
    model.on("msg:custom", this.told);
    this.later = settled(250, () => quietly(this.renew()));
    this.here.head.lastChild.before(h("span", { class: "mls-kind" }, `${rowsOf(start.total)} · snapshot ${start.snapshot}`));
    this.draw();
    this.changed();
    quietly(this.drawCharts());
  }

  column(name) {
    return this.columns.find((each) => each.name === name);
  }

  draw() {
    const { start } = this;
    this.said = h("div", { class: "mlw-outlook", role: "status", "aria-live": "polite" });
    this.statement = h("pre", { class: "mls-code mlw-statement", tabindex: 0, role: "region", "aria-label": "Statement" });
    this.make = button("Create", () => quietly(this.create()), { class: "mlw-button mlw-main", "data-asks": true });
    this.copy = button("Copy", () => quietly(this.copied()));
    this.insert = button("Insert cell", () => quietly(this.inserted()));
    this.trouble = h("div", { class: "mlw-error", role: "alert", hidden: true });
    this.note = h("div", { class: "mls-foot" });
    this.grid = new Grid({
      label: `First rows of the transform of ${start.name}`,
      height: 300,
      columns: [],
      total: 0,
      first: [],
      head: (column) => [h("span", { class: "mlw-head" }, column.name), h("small", {}, column.type)],
      fetch: async () => [],
    });
    this.here.body.append(
      h("fieldset", { "data-asks": true }, this.tools(),
        h("section", { class: "mlw-choose" }, this.listTitle(), this.list())),
      h("div", { class: "mlw-split" },
        h("section", { class: "mlw-half" }, h("div", { class: "mls-title" }, "Preview"), this.trouble, this.grid.el, this.note),
        h("section", { class: "mlw-made" },
          h("div", { class: "mls-title" }, "Statement"), this.statement,
          h("div", { class: "mlw-tools" }, this.make, this.insert, this.copy), this.said)));
    this.preview = {
      ask: this.here.ask,
      say: this.here.say,
      clear: () => (this.trouble.hidden = true),
      fail: (problem) => this.show(this.trouble, problem),
    };
  }

  // -- what concerns all columns ---------------------------------------------------------------

  tools() {
    const name = h("input", {
      class: "mlw-input mlw-called",
      value: this.name,
      "aria-label": "Name of the transform",
      spellcheck: "false",
      oninput: (event) => this.changed((this.name = event.target.value)),
    });
    this.places = { name: this.problem(name), key: this.problem(), when: this.problem(), refit_when: this.problem() };
    this.keyed = h("span", { class: "mlw-keyed" });
    this.sayKey();
    this.again = h("label", { class: "mlw-field" }, "learn again ", this.trigger("refit", "Learn again", ["never", ...this.start.triggers.slice(1)]));
    return h("div", {},
      h("div", { class: "mlw-tools" },
        h("label", { class: "mlw-field" }, "name ", name), this.keyed,
        h("label", { class: "mlw-field" }, "refresh ", this.trigger("when", "Refresh", this.start.triggers)), this.again),
      Object.values(this.places).map((each) => each.el));
  }

  /** A trigger of some kinds, and its value where it has one. */
  trigger(field, label, kinds) {
    const value = h("input", { class: "mlw-input mlw-value", "aria-label": `${label}: value`, spellcheck: "false" });
    const kind = h("select", { "aria-label": label }, kinds.map((each) =>
      h("option", { value: each.kind || "", selected: each.kind === this[field]?.kind }, each.label || each)));
    const begin = () => this.start.triggers.find((each) => each.kind === kind.value)?.begin || "";
    const show = () => (value.hidden = !begin());
    value.value = this[field]?.value || "";
    kind.onchange = () => {
      value.value = begin();
      change();
    };
    const change = () => {
      show();
      this[field] = kind.value ? { kind: kind.value, value: value.value } : null;
      this.changed();
    };
    value.oninput = change;
    show();
    return [kind, " ", value];
  }

  sayKey() {
    const names = this.key.length ? this.key.join(", ") : "choose below";
    this.keyed.replaceChildren("key ", h("b", { class: this.key.length ? "" : "mls-bad" }, names));
  }

  listTitle() {
    const search = this.columns.length > MANY
      ? h("input", {
          class: "mlw-input",
          type: "search",
          placeholder: "find a column",
          "aria-label": "Find a column",
          oninput: (event) => this.find(event.target.value.trim().toLowerCase()),
        })
      : "";
    const all = (keep) => {
      for (const each of this.columns.filter(({ row }) => !row.hidden)) {
        if (!keep) each.features = [];
        else if (!each.features.length && !this.key.includes(each.name)) each.features = [{ steps: [], name: "" }];
        this.drawRow(each);
      }
      this.changed();
    };
    return h("div", { class: "mlw-tools" }, h("div", { class: "mls-title" }, "Columns"), search,
      button("Keep all", () => all(true)), button("Leave out all", () => all(false)));
  }

  find(text) {
    for (const each of this.columns) each.row.hidden = !each.name.toLowerCase().includes(text);
  }

  list() {
    for (const each of this.columns) {
      each.row = h("div", { class: "mlw-pick", role: "group", "aria-label": each.name });
      each.chart = h("div", { class: "mlw-chart" });
      each.head = h("div", { class: "mlw-which" });
      each.lines = h("div", { class: "mlw-lines" });
      each.row.append(each.head, each.chart, each.lines);
      this.drawRow(each);
    }
    return h("div", { class: "mlw-picks", onkeydown: (event) => this.walk(event) }, this.columns.map((each) => each.row));
  }

  /** Go from one column to the next with the arrow keys. */
  walk(event) {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!step || event.target.type !== "checkbox") return;
    const shown = this.columns.filter((each) => !each.row.hidden);
    const here = shown.findIndex((each) => each.row.contains(event.target));
    shown[here + step]?.head.querySelector("input").focus();
    event.preventDefault();
  }

  // -- one column --------------------------------------------------------------------------------

  drawRow(column) {
    const key = this.key.includes(column.name);
    const keep = h("input", {
      type: "checkbox",
      "aria-label": `Keep ${column.name}`,
      onchange: (event) => this.reshape(column, () => (column.features = event.target.checked ? [{ steps: [], name: "" }] : []), keepAgain),
    });
    const keepAgain = () => column.head.querySelector("input");
    keep.checked = key || column.features.length > 0;
    keep.disabled = key;
    const toggle = this.start.keyed
      ? key ? h("span", { class: "mls-badge mls-info" }, "key") : ""
      : button("key", () => this.reshape(column, () => this.setKey(column, !key), keepAgain), {
          class: `mlw-button mlw-small ${key ? "mls-info" : ""}`,
          "aria-pressed": String(key),
          "aria-label": `${column.name} identifies a row`,
        });
    column.head.replaceChildren(
      h("label", { title: `${column.name}: ${column.type}` }, keep, h("b", {}, column.name)), toggle,
      h("small", {}, column.type));
    column.row.classList.toggle("mlw-out", !keep.checked);
    column.lines.replaceChildren(...column.features.map((each, place) => this.line(column, each, place)));
    if (column.features.length) last(column.lines, ".mlw-ends").append(this.more(column, "+"));
    else if (key) column.lines.append(this.more(column, "+ a column made of it"));
  }

  setKey(column, key) {
    this.key = key ? [...this.key, column.name] : this.key.filter((each) => each !== column.name);
    if (key) column.features = column.features.filter((each) => each.steps.length);
    else column.features.unshift({ steps: [], name: "" });
    this.sayKey();
  }

  /** Change which parts a column has, draw it anew, and give the focus back. */
  reshape(column, change, focus) {
    change();
    this.drawRow(column);
    focus?.()?.focus();
    this.changed();
  }

  line(column, feature, place) {
    const chips = feature.steps.map((each, at) => this.chip(column, feature, place, at));
    const name = h("input", {
      class: "mlw-input mlw-as",
      value: feature.name,
      "aria-label": `Name of ${column.name}, ${place + 1}`,
      spellcheck: "false",
      oninput: (event) => this.changed((feature.name = event.target.value)),
    });
    feature.as = name;
    feature.problem = this.problem();
    const remove = column.features.length > 1 || this.key.includes(column.name)
      ? button("×", () => this.reshape(column, () => column.features.splice(place, 1), () => column.head.querySelector("input:enabled")), {
          class: "mlw-bare", "aria-label": `Leave out column ${place + 1} of ${column.name}`, title: "Leave it out" })
      : "";
    return h("div", { class: "mlw-line" },
      h("div", { class: "mlw-chain" }, chips, this.adder(column, feature, place), h("span", { class: "mlw-naming" }, h("label", {}, "as ", name), h("span", { class: "mlw-ends" }, remove))),
      feature.problem.el);
  }

  more(column, words) {
    const add = () => this.reshape(column, () => column.features.push({ steps: [], name: "" }), () => last(column.lines, ".mlw-add"));
    const label = `Another column made of ${column.name}`;
    return button(words, add, { class: "mlw-bare", "aria-label": label, title: label });
  }

  /** A button with the list of the functions that suit what the column has become. */
  adder(column, feature, place) {
    const kind = feature.steps.reduce((kind, { step }) => this.offers.get(step).gives || kind, column.kind);
    const back = feature.steps.some(({ step }) => this.offers.get(step).back);
    const offers = this.start.offers.filter((each) => each.takes.includes(kind) && !(back && each.back));
    if (!offers.length) return "";
    const add = (offer) => {
      const given = Object.fromEntries(offer.parameters.map((each) => [each.name, each.begin[kind] ?? ""]));
      const line = () => column.lines.children[place];
      this.reshape(column, () => feature.steps.push({ step: offer.step, given }), () =>
        last(line(), ".mlw-chip")?.querySelector("select, input") || last(line(), ".mlw-add"));
    };
    const label = `Apply a function to ${column.name}`;
    const open = (event) => new Menu(this.here.el, event.currentTarget, label, offers, add);
    return button(feature.steps.length ? "then …" : "apply …", open, { class: "mlw-bare mlw-add", "aria-haspopup": "menu", "aria-label": label });
  }

  chip(column, feature, place, at) {
    const { step, given } = feature.steps[at];
    const offer = this.offers.get(step);
    const kind = feature.steps.slice(0, at).reduce((kind, one) => this.offers.get(one.step).gives || kind, column.kind);
    const fields = offer.parameters.map((each) => this.field(column, step, each, kind, given));
    const sift = () => offer.parameters.forEach(({ only }, at) => (fields[at].hidden = !!only && given[only[0]] !== only[1]));
    sift();
    const remove = button("×", () => this.reshape(column, () => feature.steps.splice(at, 1), () => column.lines.children[place].querySelector(".mlw-add")), {
      class: "mlw-bare", "aria-label": `Remove ${step} from ${column.name}` });
    return [at ? h("span", { class: "mlw-then", "aria-hidden": "true" }, "→") : "",
      h("span", { class: "mlw-chip", onchange: sift }, h("b", { title: offer.help }, step), fields, remove)];
  }

  field(column, step, parameter, kind, given) {
    const { name, form } = parameter;
    const label = `${name} of ${step} of ${column.name}`;
    const set = (text) => this.changed((given[name] = text));
    if (form === "choice") {
      return h("select", { "aria-label": label, title: name, onchange: (event) => set(event.target.value) }, options(parameter.choice[kind] || [], given[name]));
    }
    if (form === "column") {
      const names = this.columns.filter((each) => parameter.of.includes(each.kind)).map((each) => each.name);
      return h("label", {}, `${name} `, h("select", { "aria-label": label, onchange: (event) => set(event.target.value) }, options(["", ...names], given[name])));
    }
    const wide = { number: 4, word: 9, value: 8 }[form];
    return h("label", {}, `${name} `, h("input", {
      class: "mlw-input", size: wide, value: given[name], "aria-label": label, spellcheck: "false",
      inputmode: form === "number" ? "decimal" : null, oninput: (event) => set(event.target.value) }));
  }

  // -- what follows from the choices -------------------------------------------------------------

  changed() {
    this.turn = (this.turn || 0) + 1;
    this.again.hidden = !this.columns.some((each) => each.features.some((one) => one.steps.length));
    this.make.disabled = this.insert.disabled = this.copy.disabled = true;
    this.later();
  }

  choices() {
    const features = this.columns.flatMap(({ name: column, features }) => features.map(({ steps, name }) => ({ column, steps, name })));
    return { name: this.name, key: this.key, features, when: this.when, refit_when: this.again.hidden ? null : this.refit };
  }

  async renew() {
    const { turn } = this;
    const choices = this.choices();
    const draft = await this.here.get("draft", { choices });
    if (turn !== this.turn) return;
    this.showDraft(draft);
    if (draft.problems.length) return;
    this.grid.el.classList.add("mlw-waiting");
    const found = await whileWaiting(this.preview, "preview", this.here.ask("preview", { choices }));
    if (turn !== this.turn) return;
    this.grid.el.classList.remove("mlw-waiting");
    this.grid.reset({ columns: found.columns, total: found.rows.length, first: found.rows });
    this.note.textContent = found.note;
  }

  showDraft({ cell, pieces, names, problems, outlook }) {
    const features = this.columns.flatMap((each) => each.features);
    features.forEach((each, place) => (each.as.placeholder = each.as.title = names[place]));
    const places = [...Object.values(this.places), ...features.map((each) => each.problem)];
    for (const each of places) each.show(null);
    for (const each of problems) (this.places[each.place] || features[each.place].problem).show(each);
    const wrong = problems.length > 0;
    this.make.disabled = this.insert.disabled = this.copy.disabled = wrong;
    this.statement.classList.toggle("mlw-waiting", wrong);
    this.grid.el.classList.toggle("mlw-waiting", wrong);
    this.said.textContent = wrong ? "" : outlook;
    if (wrong) return;
    this.cell = cell;
    this.statement.replaceChildren(...pieces.map(([kind, text]) => (kind ? h("span", { class: `mlw-is-${kind}` }, text) : text)));
  }

  /** A place for what is wrong with something, which is marked then. */
  problem(field) {
    const el = h("div", { class: "mlw-problem", role: "alert", hidden: true });
    const show = (problem) => {
      el.hidden = !problem;
      field?.toggleAttribute("aria-invalid", !!problem);
      if (problem) this.show(el, problem);
    };
    return { el, show };
  }

  show(el, { message, hint }) {
    el.replaceChildren(h("b", {}, message || "Something went wrong."), hint ? h("span", {}, ` ${hint}`) : "");
    el.hidden = false;
  }

  async drawCharts() {
    for (const each of this.columns) each.chart.replaceChildren(...profile(await this.here.get("profile", { column: each.name })));
  }

  // -- what is done with it ----------------------------------------------------------------------

  async create() {
    this.make.disabled = true;
    this.here.say("working …");
    try {
      this.done(await this.here.ask("create", { choices: this.choices() }), "mls-good");
      this.preview.clear();
    } catch (problem) {
      if (!this.here.ask.gone) this.preview.fail(problem);
    } finally {
      this.here.say("");
      this.make.disabled = this.here.ask.gone;
    }
  }

  done(text, tone = "") {
    this.said.replaceChildren(h("span", { class: tone }, text));
  }

  async copied() {
    await toClipboard(this.cell);
    this.done("Copied: paste it into a cell.");
  }

  /** Our extension of JupyterLab takes it; where there is none, it is copied. */
  async inserted() {
    const asked = new CustomEvent("mlstore:insert-cell", { bubbles: true, cancelable: true, detail: { cell: this.cell } });
    if (this.here.el.dispatchEvent(asked)) await this.copied();
    else this.done("It is in a cell below.");
  }

  close() {
    this.grid.close();
    this.here.model.off("msg:custom", this.told);
    this.here.ask("rest").catch(() => {});
    this.here.ask.close();
  }
}

/** A list of functions below a button: typing narrows it, arrow keys go through it. */
class Menu {
  constructor(el, anchor, label, offers, choose) {
    this.anchor = anchor;
    this.items = offers.map((each) => ({ offer: each, el: this.item(each, choose) }));
    this.search = h("input", { class: "mlw-input", type: "search", placeholder: "find a function", "aria-label": "Find a function", spellcheck: "false", oninput: () => this.sift() });
    this.groups = [...new Set(offers.map((each) => each.group))].map((group) => ({
      el: h("div", { role: "group", "aria-label": group }, h("div", { class: "mlw-group", "aria-hidden": "true" }, group),
        this.items.filter((each) => each.offer.group === group).map((each) => each.el)),
    }));
    this.list = h("div", { class: "mlw-items", role: "menu", "aria-label": label }, this.groups.map((each) => each.el));
    this.el = h("div", {
      class: "mlw-menu",
      onkeydown: (event) => this.key(event),
      onfocusout: (event) => !this.el.contains(event.relatedTarget) && this.close(),
    }, this.search, this.list);
    el.append(this.el);
    this.put(el);
    this.search.focus({ preventScroll: true });
    anchor.setAttribute("aria-expanded", "true");
  }

  item(offer, choose) {
    const [, does] = offer.help.split("\n\n");
    const take = () => {
      this.close();
      choose(offer);
    };
    return h("button", { type: "button", role: "menuitem", class: "mlw-item", title: offer.help, "aria-label": offer.step, tabindex: -1, onclick: take },
      h("b", {}, offer.step), h("span", {}, does.split(/(?<=[.:;])\s/)[0].replace(/[:;.]$/, "")));
  }

  /** Below the button, or above it where there is no place. */
  put(el) {
    const [here, at] = [el.getBoundingClientRect(), this.anchor.getBoundingClientRect()];
    const { offsetWidth: wide, offsetHeight: tall } = this.el;
    const above = at.bottom + tall > window.innerHeight && at.top - tall > 0;
    this.el.style.left = `${Math.max(0, Math.min(at.left - here.left, here.width - wide))}px`;
    this.el.style.top = `${(above ? at.top - tall - 4 : at.bottom + 4) - here.top}px`;
  }

  get shown() {
    return this.items.filter((each) => !each.el.hidden).map((each) => each.el);
  }

  sift() {
    const text = this.search.value.trim().toLowerCase();
    for (const { offer, el } of this.items) el.hidden = !`${offer.step} ${offer.group}`.toLowerCase().includes(text);
    for (const { el } of this.groups) el.hidden = !el.querySelector(".mlw-item:not([hidden])");
  }

  key(event) {
    const { shown } = this;
    const here = shown.indexOf(document.activeElement);
    if (event.key === "Escape") this.close(true);
    else if (event.key === "ArrowDown") shown[Math.min(here + 1, shown.length - 1)]?.focus();
    else if (event.key === "ArrowUp") (shown[here - 1] || this.search).focus();
    else if (event.key === "Enter" && here < 0) shown[0]?.click();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  close(back = false) {
    if (this.closed) return;
    this.closed = true;
    this.anchor.removeAttribute("aria-expanded");
    if (back) this.anchor.focus();
    this.el.remove();
  }
}

const last = (el, selector) => [...el.querySelectorAll(selector)].at(-1);

/** Copy a text, also where a page may not write to the clipboard by itself. */
async function toClipboard(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = h("textarea", { style: "position:fixed;opacity:0" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

export default {
  render({ model, el }) {
    const builder = new Builder(model, el);
    return () => builder.close();
  },
};

// How the values of a column are distributed, as a small chart.

const CHART = { width: 96, height: 26 };

/** Draw how values are distributed: bars of a histogram, or the commonest values and their share. */
function profile(found) {
  const values = found.rows - found.nulls;
  const share = found.rows ? found.nulls / found.rows : 0;
  const nulls = share ? `${share < 0.001 ? "<0.1" : (100 * share).toFixed(share < 0.1 ? 1 : 0)} % null` : "";
  if (found.bins.length) {
    const label = `${found.column}: from ${found.low} to ${found.high}${nulls ? `, ${nulls}` : ""}`;
    return [bars(found.bins, label), h("span", { class: "mlw-note" }, nulls || `${found.lowShort} – ${found.highShort}`)];
  }
  if (found.top.length) {
    const label = `${found.column}: ${found.top.map(([value, many]) => `${value} ${count(many)}`).join(", ")}`;
    return [stripe(found.top, values, label), h("span", { class: "mlw-note" }, nulls || found.top[0][0])];
  }
  const distinct = !values ? "no values" : found.distinct === 1 ? "1 value" : `≈ ${count(found.distinct)} values`;
  return [h("span", { class: "mlw-note" }, [distinct, nulls].filter(Boolean).join(" · "))];
}

function bars(bins, label) {
  const most = Math.max(...bins);
  const step = CHART.width / bins.length;
  const shapes = bins.map((many, place) => {
    const tall = many ? Math.max(1, (many / most) * CHART.height) : 0;
    return s("rect", { x: place * step + 0.5, y: CHART.height - tall, width: Math.max(1, step - 1), height: tall });
  });
  return picture(label, shapes);
}

function stripe(top, values, label) {
  let left = 0;
  const shapes = top.map(([, many], place) => {
    const wide = (many / values) * CHART.width;
    const shape = s("rect", { x: left, y: 8, width: Math.max(0.5, wide - 1), height: 12, opacity: 1 - place * 0.13 });
    left += wide;
    return shape;
  });
  return picture(label, [...shapes, s("rect", { x: left, y: 8, width: Math.max(0, CHART.width - left), height: 12, opacity: 0.15 })]);
}

function picture(label, shapes) {
  const { width: wide, height: tall } = CHART;
  return s("svg", { class: "mlw-bars", role: "img", "aria-label": label, viewBox: `0 0 ${wide} ${tall}`, width: wide, height: tall },
    s("title", {}, label), shapes);
}

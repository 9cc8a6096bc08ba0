"use strict";
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const report = read("content"), words = read("words");
  const translate = (text, values = {}) =>
    (words[text] ?? text).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
  const byId = (id) => document.getElementById(id);
  const SVG = "http://www.w3.org/2000/svg";
  const placeOf = new Map(report.columns.map((column, place) => [column.feature, place]));

  const make = (tag, attributes = {}, ...inside) => {
    const isSvg = ["svg", "g", "rect", "line", "path", "circle", "text", "title", "polygon"].includes(tag);
    const element = isSvg ? document.createElementNS(SVG, tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name === "on") for (const [event, run] of Object.entries(value)) element.addEventListener(event, run);
      else if (value !== null && value !== undefined) element.setAttribute(name, value);
    }
    for (const each of inside.flat(Infinity)) if (each !== null && each !== undefined) element.append(each);
    return element;
  };
  const shown = (value, digits = 3) => {
    if (value === null || value === undefined) return "";
    if (value === 0) return "0";
    const size = Math.abs(value);
    return size >= 1e7 || size < 1e-4 ? value.toExponential(digits - 1) : String(Number(value.toPrecision(digits)));
  };
  const shortened = (text, length = 22) => {
    const letters = [...text];
    const half = Math.floor((length - 1) / 2);
    return letters.length <= length ? text : `${letters.slice(0, half).join("")}…${letters.slice(-half).join("")}`;
  };
  const unpack = (packed) => {
    const bytes = Uint8Array.from(atob(packed.bytes), (letter) => letter.charCodeAt(0));
    const scale = (packed.largest ?? 0) / 255;
    const strides = packed.shape.map((_, axis) => packed.shape.slice(axis + 1).reduce((a, b) => a * b, 1));
    return { shape: packed.shape, at: (...place) => scale * bytes[place.reduce((sum, n, axis) => sum + n * strides[axis], 0)] };
  };
  const mean = (values) => values.reduce((a, b) => a + b, 0) / Math.max(1, values.length);
  const range = (n) => Array.from({ length: n }, (_, i) => i);
  const link = (feature) => {
    const place = placeOf.get(feature);
    const text = make("bdi", {}, feature);
    return place === undefined ? text : make("a", { href: `#column-${report.columns[place].rank}` }, text);
  };
  const figure = (title, ...inside) => make("figure", {}, make("figcaption", {}, title), ...inside);
  const legend = (...entries) =>
    make("div", { class: "legend" }, entries.map(([color, text]) => [make("b", { style: `background:${color}` }), text]));
  const picture = (width, height, label, ...inside) =>
    make("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label }, make("title", {}, label), ...inside);
  const scale = (values, from, to) => {
    const known = values.filter((value) => value !== null && Number.isFinite(value));
    let low = Math.min(...known), high = Math.max(...known);
    if (!known.length) [low, high] = [0, 1];
    if (low === high) [low, high] = [low - Math.abs(low || 1) * 0.5, high + Math.abs(high || 1) * 0.5];
    const place = (value) => from + ((value - low) / (high - low)) * (to - from);
    return { place, low, high };
  };

  // theme and print
  const setTheme = (theme) => {
    document.documentElement.dataset.theme = theme;
    const button = byId("theme");
    button.textContent = theme === "dark" ? button.dataset.light : button.dataset.dark;
  };
  setTheme(window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  byId("theme").addEventListener("click", () => setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
  byId("print").addEventListener("click", () => window.print());

  // the table
  const body = byId("ranking").tBodies[0];
  const rows = [...body.rows];
  const values = {
    rank: (c) => c.rank, column: (c) => c.feature, kind: (c) => c.kind, importance: (c) => c.importance,
    "95 %": (c) => c.ci_low, direction: (c) => c.direction, effect: (c) => c.effect, "adds to the others": (c) => c.q_value,
    permutation: (c) => c.permutation, "permutation rank": (c) => c.permutation_rank,
    gap: (c) => (c.permutation_rank === null ? null : c.permutation_rank - c.rank),
  };
  const larger_first = new Set(["importance", "95 %", "effect", "permutation", "gap"]);
  const sortBy = (head, key) => {
    const was = head.getAttribute("aria-sort");
    const way = was === null ? (larger_first.has(key) ? "descending" : "ascending") : was === "ascending" ? "descending" : "ascending";
    for (const each of head.parentNode.cells) each.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", way);
    const sign = way === "ascending" ? 1 : -1;
    const value = values[key];
    const compare = (one, other) => {
      const a = value(report.columns[one.dataset.place]), b = value(report.columns[other.dataset.place]);
      if (a === null || b === null || a === "" || b === "") return (a === null || a === "") - (b === null || b === "");
      return sign * (typeof a === "string" ? a.localeCompare(b, report.language) : a - b);
    };
    rows.sort((one, other) => compare(one, other) || one.dataset.place - other.dataset.place);
    body.append(...rows);
  };
  for (const head of byId("ranking").tHead.rows[0].cells) {
    const key = head.dataset.key;
    const name = head.textContent;
    head.replaceChildren(make("button", { type: "button", title: translate("Sort by {name}", { name }), on: { click: () => sortBy(head, key) } }, name));
  }
  const filter = () => {
    const wanted = byId("find").value.trim().toLocaleLowerCase();
    const only = byId("selected-only").checked;
    let n = 0;
    for (const row of rows) {
      const column = report.columns[row.dataset.place];
      row.hidden = !(column.feature.toLocaleLowerCase().includes(wanted) && (!only || column.selected === true));
      n += !row.hidden;
    }
    byId("shown").textContent = translate("{shown} of {total} columns shown", { shown: n, total: rows.length });
  };
  byId("find").addEventListener("input", filter);
  byId("selected-only").addEventListener("change", filter);
  byId("controls").hidden = false;
  filter();

  // pictures of one column
  const effectPicture = (column) => {
    const curve = column.curve;
    if (!curve || !curve.values.length) return null;
    const isLabelled = curve.is_ordered && curve.values.every((value) => value !== "" && Number.isFinite(Number(value)));
    const [width, height, left, bottom] = [380, 220, 52, isLabelled ? 24 : 60];
    const n = curve.values.length;
    const y = scale([...curve.prediction, ...curve.low, ...curve.high, ...curve.target], height - bottom, 12);
    const numbers = curve.values.map(Number);
    const isNumeric = curve.is_ordered && curve.values.every((v, i) => v !== "" && Number.isFinite(numbers[i]));
    const x = isNumeric ? scale(numbers, left + 8, width - 10).place : null;
    const at = (i) => (isNumeric ? x(numbers[i]) : left + ((i + 0.5) / n) * (width - left - 8));
    const most = Math.max(...curve.n_rows, 1);
    const points = (series) => range(n).filter((i) => series[i] !== null && (curve.values[i] !== "" || !curve.is_ordered)).map((i) => [at(i), y.place(series[i])]);
    const path = (series) => points(series).map(([a, b], i) => `${i ? "L" : "M"}${a.toFixed(1)},${b.toFixed(1)}`).join("");
    const band = [...points(curve.high), ...points(curve.low).reverse()].map((p) => p.map((v) => v.toFixed(1)).join(",")).join(" ");
    const parts = [];
    if (curve.is_ordered) parts.push(make("polygon", { class: "band", points: band }), make("path", { class: "line-first", d: path(curve.prediction) }));
    range(n).forEach((i) => {
      const name = curve.values[i] === "" ? translate("missing") : curve.values[i];
      const label = `${name}: ${translate("prediction")} ${shown(curve.prediction[i], 4)}, ${translate("target")} ${shown(curve.target[i], 4)}, ${curve.n_rows[i]} ${translate("rows")}`;
      if (!curve.is_ordered && curve.low[i] !== null) parts.push(make("line", { class: "whisker", x1: at(i), x2: at(i), y1: y.place(curve.low[i]), y2: y.place(curve.high[i]) }));
      if (curve.prediction[i] !== null) parts.push(make("circle", { class: "first", cx: at(i), cy: y.place(curve.prediction[i]), r: 3.5 }, make("title", {}, label)));
      if (curve.target[i] !== null) parts.push(make("circle", { class: "second", cx: at(i), cy: y.place(curve.target[i]), r: 2 + 3 * Math.sqrt(curve.n_rows[i] / most), opacity: 0.55 }, make("title", {}, label)));
    });
    const labelled = isNumeric ? [0, n - 1] : range(n).filter((i) => i % Math.ceil(n / 8) === 0);
    for (const i of labelled) {
      const name = shortened(curve.values[i] === "" ? translate("missing") : curve.values[i], 12);
      const turned = isNumeric ? {} : { transform: `rotate(-35 ${at(i)} ${height - bottom + 14})` };
      parts.push(make("text", { x: at(i), y: height - bottom + 14, "text-anchor": isNumeric ? (i ? "end" : "start") : "end", ...turned }, name));
    }
    parts.push(make("line", { class: "axis", x1: left, x2: width - 5, y1: height - bottom, y2: height - bottom }), make("line", { class: "axis", x1: left, x2: left, y1: 8, y2: height - bottom }));
    for (const value of [y.low, y.high]) parts.push(make("text", { x: left - 4, y: y.place(value) + 4, "text-anchor": "end" }, shown(value)));
    const unit = report.unit ? ` [${report.unit}]` : "";
    const what = column.effect_on ? ` (${column.effect_on})` : unit;
    return figure(`${translate("Effect on the prediction")}${what}`, picture(width, height, `${translate("Effect on the prediction")}: ${column.feature}`, parts),
      legend(["var(--first)", translate("prediction if all rows had the value")], ["var(--second)", translate("mean target of the rows near it")]));
  };
  const countsPicture = (column) => {
    const counts = column.counts;
    if (!counts) return null;
    const bars = counts.counts.map((count, i) => [counts.is_ordered ? `${counts.labels[i]} – ${counts.labels[i + 1] ?? ""}` : counts.labels[i], count]);
    if (counts.n_others) bars.push([translate("others"), counts.n_others]);
    if (counts.n_missing) bars.push([translate("missing"), counts.n_missing]);
    if (!bars.length) return null;
    const most = Math.max(...bars.map(([, count]) => count), 1);
    if (!counts.is_ordered) {
      const height = 18 * bars.length + 8;
      return figure(translate("Distribution"), picture(380, height, `${translate("Distribution")}: ${column.feature}`, bars.map(([name, count], i) => [
        make("text", { x: 130, y: 18 * i + 16, "text-anchor": "end" }, shortened(name, 20), make("title", {}, name)),
        make("rect", { class: "first", x: 136, y: 18 * i + 6, height: 12, width: (count / most) * 180 }),
        make("text", { x: 140 + (count / most) * 180, y: 18 * i + 16 }, String(count)),
      ])));
    }
    const [width, height, bottom] = [380, 180, 24];
    const step = (width - 20) / bars.length;
    return figure(translate("Distribution"), picture(width, height, `${translate("Distribution")}: ${column.feature}`,
      bars.map(([name, count], i) => make("rect", { class: i < counts.counts.length ? "first" : "second", x: 10 + i * step + 0.5, width: Math.max(1, step - 1), y: height - bottom - (count / most) * (height - bottom - 10), height: (count / most) * (height - bottom - 10) },
        make("title", {}, `${name}: ${count}`))),
      make("text", { x: 10, y: height - 8 }, counts.labels[0] ?? ""),
      make("text", { x: width - 10, y: height - 8, "text-anchor": "end" }, counts.labels[counts.labels.length - 1] ?? "")),
      counts.n_missing ? legend(["var(--second)", `${translate("missing")}: ${counts.n_missing}`]) : null);
  };

  const attention = report.attention && {
    names: report.attention.names, epochs: report.attention.epochs, best: report.attention.best_epoch,
    place: new Map(report.attention.names.map((name, i) => [name, i])),
    byHead: unpack(report.attention.by_head), byRow: unpack(report.attention.by_row), byEpoch: unpack(report.attention.by_epoch),
  };
  const color = (share) => {
    const stops = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
    const at = Math.min(0.9999, Math.max(0, share)) * (stops.length - 1);
    const i = Math.floor(at);
    return `rgb(${stops[i].map((v, k) => Math.round(v + (stops[i + 1][k] - v) * (at - i))).join(",")})`;
  };
  const heat = (label, rowNames, columnNames, cells) => {
    const widthOf = (name) => [...shortened(name, 24)].reduce((sum, letter) => sum + (letter > "\u2fff" ? 11.5 : 6.5), 14);
    const [cell, left, top] = [Math.max(14, Math.min(26, 700 / Math.max(1, columnNames.length))), Math.max(60, ...rowNames.map(widthOf)), 140];
    const most = Math.max(...cells.flat(), 1e-12);
    const width = left + cell * columnNames.length + 90, height = top + 16 * rowNames.length + 8;
    return picture(width, height, label,
      columnNames.map((name, i) => make("text", { x: left + (i + 0.6) * cell, y: top - 6, transform: `rotate(-60 ${left + (i + 0.6) * cell} ${top - 6})` }, shortened(name, 20), make("title", {}, name))),
      rowNames.map((name, r) => [make("text", { x: left - 6, y: top + 16 * r + 12, "text-anchor": "end" }, shortened(name, 24), name.length > 24 ? make("title", {}, name) : null),
        cells[r].map((value, i) => make("rect", { x: left + i * cell, y: top + 16 * r, width: cell - 1, height: 15, fill: color(value / most) }, make("title", {}, `${columnNames[i]}, ${name}: ${shown(value)}`)))]));
  };
  const headNames = (nLayers, nHeads) => range(nLayers * nHeads).map((k) => `${translate("layer")} ${Math.floor(k / nHeads) + 1}, ${translate("head")} ${(k % nHeads) + 1}`);

  const headsPicture = (column) => {
    const place = attention && attention.place.get(column.feature);
    if (place === undefined || place === null || place === false) return null;
    const [nMembers, nLayers, nHeads] = attention.byHead.shape;
    const cells = range(nLayers).map((layer) => range(nHeads).map((head) => mean(range(nMembers).map((member) => attention.byHead.at(member, layer, head, place)))));
    return figure(translate("Attention by layer and head"), heat(`${translate("Attention by layer and head")}: ${column.feature}`,
      range(nLayers).map((layer) => `${translate("layer")} ${layer + 1}`), range(nHeads).map((head) => `${translate("head")} ${head + 1}`), cells));
  };
  const lines = (label, names) => {
    const [width, height, left, bottom, right] = [560, 240, 48, 26, 150];
    const places = names.map((name) => attention.place.get(name)).filter((place) => place !== undefined);
    const series = places.map((place) => range(attention.epochs.length).map((epoch) => attention.byEpoch.at(epoch, place)));
    const y = scale([0, ...series.flat()], height - bottom, 10), x = scale(attention.epochs, left, width - right);
    const dashes = ["", "6 3", "2 2", "8 3 2 3"], colors = ["var(--first)", "var(--second)", "var(--good)", "var(--serious)"];
    const best = x.place(attention.best);
    const ends = series.map((values, k) => [y.place(values[values.length - 1]), k]).sort((a, b) => a[0] - b[0]);
    ends.forEach((end, i) => { if (i && end[0] < ends[i - 1][0] + 13) end[0] = ends[i - 1][0] + 13; });
    return picture(width, height, label,
      make("line", { class: "axis", x1: left, x2: width - right, y1: height - bottom, y2: height - bottom }),
      make("line", { class: "axis", x1: best, x2: best, y1: 8, y2: height - bottom }),
      make("text", { class: "soft", x: best < (width - right) / 2 ? best + 4 : best - 4, y: height - bottom - 6, "text-anchor": best < (width - right) / 2 ? "start" : "end" }, translate("best epoch")),
      series.map((values, k) => make("path", { d: values.map((v, i) => `${i ? "L" : "M"}${x.place(attention.epochs[i]).toFixed(1)},${y.place(v).toFixed(1)}`).join(""), fill: "none", stroke: colors[k % 4], "stroke-width": 1.8, "stroke-dasharray": dashes[Math.floor(k / 4) % 4] })),
      ends.map(([place, k]) => make("text", { x: width - right + 6, y: place + 4, style: `fill:${colors[k % 4]}` }, shortened(attention.names[places[k]], 20), make("title", {}, attention.names[places[k]]))),
      make("text", { x: left, y: height - 6 }, `${translate("epoch")} ${attention.epochs[0]}`),
      make("text", { x: width - right, y: height - 6, "text-anchor": "end" }, String(attention.epochs[attention.epochs.length - 1])),
      make("text", { x: left - 4, y: y.place(y.high) + 8, "text-anchor": "end" }, shown(y.high)));
  };
  const bars = (label, entries) => {
    const most = Math.max(...entries.map(([, value]) => value), 1e-12);
    return picture(380, 18 * entries.length + 6, label, entries.map(([name, value], i) => [
      make("text", { x: 150, y: 18 * i + 14, "text-anchor": "end" }, shortened(name, 22), make("title", {}, name)),
      make("rect", { class: "first", x: 156, y: 18 * i + 4, height: 12, width: (value / most) * 170 }),
      make("text", { x: 160 + (value / most) * 170, y: 18 * i + 14 }, shown(value)),
    ]));
  };
  const rowsTable = (column, place) => {
    if (!report.rows) return null;
    const scores = unpack(report.rows.scores);
    const first = range(scores.shape[0]).sort((a, b) => scores.at(b, place) - scores.at(a, place)).slice(0, 5);
    const hasTarget = report.rows.target.some((each) => each !== "");
    const cells = report.rows.cells.length && place < report.rows.cells[0].length;
    return figure(translate("Rows where it mattered most"), make("table", { class: "plain" },
      make("thead", {}, make("tr", {}, ["row", "score", ...(cells ? ["cell"] : []), "prediction", ...(hasTarget ? ["target"] : [])].map((name) => make("th", { scope: "col" }, translate(name))))),
      make("tbody", {}, first.map((row) => make("tr", {},
        make("th", { scope: "row" }, report.rows.numbers[row]), make("td", { class: "number" }, shown(scores.at(row, place))),
        cells ? make("td", { dir: "auto" }, report.rows.cells[row][place] || translate("missing")) : null,
        make("td", { dir: "auto" }, report.rows.prediction[row]), hasTarget ? make("td", { dir: "auto" }, report.rows.target[row]) : null)))));
  };
  const numbersOf = (column) => {
    const entries = [["importance", column.importance], ["p-value", column.p_value], ["q-value", column.q_value], ["permutation", column.permutation],
      ["rise of the loss when drawn given the others", column.conditional], ["how much of it the others explain", column.sampler_fit]];
    return make("dl", {}, entries.filter(([, value]) => value !== null).map(([name, value]) => make("div", {}, make("dt", {}, translate(name)), make("dd", {}, shown(value)))));
  };
  const related = (title, names) => names.length ? make("p", {}, `${translate(title)}: `, names.flatMap((name, i) => (i ? [", ", link(name)] : [link(name)]))) : null;

  const detail = byId("detail");
  const showColumn = (place) => {
    const column = report.columns[place];
    const go = (to, name) => make("button", { type: "button", ...(report.columns[to] ? {} : { disabled: "" }), on: { click: () => { location.hash = `column-${report.columns[to].rank}`; } } }, translate(name));
    const shownParts = [
      make("nav", { "aria-label": translate("One column") }, go(place - 1, "previous"), " ", go(place + 1, "next"), " ",
        make("button", { type: "button", on: { click: () => { history.replaceState(null, "", location.pathname + location.search); detail.hidden = true; byId("ranking").scrollIntoView(); } } }, translate("close"))),
      make("h2", { id: "detail-title" }, `${column.rank}. `, make("bdi", {}, column.feature), column.unit ? ` [${column.unit}]` : ""),
      numbersOf(column), related("Says the same as", column.same_as), related("Acts together with", column.acts_with),
      make("div", { class: "charts" }, effectPicture(column), countsPicture(column), headsPicture(column),
        attention && attention.place.has(column.feature) ? figure(translate("Attention over epochs"), lines(`${translate("Attention over epochs")}: ${column.feature}`, [column.feature])) : null,
        rowsTable(column, place),
        column.by_part.length ? figure(translate("By class and level"), bars(`${translate("By class and level")}: ${column.feature}`, column.by_part)) : null)];
    detail.replaceChildren(...shownParts.filter((each) => each !== null));
    detail.hidden = false;
    detail.focus({ preventScroll: true });
    detail.scrollIntoView();
  };
  const follow = () => {
    const found = /^#column-(\d+)$/.exec(location.hash);
    const place = found ? report.columns.findIndex((column) => column.rank === Number(found[1])) : -1;
    if (place >= 0) showColumn(place);
  };
  window.addEventListener("hashchange", follow);

  // pictures of all columns, drawn when they come into view
  const pictures = byId("pictures");
  const section = (title, fill) => {
    const inside = make("div", {});
    const place = make("section", {}, make("h2", {}, title), inside);
    pictures.append(place);
    let isDrawn = false;
    const draw = () => { if (!isDrawn) { isDrawn = true; fill(inside); } };
    if ("IntersectionObserver" in window) {
      const watcher = new IntersectionObserver((entries) => { if (entries.some((entry) => entry.isIntersecting)) { watcher.disconnect(); draw(); } }, { rootMargin: "400px" });
      watcher.observe(place);
    } else draw();
    window.addEventListener("beforeprint", draw);
  };
  const choice = (name, options, change) => {
    const select = make("select", { on: { change: () => change(Number(select.value)) } }, options.map((text, i) => make("option", { value: i - 1 }, text)));
    return make("label", {}, `${translate(name)} `, select);
  };

  const compared = report.columns.filter((column) => column.permutation_rank !== null);
  if (compared.length > 1) section(translate("Do both rankings agree?"), (inside) => {
    const [size, left, bottom] = [420, 50, 40];
    const most = Math.max(...compared.map((column) => Math.max(column.rank, column.permutation_rank)));
    const x = (rank) => left + ((rank - 0.5) / most) * (size - left - 10), y = (rank) => 10 + ((rank - 0.5) / most) * (size - bottom - 10);
    const far = [...compared].sort((a, b) => Math.abs(b.permutation_rank - b.rank) - Math.abs(a.permutation_rank - a.rank)).slice(0, 5).filter((c) => Math.abs(c.permutation_rank - c.rank) > Math.max(2, most / 10));
    inside.append(make("div", { class: "charts" },
      figure("", picture(size, size, translate("Do both rankings agree?"),
        make("line", { class: "axis", x1: x(0.5), y1: y(0.5), x2: x(most + 0.5), y2: y(most + 0.5) }),
        compared.map((column) => make("circle", { class: far.includes(column) ? "second" : "first", cx: x(column.rank), cy: y(column.permutation_rank), r: 4, opacity: 0.75 }, make("title", {}, `${column.feature}: ${column.rank}, ${column.permutation_rank}`))),
        far.map((column) => make("text", { x: x(column.rank) + (x(column.rank) > size / 2 ? -7 : 7), y: y(column.permutation_rank) + 4, "text-anchor": x(column.rank) > size / 2 ? "end" : "start" }, shortened(column.feature, 20))),
        make("line", { class: "axis", x1: left, x2: size - 10, y1: size - bottom, y2: size - bottom }),
        make("line", { class: "axis", x1: left, x2: left, y1: 10, y2: size - bottom }),
        [1, most].map((rank) => [make("text", { x: x(rank), y: size - bottom + 14, "text-anchor": "middle" }, String(rank)), make("text", { x: left - 6, y: y(rank) + 4, "text-anchor": "end" }, String(rank))]),
        make("text", { x: left + 30, y: size - 8 }, `${translate("rank by attention")} →`),
        make("text", { transform: `rotate(-90 14 ${size - bottom})`, x: 14, y: size - bottom }, `← ${translate("rank by permutation importance")}`))),
      make("div", {}, make("table", { class: "plain" }, make("tbody", {}, report.agreement.map(([name, value]) => make("tr", {}, make("th", { scope: "row" }, name), make("td", { class: "number" }, shown(value)))))),
        far.length ? make("p", {}, `${translate("far apart")}: `, far.flatMap((column, i) => [i ? ", " : "", link(column.feature), ` (${column.rank} / ${column.permutation_rank})`])) : null)));
  });

  const MOST_COLUMNS = 40;
  if (attention) section(translate("Where does the model look?"), (inside) => {
    const [nMembers, nLayers, nHeads, nColumns] = attention.byHead.shape;
    const chosen = { member: -1, layer: -1, head: -1, row: -1 };
    const place = make("div", { class: "wide" });
    const draw = () => {
      const pick = (n, one) => (one >= 0 ? [one] : range(n));
      const members = pick(nMembers, chosen.member), layers = pick(nLayers, chosen.layer), heads = pick(nHeads, chosen.head);
      let rowNames, cells;
      if (chosen.row >= 0) {
        rowNames = [`${translate("row")} ${report.rows.numbers[chosen.row]}`, translate("mean over held-out rows")];
        cells = [range(nColumns).map((i) => attention.byRow.at(chosen.row, i)), range(nColumns).map((i) => mean(range(attention.byRow.shape[0]).map((row) => attention.byRow.at(row, i))))];
      } else {
        rowNames = layers.flatMap((layer) => heads.map((head) => headNames(nLayers, nHeads)[layer * nHeads + head]));
        cells = layers.flatMap((layer) => heads.map((head) => range(nColumns).map((i) => mean(members.map((member) => attention.byHead.at(member, layer, head, i))))));
      }
      const totals = range(nColumns).map((i) => mean(cells.map((row) => row[i])));
      const order = range(nColumns).sort((a, b) => totals[b] - totals[a]);
      const kept = order.slice(0, MOST_COLUMNS), others = order.slice(MOST_COLUMNS);
      const names = kept.map((i) => attention.names[i]);
      const table = cells.map((row) => [...kept.map((i) => row[i]), ...(others.length ? [mean(others.map((i) => row[i]))] : [])]);
      if (others.length) names.push(`${translate("others")} (${others.length})`);
      place.replaceChildren(heat(translate("Where does the model look?"), rowNames, names, table));
    };
    const set = (name) => (value) => { chosen[name] = value; draw(); };
    const numbered = (n) => [translate("all"), ...range(n).map((i) => String(i + 1))];
    inside.append(make("div", { class: "controls" }, choice("member", numbered(nMembers), set("member")), choice("layer", numbered(nLayers), set("layer")), choice("head", numbered(nHeads), set("head")),
      report.rows ? choice("row", [translate("all"), ...report.rows.numbers], set("row")) : null), place,
      make("p", { class: "note" }, translate("These are attention weights of CLS before dropout; importance is measured by the loss.")));
    draw();
  });
  if (attention && report.attention.between) section(translate("Which columns do columns look at?"), (inside) => {
    const { names, weights } = report.attention.between, cells = unpack(weights);
    inside.append(make("div", { class: "wide" }, heat(translate("Which columns do columns look at?"), names, names, range(names.length).map((row) => range(names.length).map((i) => cells.at(row, i))))),
      make("p", { class: "note" }, translate("Rows attend to columns; averaged over members, layers, heads and held-out rows.")));
  });
  if (attention && attention.epochs.length > 1 && !report.drift.length) section(translate("When was the driver found?"), (inside) =>
    inside.append(lines(translate("When was the driver found?"), report.columns.filter((column) => attention.place.has(column.feature)).slice(0, 8).map((column) => column.feature))));

  if (report.associations) section(translate("Which columns go together?"), (inside) => {
    const { names, weights } = report.associations, cells = unpack(weights);
    inside.append(make("div", { class: "wide" }, heat(translate("Which columns go together?"), names, names, range(names.length).map((row) => range(names.length).map((i) => cells.at(row, i))))),
      make("p", { class: "note" }, translate("Rank correlation of numbers, association of levels; columns that go together share their importance.")));
  });

  const table = (heads, cells) => make("table", { class: "plain" }, make("thead", {}, make("tr", {}, heads.map((name) => make("th", { scope: "col" }, translate(name))))),
    make("tbody", {}, cells.map((row) => make("tr", {}, row.map((cell) => make("td", typeof cell === "string" ? { dir: "auto" } : {}, cell))))));
  if (report.interactions.length) section(translate("Which act together?"), (inside) => inside.append(table(["first", "second", "interaction", "p-value", "act together"],
    report.interactions.map((pair) => [link(pair.first), link(pair.second), shown(pair.interaction), shown(pair.p_value), translate(pair.selected ? "yes" : "no")]))));
  if (report.elimination.length > 1) section(translate("Which suffice?"), (inside) => inside.append(table(["removed", "columns left", "loss", "kept"],
    report.elimination.map((step) => [step.removed ? link(step.removed) : "", String(step.n_left), shown(step.loss), step.kept === null ? "" : `${Math.round(step.kept * 100)} %`]))));
  if (report.drift.length) section(translate("Is it as in training?"), (inside) => inside.append(table(["column", "attention in training", "attention now", "p-value", "differs", "outside", "missing"],
    report.drift.map((each) => [link(each.feature), shown(each.training), shown(each.now), shown(each.p_value), translate(each.drifted ? "yes" : "no"), `${Math.round(each.outside * 100)} %`, `${Math.round(each.missing * 100)} %`]))));
  pictures.hidden = pictures.childElementCount === 0;
  follow();
})();

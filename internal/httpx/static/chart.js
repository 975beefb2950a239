// Draws every [data-chart] with the newest [data-series] that names it, and
// again when htmx swaps in a newer one. Data is JSON in an attribute. What draws
// weighs more than the page: it is fetched once the page stands and a plot comes into view.
(function () {
  "use strict";
  var source = document.currentScript.dataset.plots;
  var wanted = false;
  function want() {
    if (wanted) return;
    wanted = true;
    var s = document.createElement("script");
    s.src = source;
    s.onload = draw;
    document.head.appendChild(s);
  }
  // watch waits until the reader sees a plot, or comes near one.
  function watch() {
    var plots = document.querySelectorAll("[data-chart]");
    if (!plots.length || wanted) return;
    if (!window.IntersectionObserver) return want();
    var seen = new IntersectionObserver(function (all) {
      if (all.some(function (e) { return e.isIntersecting; })) { seen.disconnect(); want(); }
    }, { rootMargin: "200px" });
    plots.forEach(function (p) { seen.observe(p); });
  }
  // Colours have their names in app.css; canvas wants them resolved.
  var probe = document.createElement("span");
  probe.hidden = true;
  function colour(name) {
    if (!probe.isConnected) document.body.appendChild(probe);
    probe.style.color = "var(--" + name + ")";
    return getComputedStyle(probe).color;
  }
  var tones = { good: "good", live: "accent", info: "accent", wait: "wait-mark", bad: "bad", over: "over" };
  var others = ["accent", "good", "wait-mark", "violet", "bad", "teal", "over"];
  var font = 'system-ui, -apple-system, "Segoe UI", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif';
  var hosts = {};

  function axisText() { return { color: colour("mute"), fontFamily: font, fontSize: 12 }; }

  function option(p, width) {
    var bars = p.kind === "bar";
    var names = { type: "category", data: p.names || [], axisLabel: axisText(), axisTick: { show: false }, axisLine: { lineStyle: { color: colour("edge") } } };
    var values = { type: "value", name: p.unit || "", nameTextStyle: axisText(), axisLabel: axisText(), minInterval: 1, splitLine: { lineStyle: { color: colour("hair") } } };
    if (bars) {
      names.inverse = true;
      // Names are sentences: each stands above its bar, on one line.
      Object.assign(names.axisLabel, { inside: true, margin: 0, verticalAlign: "bottom", padding: [0, 0, 7, 0], width: width - 12, overflow: "truncate", color: colour("ink"), interval: 0 });
      values.nameLocation = "middle";
      values.nameGap = 26;
      values.splitNumber = 3;
      values.axisLabel.hideOverlap = true;
    } else {
      names.boundaryGap = false;
      names.axisLabel.hideOverlap = true;
      names.axisLabel.alignMaxLabel = "right";
      names.axisLabel.alignMinLabel = "left";
    }
    return {
      animation: false,
      textStyle: { fontFamily: font },
      grid: { left: bars ? 2 : 8, right: bars ? 40 : 28, top: bars ? 8 : 52, bottom: bars && p.unit ? 30 : 8, containLabel: true },
      legend: { show: !bars && p.lines.length > 1, type: "scroll", right: 0, pageIconSize: 10, top: 0, left: 0, icon: "circle", itemWidth: 10, itemHeight: 10, padding: 4, textStyle: axisText() },
      tooltip: { backgroundColor: colour("paper"), borderColor: colour("line"), textStyle: { color: colour("ink"), fontFamily: font }, trigger: "axis", renderMode: "richText", axisPointer: { type: bars ? "shadow" : "line" } },
      xAxis: bars ? values : names,
      yAxis: bars ? names : values,
      series: p.lines.map(function (l, i) {
        var line = colour(tones[l.tone] || others[i % others.length]);
        return {
          name: l.name, type: bars ? "bar" : "line", data: l.values,
          color: line, itemStyle: { color: line }, barMaxWidth: 8, showSymbol: false,
          label: bars ? { show: true, position: "right", color: colour("mute"), fontFamily: font } : undefined,
          lineStyle: { width: 2 }, stack: p.kind === "area" ? "all" : undefined,
          areaStyle: p.kind === "area" ? { opacity: 0.25 } : undefined
        };
      })
    };
  }

  function draw() {
    if (!window.echarts) return watch();
    document.querySelectorAll("[data-series]").forEach(function (s) {
      var el = document.getElementById(s.dataset.series);
      if (!el || s.drawn) return;
      s.drawn = true;
      var chart = hosts[el.id];
      if (!chart || chart.isDisposed() || chart.getDom() !== el) {
        chart = hosts[el.id] = echarts.init(el, null, { renderer: "canvas" });
      }
      chart.setOption(option(JSON.parse(s.dataset.plot), el.clientWidth), { notMerge: true });
    });
  }

  window.addEventListener("resize", function () {
    Object.keys(hosts).forEach(function (k) { hosts[k].resize(); });
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", function () {
    document.querySelectorAll("[data-series]").forEach(function (s) { s.drawn = false; });
    draw();
  });
  if (document.readyState === "complete") draw(); else window.addEventListener("load", draw);
  document.addEventListener("htmx:afterSwap", draw);
  document.addEventListener("htmx:sseMessage", draw);
})();

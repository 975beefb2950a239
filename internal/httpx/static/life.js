// The lifeline under the hand: drag to move, wheel with Ctrl to zoom, keys.
// Every step asks the server for the window it leads to; without this file the
// buttons do the same.
(function () {
  "use strict";
  var spans = { h: 3600, d: 86400, w: 7 * 86400, m: 31 * 86400, y: 366 * 86400 };

  function box(e) { return e.target.closest ? e.target.closest("[data-life]") : null; }
  function win(b) { return { from: Number(b.dataset.from), to: Number(b.dataset.to), now: Number(b.dataset.now) }; }

  function go(b, from, to) {
    from = Math.max(0, Math.round(from));
    to = Math.round(to);
    if (to - from < 60) to = from + 60;
    var q = "?from=" + from + "&to=" + to;
    htmx.ajax("GET", b.dataset.life + "/lifeline" + q, { target: b, swap: "outerHTML" }).then(function () {
      var n = document.getElementById("life");
      if (n) n.focus({ preventScroll: true });
    });
    history.replaceState(history.state, "", b.dataset.life + q);
  }
  function zoom(b, f, at) {
    var w = win(b), long = w.to - w.from, mid = w.from + long * at;
    go(b, mid - long * f * at, mid + long * f * (1 - at));
  }
  function move(b, part) {
    var w = win(b), d = (w.to - w.from) * part;
    go(b, w.from + d, w.to + d);
  }

  document.addEventListener("keydown", function (e) {
    var b = box(e);
    if (!b || e.ctrlKey || e.metaKey || e.altKey || /^(INPUT|TEXTAREA|SELECT)$/.test(e.target.tagName)) return;
    var k = e.key.toLowerCase(), w = win(b);
    if (k === "arrowleft") move(b, -0.25);
    else if (k === "arrowright") move(b, 0.25);
    else if (k === "+" || k === "=") zoom(b, 0.5, 0.5);
    else if (k === "-") zoom(b, 2, 0.5);
    else if (spans[k]) {
      var to = w.now >= w.from && w.now < w.to ? w.now + spans[k] / 12 : (w.from + w.to + spans[k]) / 2;
      go(b, to - spans[k], to);
    } else return;
    e.preventDefault();
  });

  document.addEventListener("wheel", function (e) {
    var b = box(e), pane = e.target.closest && e.target.closest(".life-pane");
    if (!b || !pane || !(e.ctrlKey || e.metaKey)) return;
    e.preventDefault();
    if (b.busy) return;
    b.busy = true;
    var r = pane.getBoundingClientRect();
    zoom(b, e.deltaY > 0 ? 1.6 : 0.625, (e.clientX - r.left) / r.width);
  }, { passive: false });

  // A drag moves the drawing at once and asks for the new window at its end.
  var held = null;
  document.addEventListener("pointerdown", function (e) {
    var b = box(e), pane = e.target.closest && e.target.closest(".life-pane");
    if (!b || !pane || e.button !== 0 || e.pointerType === "touch") return;
    held = { box: b, pane: pane, svg: pane.querySelector("svg"), x: e.clientX, moved: 0 };
  });
  document.addEventListener("pointermove", function (e) {
    if (!held) return;
    held.moved = e.clientX - held.x;
    if (Math.abs(held.moved) < 4) return;
    held.pane.classList.add("held");
    held.svg.style.transform = "translateX(" + held.moved + "px)";
  });
  document.addEventListener("pointerup", function () {
    var h = held;
    held = null;
    if (!h || Math.abs(h.moved) < 4) return;
    h.pane.classList.remove("held");
    move(h.box, -h.moved / h.svg.clientWidth);
  });
  document.addEventListener("click", function (e) { // a drag that ends on a mark does not open it
    var pane = e.target.closest && e.target.closest(".life-pane");
    if (pane && pane.querySelector("svg").style.transform) e.preventDefault();
  }, true);
  // Where the picture is wider than the page, what is newest is shown first.
  function newest() {
    document.querySelectorAll(".life-pane").forEach(function (p) { p.scrollLeft = p.scrollWidth; });
  }
  document.addEventListener("DOMContentLoaded", newest);
  document.addEventListener("htmx:afterSettle", newest);
  document.addEventListener("dragstart", function (e) { if (box(e)) e.preventDefault(); });
})();

// The call player: two lanes (bank above, customer below) on a canvas, click or
// drag to seek, J K L to go back, play or pause, go on. The sound itself is the
// browser's own audio element, so nothing is lost without this script.
(function () {
  "use strict";

  function clock(s) {
    s = Math.max(0, Math.floor(s || 0));
    return Math.floor(s / 60) + ":" + String(s % 60).padStart(2, "0");
  }

  function start(box) {
    var audio = box.querySelector("audio");
    var canvas = box.querySelector("canvas");
    var bar = box.querySelector(".player-bar");
    var play = box.querySelector("[data-play]");
    var out = box.querySelector("[data-now]");
    var peaks = null, quiet = [];
    // Colours have their names in app.css; canvas wants them resolved. They change with the theme.
    var colours = {};
    function colour(name) {
      if (!colours[name]) {
        out.style.color = "var(--" + name + ")";
        colours[name] = getComputedStyle(out).color;
        out.style.color = "";
      }
      return colours[name];
    }
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", function () { colours = {}; draw(); });
    var skip = box.querySelector("[data-skip]");
    var path = play.querySelector("path");
    var icons = { play: path.getAttribute("d"), pause: "M7 5h3v14H7zM14 5h3v14h-3z" };

    function length() { return isFinite(audio.duration) && audio.duration > 0 ? audio.duration : peaks ? peaks.seconds : 0; }

    function lane(c, values, mid, half, width, done) {
      var n = values.length;
      if (!n) return;
      var step = width / n;
      for (var i = 0; i < n; i++) {
        var h = Math.max(0.5, values[i] * half);
        c.fillStyle = colour(i * step < done ? "accent" : "wave");
        c.fillRect(i * step, mid - h, Math.max(1, step - 1), 2 * h);
      }
    }

    function draw() {
      var ratio = window.devicePixelRatio || 1;
      var w = canvas.clientWidth, h = canvas.clientHeight;
      if (canvas.width !== Math.round(w * ratio)) { canvas.width = Math.round(w * ratio); canvas.height = Math.round(h * ratio); }
      var c = canvas.getContext("2d");
      c.setTransform(ratio, 0, 0, ratio, 0, 0);
      c.clearRect(0, 0, w, h);
      var done = length() ? w * audio.currentTime / length() : 0;
      if (peaks) {
        lane(c, peaks.lanes[0] || [], h * 0.27, h * 0.22, w, done);
        lane(c, peaks.lanes[1] || [], h * 0.73, h * 0.22, w, done);
      }
      c.fillStyle = colour("line");
      c.fillRect(0, h / 2, w, 1);
      quiet.forEach(function (q) { // what "skip silence" leaves out
        if (!skip.checked) return;
        c.fillStyle = colour("quiet");
        c.fillRect(w * q[0] / length(), 0, w * (q[1] - q[0]) / length(), h);
      });
      var used = -99; // where the last written mark ends
      c.font = "600 11px system-ui, sans-serif";
      box.querySelectorAll("[data-cue]").forEach(function (b) {
        if (!length()) return;
        var x = w * Number(b.dataset.cue) / length(), mark = b.dataset.mark;
        c.fillStyle = colour(b.dataset.tone === "bad" ? "bad" : b.dataset.tone === "wait" ? "wait" : "good");
        c.fillRect(x, 0, 1.5, h);
        if (!mark || x < used) return;
        var wide = c.measureText(mark).width + 8;
        c.fillRect(x, h / 2 - 9, wide, 18);
        c.fillStyle = colour("paper");
        c.fillText(mark, x + 4, h / 2 + 4);
        used = x + wide;
      });
      c.fillStyle = colour("ink");
      c.fillRect(done, 0, 1.5, h);
      out.textContent = clock(audio.currentTime) + " / " + clock(length());
    }

    // Stretches in which neither side says anything for two seconds or more.
    function silences() {
      quiet = [];
      if (!peaks || !peaks.lanes.length) return;
      var n = peaks.lanes[0].length, step = peaks.seconds / n, from = -1;
      for (var i = 0; i <= n; i++) {
        var loud = i === n || peaks.lanes.some(function (l) { return l[i] > 0.02; });
        if (!loud && from < 0) from = i;
        if (loud && from >= 0) {
          if ((i - from) * step >= 2) quiet.push([from * step + 0.3, i * step - 0.3]);
          from = -1;
        }
      }
    }
    function hop() {
      if (!skip.checked || audio.paused) return;
      quiet.forEach(function (q) { if (audio.currentTime > q[0] && audio.currentTime < q[1] - 0.2) audio.currentTime = q[1]; });
    }

    function seek(to) { audio.currentTime = Math.min(Math.max(0, to), Math.max(0, length() - 0.05)); draw(); }
    function toggle() { if (audio.paused) audio.play(); else audio.pause(); }
    function frame() { hop(); draw(); if (!audio.paused) requestAnimationFrame(frame); }
    function at(e) { var r = canvas.getBoundingClientRect(); seek((e.clientX - r.left) / r.width * length()); }

    box.classList.add("on");
    bar.hidden = false;
    play.addEventListener("click", toggle);
    audio.addEventListener("play", function () { path.setAttribute("d", icons.pause); frame(); });
    audio.addEventListener("pause", function () { path.setAttribute("d", icons.play); draw(); });
    audio.addEventListener("loadedmetadata", draw);
    audio.addEventListener("seeked", draw);
    canvas.addEventListener("pointerdown", function (e) { canvas.setPointerCapture(e.pointerId); at(e); });
    canvas.addEventListener("pointermove", function (e) { if (e.buttons) at(e); });
    box.querySelector("[data-speed]").addEventListener("change", function (e) { audio.playbackRate = Number(e.target.value); });
    skip.addEventListener("change", draw);
    box.querySelectorAll("[data-cue]").forEach(function (b) {
      b.addEventListener("click", function () { seek(Number(b.dataset.cue)); audio.play(); });
    });
    document.addEventListener("keydown", function (e) {
      if (/^(INPUT|TEXTAREA|SELECT)$/.test(e.target.tagName) || e.ctrlKey || e.metaKey || e.altKey) return;
      if (e.key === "j" || e.key === "J") seek(audio.currentTime - 5);
      else if (e.key === "k" || e.key === "K") toggle();
      else if (e.key === "l" || e.key === "L") seek(audio.currentTime + 5);
    });
    window.addEventListener("resize", draw);
    draw();
    fetch(box.dataset.peaks, { credentials: "same-origin" })
      .then(function (r) { return r.ok ? r.json() : null; })
      .then(function (p) { peaks = p; silences(); draw(); })
      .catch(draw);
  }

  document.addEventListener("DOMContentLoaded", function () {
    document.querySelectorAll("[data-player]").forEach(start);
  });
})();

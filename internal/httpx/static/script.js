// The script editor: line numbers, jumping to a line, and hearing a prompt.
// Without it the text is still a text and a prompt still a link to its sound.
(function () {
  "use strict";

  function number(box) {
    if (box.numbered) return;
    box.numbered = true;
    var area = box.querySelector("textarea"), gutter = document.createElement("div"), inner = document.createElement("div");
    gutter.className = "gutter";
    gutter.setAttribute("aria-hidden", "true");
    gutter.appendChild(inner);
    box.insertBefore(gutter, area);
    var n = 0;
    function follow() { inner.style.transform = "translateY(" + -area.scrollTop + "px)"; }
    function count() {
      var lines = area.value.split("\n").length;
      if (lines === n) return;
      n = lines;
      var s = "";
      for (var i = 1; i <= n; i++) s += i + "\n";
      inner.textContent = s;
    }
    area.addEventListener("input", count);
    area.addEventListener("scroll", follow);
    count();
  }

  // A step of two spaces where a new line begins, as the line above has it.
  document.addEventListener("keydown", function (e) {
    if (e.key !== "Enter" || e.target.id !== "f-yaml" || e.isComposing || e.ctrlKey || e.metaKey || e.altKey) return;
    var a = e.target, at = a.selectionStart, line = a.value.slice(a.value.lastIndexOf("\n", at - 1) + 1, at);
    var room = /^ */.exec(line)[0] + (/:\s*$/.test(line) ? "  " : "");
    e.preventDefault();
    a.setRangeText("\n" + room, at, a.selectionEnd, "end");
    a.dispatchEvent(new Event("input", { bubbles: true }));
  });

  function jump(line) {
    var area = document.getElementById("f-yaml");
    if (!area) return false;
    var lines = area.value.split("\n"), from = 0;
    for (var i = 0; i < line - 1 && i < lines.length; i++) from += lines[i].length + 1;
    area.focus();
    area.setSelectionRange(from, from + (lines[line - 1] || "").length);
    var high = parseFloat(getComputedStyle(area).lineHeight) || 20;
    area.scrollTop = Math.max(0, (line - 6) * high);
    area.scrollIntoView({ block: "nearest" });
    return true;
  }

  var sound = null, playing = null;
  function hear(a) {
    if (sound) sound.pause();
    if (playing) playing.classList.remove("on");
    if (playing === a) { playing = null; return; }
    playing = a;
    a.classList.add("on");
    sound = new Audio(a.href);
    sound.addEventListener("ended", function () { a.classList.remove("on"); playing = null; });
    sound.play().catch(function () { a.classList.remove("on"); playing = null; });
  }

  document.addEventListener("click", function (e) {
    var a = e.target.closest("[data-line]");
    if (a && jump(Number(a.dataset.line))) { e.preventDefault(); return; }
    a = e.target.closest("[data-say]");
    if (a && !e.ctrlKey && !e.metaKey) { e.preventDefault(); hear(a); }
  });
  document.addEventListener("DOMContentLoaded", function () { document.querySelectorAll("[data-editor]").forEach(number); });
})();

// Small comforts of the console; every page works without them.
(function () {
  "use strict";

  // The bank's clock goes on from the instant the page was made at.
  var clock = document.querySelector("[data-clock]");
  if (clock) {
    var base = Number(clock.dataset.clock) / 1000;
    var began = performance.now();
    var fmt = new Intl.DateTimeFormat("en-GB", { timeZone: clock.dataset.zone, hour: "2-digit", minute: "2-digit", second: "2-digit" });
    setInterval(function () {
      clock.textContent = fmt.format(new Date(base + performance.now() - began));
    }, 500);
  }

  // An open menu closes when the reader looks elsewhere.
  document.addEventListener("click", function (e) {
    document.querySelectorAll("details[open].do, details[open].me, details[open].burger").forEach(function (d) {
      if (!d.contains(e.target)) d.open = false;
    });
  });
  document.addEventListener("keydown", function (e) {
    if (e.key === "Escape") document.querySelectorAll("details[open].do, details[open].me, details[open].burger").forEach(function (d) { d.open = false; });
  });

  // A choice in a filter bar takes effect at once.
  document.querySelectorAll("form[data-auto] select, form[data-auto] input[type=date]").forEach(function (el) {
    el.addEventListener("change", function () { el.form.requestSubmit(); });
  });

  // A row's detail beside its list.
  var drawer = document.getElementById("drawer");
  document.body.addEventListener("htmx:afterSwap", function (e) {
    if (!drawer || !e.detail.target || e.detail.target.id !== "drawer-body") return; // a live stream swaps without a target
    document.getElementById("drawer-open").href = e.detail.requestConfig.path;
    if (!drawer.open) drawer.showModal();
    drawer.scrollTop = 0;
  });

  // The keyboard reaches everything: / searches, g and a letter goes to a page,
  // j and k walk a list, ? tells all this.
  var gone = 0;
  function press(sel) { var el = document.querySelector(sel); if (el) el.click(); return el; }
  function walk(step) {
    var rows = Array.prototype.slice.call(document.querySelectorAll("main .row-link"));
    var at = rows.indexOf(document.activeElement);
    var next = rows[at < 0 ? (step > 0 ? 0 : rows.length - 1) : at + step];
    if (next) next.focus();
    return next;
  }
  function goTo(letter) {
    var k = document.querySelector('.side kbd[data-go="' + letter + '"]');
    if (k) location.href = k.closest("a").href;
    return k;
  }
  function act(key) {
    switch (key) {
      case "/": var box = document.getElementById("find"); if (box) box.focus(); return box;
      case "?": var keys = document.getElementById("keys"); if (keys) keys.showModal(); return keys;
      case "j": return walk(1);
      case "k": return walk(-1);
      case "[": return press("main a[rel=prev]");
      case "]": return press("main a[rel=next]");
      case "p":
        var row = document.activeElement.closest("tr"), peek = row && row.querySelector(".peek");
        if (peek) peek.click();
        return peek;
    }
  }
  document.addEventListener("keydown", function (e) {
    var t = e.target;
    if (e.defaultPrevented || e.ctrlKey || e.metaKey || e.altKey || t.isContentEditable || t.closest("input, textarea, select, dialog, .player")) return;
    var now = performance.now();
    if (now - gone < 1500 && /^[a-z]$/.test(e.key)) {
      gone = 0;
      document.body.classList.remove("going");
      if (goTo(e.key)) e.preventDefault();
      return;
    }
    if (e.key === "g") {
      gone = now;
      document.body.classList.add("going");
      setTimeout(function () { document.body.classList.remove("going"); }, 1500);
      return;
    }
    if (act(e.key)) e.preventDefault();
  });

  // What htmx could not fetch is said where it would have stood.
  document.body.addEventListener("htmx:responseError", function (e) { failed(e.detail); });
  document.body.addEventListener("htmx:sendError", function (e) { failed(e.detail); });
  function failed(d) {
    var page = new DOMParser().parseFromString(d.xhr.responseText || "", "text/html");
    var said = page.querySelector("main p, main h1"), note = document.createElement("p");
    note.className = "flash bad";
    note.setAttribute("role", "alert");
    note.textContent = said ? said.textContent : document.querySelector("main").dataset.lost;
    var at = d.target && d.target.id !== "drawer-body" ? d.target : document.querySelector("main");
    at.insertBefore(note, at.firstChild);
  }

  // One tap is one action: a form is sent once.
  document.addEventListener("submit", function (e) {
    var f = e.target;
    if (f.method !== "post" || "again" in f.dataset) return; // a file may be asked for again
    if (f.dataset.sent) { e.preventDefault(); return; }
    f.dataset.sent = "1";
  });
  window.addEventListener("pageshow", function () {
    document.querySelectorAll("form[data-sent]").forEach(function (f) { delete f.dataset.sent; });
  });

  // Whether the live stream is alive is shown, never guessed.
  function live(on) {
    document.querySelectorAll(".dot-live").forEach(function (d) { d.classList.toggle("off", !on); });
  }
  document.body.addEventListener("htmx:sseOpen", function () { live(true); });
  document.body.addEventListener("htmx:sseError", function () { live(false); });
})();

// The board on the wall: over the whole screen, and back with Esc. Without this
// file the button leads to the same board over the page.
(function () {
  "use strict";
  function set(on) {
    var b = document.getElementById("board");
    if (!b) return;
    b.classList.toggle("wall", on);
    window.dispatchEvent(new Event("resize")); // the plots fit themselves
  }
  document.addEventListener("click", function (e) {
    if (e.target.closest("[data-wall]")) {
      e.preventDefault();
      set(true);
      var b = document.getElementById("board");
      if (b.requestFullscreen) b.requestFullscreen().catch(function () {});
    } else if (e.target.closest("[data-unwall]")) {
      e.preventDefault();
      if (document.fullscreenElement) document.exitFullscreen();
      set(false);
    }
  });
  document.addEventListener("fullscreenchange", function () { if (!document.fullscreenElement) set(false); });
  document.addEventListener("keydown", function (e) { if (e.key === "Escape") set(false); });
})();

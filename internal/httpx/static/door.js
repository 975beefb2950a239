// What the pages of sign-in and account need a script for: passkeys, and the
// code of a one-time link, which stands behind # so that it is never sent in an
// address. Everything else works without.
(function () {
  "use strict";

  // A one-time link: the code goes from the address into the form.
  document.querySelectorAll("form[data-fragment]").forEach(function (form) {
    var code = location.hash.slice(1);
    if (!code) return;
    history.replaceState(null, "", location.pathname);
    form.elements[form.dataset.fragment].value = code;
    form.submit();
  });

  if (!window.PublicKeyCredential || !PublicKeyCredential.parseRequestOptionsFromJSON) return;

  async function ask(address) {
    var res = await fetch(address, { method: "POST", headers: { Accept: "application/json" } });
    if (!res.ok) throw new Error(String(res.status));
    return (await res.json()).publicKey;
  }

  async function get(address) {
    var options = PublicKeyCredential.parseRequestOptionsFromJSON(await ask(address));
    return navigator.credentials.get({ publicKey: options });
  }

  async function make(address) {
    var options = PublicKeyCredential.parseCreationOptionsFromJSON(await ask(address));
    return navigator.credentials.create({ publicKey: options });
  }

  function wire(form, how, address) {
    var error = form.querySelector("[data-error]");
    form.hidden = false;
    form.addEventListener("submit", async function (e) {
      e.preventDefault();
      e.stopImmediatePropagation();
      error.hidden = true;
      try {
        form.elements.answer.value = JSON.stringify((await how(address)).toJSON());
        form.submit();
      } catch (wrong) {
        error.textContent = form.dataset.failed;
        error.hidden = false;
      }
    });
  }

  document.querySelectorAll("form[data-passkey-get]").forEach(function (f) { wire(f, get, f.dataset.passkeyGet); });
  document.querySelectorAll("form[data-passkey-make]").forEach(function (f) { wire(f, make, f.dataset.passkeyMake); });
})();

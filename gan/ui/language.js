// Runs before Gradio's own script, which reads navigator.language once to choose its words.
// The address decides (?lang=zh, ?view=projector), then the visitor's last choice, then the browser.
(() => {
  const query = new URLSearchParams(location.search);
  const asked = query.get("lang");
  // Storage is forbidden in some frames: then the address and the browser decide, and a visitor is known
  // until the page is left.
  const keep = (name, value) => {
    try {
      if (value) localStorage.setItem(name, value);
      return localStorage.getItem(name);
    } catch {
      return value;
    }
  };
  const kept = keep("gan-language", asked);
  const wanted = asked || kept || navigator.language || "en";
  const language = wanted.toLowerCase().startsWith("zh") ? "zh-CN" : "en";
  for (const [name, value] of [["language", language], ["languages", [language]]]) {
    Object.defineProperty(navigator, name, { get: () => value });
  }
  document.documentElement.dataset.language = language.slice(0, 2);
  document.documentElement.dataset.train = "loading";
  document.documentElement.toggleAttribute("data-projector", query.get("view") === "projector");

  // Another language changes nothing else: a projector view stays one.
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[hreflang]");
    if (!link) return;
    event.preventDefault();
    query.set("lang", link.hreflang);
    location.search = query;
  });

  // Who asks, for the last three inputs of every event (gan/ui/reception.py).
  let token = keep("gan-visitor", null) || "";
  window.ganMe = "";
  window.ganWatching = "";
  window.ganGuest = () => [window.ganWatching, token, language.slice(0, 2)];
  // Until the Sample tab is there (gan/ui/sample.js), what its controls say is only kept.
  window.ganDraw = (controls) => {
    if (controls?.length) window.ganControls = controls;
  };
  // What the visitor may do with the run chosen in the list; the server checks it again.
  window.ganRights = (rights) => {
    document.documentElement.toggleAttribute("data-may-resume", Boolean(rights?.resume));
    document.documentElement.toggleAttribute("data-may-change", Boolean(rights?.change));
  };
  window.ganWelcome = (welcome) => {
    if (!welcome) return;
    token = welcome.token;
    keep("gan-visitor", token);
    window.ganMe = welcome.id;
    const root = document.documentElement;
    root.toggleAttribute("data-shared", welcome.shared);
    root.toggleAttribute("data-presented", welcome.presented);
    root.toggleAttribute("data-presenter", welcome.presenter);
    root.toggleAttribute("data-watcher", !welcome.may_train);
    window.ganAsk?.();
    window.ganDraw();
  };
})();

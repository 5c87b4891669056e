// Runs before Gradio's own script, which reads navigator.language once to choose its words.
// The address decides (?lang=zh), then the visitor's last choice, then the browser.
(() => {
  const asked = new URLSearchParams(location.search).get("lang");
  let kept = null;
  try {
    if (asked) localStorage.setItem("gan-language", asked);
    kept = localStorage.getItem("gan-language");
  } catch {
    // storage is forbidden in some frames; then only the address and the browser decide
  }
  const wanted = asked || kept || navigator.language || "en";
  const language = wanted.toLowerCase().startsWith("zh") ? "zh-CN" : "en";
  for (const [name, value] of [["language", language], ["languages", [language]]]) {
    Object.defineProperty(navigator, name, { get: () => value });
  }
  document.documentElement.dataset.language = language.slice(0, 2);
  document.documentElement.dataset.train = "loading";
})();
